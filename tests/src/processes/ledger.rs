//! What the producers of a topic sent and were told, to be compared with what is read from its beginning.
//!
//! What is right is said by the [`Judge`] that `quickstart` has, too.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_client::consumer::{Consumed, Start};
use highwater_client::error::{Outcome, ProduceError};
use highwater_client::producer::{Delivered, Delivery, Record};
use highwater_client::{Client, Producer};
use highwater_model::id::PartitionIndex;
use highwater_node::cli::quickstart::activity::Events;
use highwater_node::cli::quickstart::judge::{Fate, Judge, Verdict};
use serde_json::json;
use tokio::sync::watch;

use super::PATIENCE;

/// More records than any test sends.
const RECORDS_MAX: u64 = 1 << 32;

/// The records of a topic, by number. Producer `p` of `n` sends those that leave `p` when divided by `n`, in ascending
/// order.
#[derive(Debug)]
pub struct Ledger {
    topic: String,
    partitions: u32,
    producers: u64,
    events: Events,
    fates: Mutex<Vec<Fate>>,
    acknowledged: watch::Sender<u64>,
}

impl Ledger {
    /// For a topic that nothing was sent to yet.
    #[must_use]
    pub fn new(topic: &str, partitions: u32, producers: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            partitions,
            producers,
            events: Events::Made { seed: 7, count: RECORDS_MAX },
            fates: Mutex::default(),
            acknowledged: watch::channel(0).0,
        }
    }

    /// How many producers share the records.
    pub(super) fn producers(&self) -> u64 {
        self.producers
    }

    /// Follows how many records are acknowledged.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.acknowledged.subscribe()
    }

    /// Hands the record of this number to a producer.
    pub(super) async fn send(&self, producer: &Producer, number: u64) -> Result<Delivery, ProduceError> {
        let event = self.events.event(number).expect("no test sends so many records");
        let partition = u32::try_from(number / self.producers % u64::from(self.partitions));
        let partition = PartitionIndex(partition.expect("it is less than the number of partitions"));
        let key = Some(Bytes::from(number.to_string()));
        self.decide(number, Fate::Open);
        let record =
            Record { key, value: Some(event.value), partition: Some(partition), ..Record::default() };
        let taken = producer.send(&self.topic, record).await;
        if let Err(error) = &taken {
            self.failed(number, error);
        }
        taken
    }

    /// Notes what became of a record.
    pub(super) fn told(&self, number: u64, outcome: &Result<Delivered, ProduceError>) {
        match outcome {
            Ok(Delivered { partition, offset: Some(offset), .. }) => {
                self.decide(number, Fate::Acknowledged { partition: partition.0, offset: offset.0 });
                self.acknowledged.send_modify(|count| *count += 1);
            }
            Ok(Delivered { offset: None, .. }) => {}
            Err(error) => self.failed(number, error),
        }
    }

    fn failed(&self, number: u64, error: &ProduceError) {
        if error.outcome() == Outcome::NotDone {
            self.decide(number, Fate::NotWritten);
        }
    }

    fn decide(&self, number: u64, fate: Fate) {
        let at = usize::try_from(number).expect("no test sends so many records");
        let mut fates = self.fates();
        let length = fates.len().max(at + 1);
        fates.resize(length, Fate::Open);
        if let Some(place) = fates.get_mut(at) {
            *place = fate;
        }
    }

    fn fates(&self) -> MutexGuard<'_, Vec<Fate>> {
        self.fates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `count` more records, one after the other in the producer's hands, and tells what became of each.
    pub async fn produce(&self, producer: &Producer, count: u64) -> Vec<Result<Delivered, ProduceError>> {
        assert_eq!(self.producers, 1, "one task sends the records of a ledger with one producer");
        let first = self.fates().len() as u64;
        let mut deliveries = Vec::new();
        for number in first..first + count {
            deliveries.push((number, self.send(producer, number).await));
        }
        let mut outcomes = Vec::new();
        for (number, taken) in deliveries {
            let outcome = match taken {
                Ok(delivery) => delivery.await,
                Err(error) => Err(error),
            };
            self.told(number, &outcome);
            outcomes.push(outcome);
        }
        outcomes
    }

    /// What was acknowledged, as a history of a chaos run has it: a line for each record.
    #[must_use]
    pub fn history(&self) -> String {
        let mut lines = String::new();
        for (number, fate) in self.fates().iter().enumerate() {
            if let Fate::Acknowledged { partition, offset } = fate {
                let value =
                    json!({ "acks": "all", "idempotent": true, "records": [[partition, number, offset]] });
                let line = json!({ "index": number, "time": number, "process": 0, "type": "ok", "f": "send", "value": value });
                lines.push_str(&format!("{line}\n"));
            }
        }
        lines
    }

    /// Reads the topic from the beginning to its present end, and compares, record by record and by content.
    pub async fn verdict(&self, client: &Client) -> Verdict {
        let mut judge = Judge::new(self.producers, self.fates().clone());
        let mut consumer = client.consumer(Default::default());
        let mut ends = Vec::new();
        for partition in (0..self.partitions).map(PartitionIndex) {
            let end = client.ends(&self.topic, partition).await.expect("the partition is led").end;
            consumer.assign(&self.topic, partition, Start::Beginning).await.expect("the partition is led");
            ends.push((partition, end));
        }
        let mut heard_at = client.env().now();
        while ends.iter().any(|(partition, end)| consumer.position(&self.topic, *partition) < Some(*end)) {
            let records = consumer.poll(Duration::from_secs(1)).await.expect("the partitions can be read");
            if !records.is_empty() {
                heard_at = client.env().now();
            }
            assert!(
                client.env().now().since(heard_at) < PATIENCE,
                "{} cannot be read to its end",
                self.topic
            );
            for record in &records {
                judge.consumed(record.partition.partition.0, record.offset.0, self.number_of(record));
            }
        }
        judge.verdict()
    }

    /// Reads everything and insists that every promise was kept, for at least `least` acknowledged records.
    pub async fn assert_kept(&self, client: &Client, least: u64) {
        let verdict = self.verdict(client).await;
        eprintln!("{}: {verdict:?}", self.topic);
        assert!(verdict.is_clean(), "{}: {verdict:?}", self.topic);
        assert!(verdict.acknowledged >= least, "{}: {verdict:?}, at least {least} wanted", self.topic);
    }

    /// The number of the record that has this content, compared byte by byte.
    fn number_of(&self, record: &Consumed) -> Option<u64> {
        let number: u64 = std::str::from_utf8(record.key.as_ref()?).ok()?.parse().ok()?;
        let event = self.events.event(number)?;
        (record.value.as_ref() == Some(&event.value)).then_some(number)
    }
}
