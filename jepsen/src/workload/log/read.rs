//! A process that polls partitions that it assigns itself, and asks now and then where they end.

use std::time::Duration;

use highwater_client::consumer::Start;
use highwater_client::error::ConsumeError;
use highwater_client::settings::ConsumerSettings;
use highwater_client::{Client, Consumer};
use highwater_model::id::PartitionIndex;
use jepsen_judge::history::{Assign, AssignFrom, EndRead, Polled, SeenRecord, What};

use crate::payload;
use crate::random::Random;
use crate::workload::{Stage, TOPIC};

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(500);

/// How long the pause between operations is, at most.
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// Once in so many operations other partitions are assigned.
const ASSIGN_ONCE_IN: u64 = 64;

/// Once in so many operations an end is asked for.
const END_ONCE_IN: u64 = 6;

/// Once in so many operations the client is closed without a word.
const CRASH_ONCE_IN: u64 = 400;

pub(super) struct Reader {
    stage: Stage,
    partitions: u32,
    random: Random,
}

/// What a poll brought, as the judge has it.
pub(super) fn polled(partitions: &[highwater_client::consumer::Consumed]) -> Polled {
    let seen = |consumed: &highwater_client::consumer::Consumed| SeenRecord {
        key: consumed.partition.partition.0,
        offset: consumed.offset.0,
        value: payload::number(consumed),
    };
    Polled { records: partitions.iter().map(seen).collect() }
}

impl Reader {
    pub(super) fn new(stage: Stage, partitions: u32, who: u64) -> Self {
        let random = Random::of(stage.seed, 2_000 + who);
        Self { stage, partitions, random }
    }

    /// Polls until the end of the workload, as one process after the other.
    pub(super) async fn run(mut self) {
        while self.stage.goes_on() {
            match (self.stage.new_client)() {
                Ok(client) => Box::pin(self.one_process(&client)).await,
                Err(error) => {
                    tracing::warn!(%error, "a reader has no client");
                    return;
                }
            }
        }
    }

    async fn one_process(&mut self, client: &Client) {
        let process = self.stage.recorder.new_process();
        let mut consumer = client.consumer(ConsumerSettings::default());
        let mut goes_on = self.assign(process, &mut consumer).await;
        while goes_on && self.stage.goes_on() {
            goes_on = if self.random.once_in(CRASH_ONCE_IN) {
                self.stage.recorder.begin(process, What::Crash).info(What::Crash, "closed without a word");
                false
            } else if self.random.once_in(ASSIGN_ONCE_IN) {
                self.assign(process, &mut consumer).await
            } else if self.random.once_in(END_ONCE_IN) {
                self.end(process, client).await
            } else {
                poll(&self.stage, process, &mut consumer).await
            };
            let pause = self.random.between(Duration::ZERO, PAUSE_MAX);
            self.stage.env.sleep(pause).await;
        }
    }

    /// Assigns some partitions, from the beginning or their ends.
    async fn assign(&mut self, process: u32, consumer: &mut Consumer) -> bool {
        let all = self.random.shuffled((0..self.partitions).collect());
        let count = 1 + self.random.below(self.partitions.into());
        let mut keys: Vec<u32> = all.into_iter().take(usize::try_from(count).unwrap_or(1)).collect();
        keys.sort_unstable();
        let (from, start) = match self.random.once_in(3) {
            true => (AssignFrom::End, Start::End),
            false => (AssignFrom::Beginning, Start::Beginning),
        };
        assign(&self.stage, process, consumer, (Assign { keys, from }, start, self.partitions)).await
    }

    async fn end(&mut self, process: u32, client: &Client) -> bool {
        let key = u32::try_from(self.random.below(self.partitions.into())).unwrap_or_default();
        let linearizable = !self.random.once_in(3);
        let what = |end| What::End(EndRead { key, end, linearizable });
        let begun = self.stage.recorder.begin(process, what(None));
        let asked = match linearizable {
            true => client.linearizable_end(TOPIC, PartitionIndex(key)).await,
            false => client.ends(TOPIC, PartitionIndex(key)).await.map(|ends| ends.end),
        };
        match asked {
            Ok(end) => begun.ok(what(Some(end.0))),
            Err(error) => begun.fail(what(None), error),
        }
        true
    }
}

/// Has a consumer read these partitions and no others; false if the process can do nothing more.
pub(super) async fn assign(
    stage: &Stage,
    process: u32,
    consumer: &mut Consumer,
    (assign, start, partitions): (Assign, Start, u32),
) -> bool {
    let begun = stage.recorder.begin(process, What::Assign(assign.clone()));
    for partition in 0..partitions {
        consumer.unassign(TOPIC, PartitionIndex(partition));
    }
    for key in &assign.keys {
        if let Err(error) = consumer.assign(TOPIC, PartitionIndex(*key), start).await {
            begun.info(What::Assign(assign), error);
            return false;
        }
    }
    begun.ok(What::Assign(assign));
    true
}

/// Polls once; false if the process can do nothing more.
pub(super) async fn poll(stage: &Stage, process: u32, consumer: &mut Consumer) -> bool {
    let begun = stage.recorder.begin(process, What::Poll(Polled::default()));
    match consumer.poll(POLL).await {
        Ok(records) => {
            begun.ok(What::Poll(polled(&records)));
            true
        }
        Err(error) => {
            // No log that keeps what it promises is damaged, or ends before where it was read.
            if matches!(error, ConsumeError::Corrupt { .. } | ConsumeError::OutOfRange { .. }) {
                stage.recorder.complain(&error);
            }
            begun.info(What::Poll(Polled::default()), error);
            false
        }
    }
}
