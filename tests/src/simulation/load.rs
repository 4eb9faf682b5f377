//! The stream of records that goes on while things go wrong, and what became of each record.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_client::error::Outcome;
use highwater_client::producer::{Delivery, Record};
use highwater_client::settings::{Acks, ProducerSettings};
use highwater_client::{Client, Producer};
use highwater_model::id::PartitionIndex;
use highwater_transport::env::sim::Simulation;
use highwater_transport::env::{Env, Task};
use highwater_transport::watch;
use tokio::sync::mpsc;

use super::judge::{Fate, RecordName, Sent};

/// The topic.
pub(super) const TOPIC: &str = "clicks";
/// How many partitions it has.
pub(super) const PARTITIONS: u32 = 3;
/// How many producers send at once.
const PRODUCERS: u32 = 2;
/// How long a record is tried.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Records have up to so many bytes, so that batches begin anywhere in a sector.
const VALUE_BYTES_MAX: u64 = 700;

/// Producers at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: Vec<Task>,
}

struct Shared {
    sim: Simulation,
    env: Env,
    history: Mutex<Vec<Sent>>,
}

/// A record and the place where its outcome will be.
type Underway = (Sent, Delivery);

impl Load {
    /// Starts the producers in the client's process.
    pub(super) fn start(sim: &Simulation, client: &Client) -> Self {
        let env = client.env().clone();
        let shared = Arc::new(Shared { sim: sim.clone(), env: env.clone(), history: Mutex::default() });
        let (stop, stopped) = watch::channel(false);
        let produce = |number| {
            let settings = ProducerSettings {
                acks: Acks::All,
                delivery_timeout: DELIVERY_TIMEOUT,
                ..Default::default()
            };
            let producer = client.producer(settings);
            env.spawn("producer", Arc::clone(&shared).produce(number, producer, stopped.clone()))
        };
        let tasks = (0..PRODUCERS).map(produce).collect();
        Self { shared, stop, tasks }
    }

    /// Sends no more, and waits until the outcome of every record is known.
    pub(super) async fn finish(self) -> Vec<Sent> {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.finished().await;
        }
        std::mem::take(&mut *self.shared.history())
    }
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn produce(self: Arc<Self>, number: u32, producer: Producer, stopped: watch::Receiver<bool>) {
        let (underway, settling) = mpsc::unbounded_channel();
        let settled = self.env.spawn("outcomes", Arc::clone(&self).settle(settling));
        let mut sequence = 0;
        while !*stopped.borrow() {
            for _ in 0..=self.env.random_u64() % 6 {
                let name = RecordName { producer: number, sequence };
                sequence += 1;
                self.send(&producer, name, &underway).await;
            }
            self.env.sleep(Duration::from_millis(1 + self.env.random_u64() % 12)).await;
        }
        drop(underway);
        settled.finished().await;
    }

    async fn send(&self, producer: &Producer, name: RecordName, underway: &mpsc::UnboundedSender<Underway>) {
        let partition =
            PartitionIndex(u32::try_from(self.env.random_u64() % u64::from(PARTITIONS)).unwrap_or_default());
        let value = self.value(name);
        let record = Record {
            key: Some(name.key()),
            value: Some(value.clone()),
            partition: Some(partition),
            ..Record::default()
        };
        let sent = Sent { name, partition, value, fate: Fate::Unknown };
        match producer.send(TOPIC, record).await {
            Ok(delivery) => underway.send((sent, delivery)).expect("outcomes are awaited until the end"),
            Err(error) => self.note(Sent { fate: fate(error.outcome()), ..sent }, &error.to_string()),
        }
    }

    /// The name of the record, over and over.
    fn value(&self, name: RecordName) -> Bytes {
        let length = usize::try_from(self.env.random_u64() % VALUE_BYTES_MAX).unwrap_or_default();
        let word = format!("{name} ");
        let mut text = word.repeat(1 + length / word.len());
        text.truncate(length.max(word.len()));
        text.into()
    }

    async fn settle(self: Arc<Self>, mut underway: mpsc::UnboundedReceiver<Underway>) {
        while let Some((sent, delivery)) = underway.recv().await {
            let (fate, words) = match delivery.await {
                Ok(delivered) => match delivered.offset {
                    Some(offset) => (Fate::Acknowledged(offset), format!("at {offset}")),
                    None => (Fate::Unknown, "somewhere".to_owned()),
                },
                Err(error) => (fate(error.outcome()), error.to_string()),
            };
            self.note(Sent { fate, ..sent }, &words);
        }
    }

    fn note(&self, sent: Sent, words: &str) {
        self.sim.note(&format!("record {} of {}: {words}", sent.name, sent.partition));
        self.history().push(sent);
    }
}

fn fate(outcome: Outcome) -> Fate {
    match outcome {
        Outcome::NotDone => Fate::NotWritten,
        Outcome::Unknown => Fate::Unknown,
    }
}
