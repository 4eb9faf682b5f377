//! A process that sends records, one operation after the other, each of one to four records in the producer's hands at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use highwater_client::error::{Outcome, ProduceError};
use highwater_client::producer::Delivered;
use highwater_client::settings::{self, ProducerSettings};
use highwater_client::{Client, Producer};
use jepsen_judge::history::{Acks, Send, SentRecord, What};

use super::{Manner, Plan};
use crate::payload;
use crate::random::Random;
use crate::workload::{Stage, TOPIC};

/// The most records of one operation.
const RECORDS_MAX: u64 = 4;

/// Numbers that no other record of the run has.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What came of one record.
type Told = Result<Delivered, ProduceError>;

pub(super) struct Writer {
    stage: Stage,
    plan: Plan,
    manner: Manner,
    numbers: Numbers,
    random: Random,
}

impl Writer {
    pub(super) fn new(stage: Stage, plan: Plan, (who, manner): (u64, Manner), numbers: Numbers) -> Self {
        let random = Random::of(stage.seed, 1_000 + who);
        Self { stage, plan, manner, numbers, random }
    }

    /// Sends until the end of the workload; a new process with a new client takes over where one cannot go on.
    pub(super) async fn run(mut self) {
        while self.stage.goes_on() {
            match (self.stage.new_client)() {
                Ok(client) => Box::pin(self.one_process(client)).await,
                Err(error) => {
                    tracing::warn!(%error, "a writer has no client");
                    return;
                }
            }
        }
    }

    /// Works as one process until it cannot go on.
    async fn one_process(&mut self, client: Client) {
        let process = self.stage.recorder.new_process();
        let producer = client.producer(ProducerSettings {
            acks: match self.manner.acks {
                Acks::None => settings::Acks::None,
                Acks::Leader => settings::Acks::Leader,
                Acks::All => settings::Acks::All,
            },
            idempotent: self.manner.idempotent,
            linger: Duration::from_millis(self.random.below(6)),
            delivery_timeout: self.plan.delivery_timeout,
            block_max: self.plan.delivery_timeout,
            ..ProducerSettings::default()
        });
        while self.stage.goes_on() && self.send(process, &producer).await {
            let pause = self.random.between(Duration::ZERO, self.plan.pause_max);
            self.stage.env.sleep(pause).await;
        }
    }

    /// Sends some records and writes down what came of them; false if the process can do nothing more.
    async fn send(&mut self, process: u32, producer: &Producer) -> bool {
        let count = 1 + self.random.below(RECORDS_MAX);
        let mut records: Vec<SentRecord> = (0..count).map(|_| self.next_record()).collect();
        let Manner { acks, idempotent } = self.manner;
        let what = |records| What::Send(Send { acks, idempotent, records });
        let begun = self.stage.recorder.begin(process, what(records.clone()));
        let told = deliver(producer, &records).await;
        for (record, told) in records.iter_mut().zip(&told) {
            record.offset = told.as_ref().ok().and_then(|delivered| delivered.offset).map(|offset| offset.0);
        }
        let failures: Vec<&ProduceError> = told.iter().filter_map(|told| told.as_ref().err()).collect();
        let is_certain = failures.iter().all(|error| error.outcome() == Outcome::NotDone);
        match failures.first() {
            None => begun.ok(what(records)),
            Some(error) if is_certain && failures.len() == told.len() => begun.fail(what(records), error),
            Some(error) => {
                begun.info(what(records), error);
                return false;
            }
        }
        true
    }

    fn next_record(&mut self) -> SentRecord {
        let key = self.random.below(self.plan.partitions.into());
        SentRecord { key: u32::try_from(key).unwrap_or_default(), value: self.numbers.next(), offset: None }
    }
}

/// Hands records over in order, and waits until it is known what came of each.
async fn deliver(producer: &Producer, records: &[SentRecord]) -> Vec<Told> {
    let mut taken = Vec::new();
    for sent in records {
        taken.push(producer.send(TOPIC, payload::record(sent.value, sent.key)).await);
    }
    let mut told = Vec::new();
    for delivery in taken {
        told.push(match delivery {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        });
    }
    told
}
