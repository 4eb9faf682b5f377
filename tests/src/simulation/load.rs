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
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);
/// How many records each producer sends to each partition of a cluster that is healed.
const AFTERWARDS: u64 = 4;
/// Where the numbers of those begin.
const AFTERWARDS_FROM: u64 = 1 << 32;
/// Records have up to so many bytes, so that batches begin anywhere in a sector.
const VALUE_BYTES_MAX: u64 = 700;

/// Producers at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    producers: Vec<Arc<Producer>>,
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
        let producers: Vec<Arc<Producer>> = (0..PRODUCERS).map(|_| Arc::new(producer(client))).collect();
        let produce = |(number, producer): (u32, &Arc<Producer>)| {
            env.spawn("producer", Arc::clone(&shared).produce(number, Arc::clone(producer), stopped.clone()))
        };
        let tasks = (0..).zip(&producers).map(produce).collect();
        Self { shared, stop, producers, tasks }
    }

    /// Sends no more, and waits until the outcome of every record is known.
    pub(super) async fn finish(&mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            task.finished().await;
        }
    }

    /// Has every producer write to every partition, and a new one too, and waits until all of it is acknowledged.
    ///
    /// # Errors
    /// The first outcome that is none.
    pub(super) async fn write_everywhere(&self, client: &Client) -> Result<(), String> {
        let new = Arc::new(producer(client));
        let (underway, mut settling) = mpsc::unbounded_channel();
        for (number, producer) in (0..).zip(self.producers.iter().chain([&new])) {
            for at in 0..AFTERWARDS * u64::from(PARTITIONS) {
                let name = RecordName { producer: number, sequence: AFTERWARDS_FROM + at };
                let partition = PartitionIndex(u32::try_from(at % u64::from(PARTITIONS)).unwrap_or_default());
                self.shared.send(producer, name, partition, &underway).await;
            }
        }
        drop(underway);
        while let Some((sent, delivery)) = settling.recv().await {
            self.shared.settle_one(sent, delivery).await;
        }
        let history = self.shared.history();
        let afterwards = history.iter().filter(|sent| sent.name.sequence >= AFTERWARDS_FROM);
        let mut unwritten = afterwards.filter(|sent| !matches!(sent.fate, Fate::Acknowledged(_)));
        unwritten.next().map_or(Ok(()), |sent| {
            Err(format!(
                "record {} of {} sent after it was healed: {:?}",
                sent.name, sent.partition, sent.fate
            ))
        })
    }

    /// Every record that was sent, and what became of it.
    pub(super) fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.shared.history())
    }
}

/// A producer of the load.
fn producer(client: &Client) -> Producer {
    client.producer(ProducerSettings {
        acks: Acks::All,
        delivery_timeout: DELIVERY_TIMEOUT,
        ..Default::default()
    })
}

impl Shared {
    fn history(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn produce(self: Arc<Self>, number: u32, producer: Arc<Producer>, stopped: watch::Receiver<bool>) {
        let (underway, settling) = mpsc::unbounded_channel();
        let settled = self.env.spawn("outcomes", Arc::clone(&self).settle(settling));
        let mut sequence = 0;
        while !*stopped.borrow() {
            for _ in 0..=self.env.random_u64() % 6 {
                let name = RecordName { producer: number, sequence };
                sequence += 1;
                let partition = self.env.random_u64() % u64::from(PARTITIONS);
                let partition = PartitionIndex(u32::try_from(partition).unwrap_or_default());
                self.send(&producer, name, partition, &underway).await;
            }
            self.env.sleep(Duration::from_millis(1 + self.env.random_u64() % 16)).await;
        }
        drop(underway);
        settled.finished().await;
    }

    async fn send(
        &self,
        producer: &Producer,
        name: RecordName,
        partition: PartitionIndex,
        underway: &mpsc::UnboundedSender<Underway>,
    ) {
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
            self.settle_one(sent, delivery).await;
        }
    }

    async fn settle_one(&self, sent: Sent, delivery: Delivery) {
        let (fate, words) = match delivery.await {
            Ok(delivered) => match delivered.offset {
                Some(offset) => (Fate::Acknowledged(offset), format!("at {offset}")),
                None => (Fate::Unknown, "somewhere".to_owned()),
            },
            Err(error) => (fate(error.outcome()), error.to_string()),
        };
        self.note(Sent { fate, ..sent }, &words);
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
