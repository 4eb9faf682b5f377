//! The stream of records that a run produces, and what its producers are told of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_client::error::{Outcome, ProduceError};
use highwater_client::producer::{Delivered, Delivery, Record};
use highwater_client::settings::ProducerSettings;
use highwater_client::{Client, Producer};
use highwater_model::id::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};
use highwater_transport::env::{Env, Instant, Task};
use highwater_transport::watch;
use tokio::sync::mpsc;

use super::activity::Events;
use super::judge::Fate;

/// Header that carries a record's number, so that equal lines of an input file differ.
pub(super) const NUMBER_HEADER: &[u8] = b"n";

/// Records that were sent by one producer and whose outcome is not looked at yet.
const OPEN_MAX: usize = 50_000;

/// What the producers of a run were told so far.
#[derive(Debug)]
pub(super) struct Tally {
    fates: Mutex<Vec<Fate>>,
    acknowledged: watch::Sender<u64>,
    failed: AtomicU64,
    last_error: Mutex<Option<ProduceError>>,
    watching: AtomicBool,
    fail_over: Mutex<FailOver>,
}

/// Partitions whose leader was killed: under which epoch it led, and when the next leader first acknowledged.
#[derive(Debug, Default)]
struct FailOver {
    partitions: BTreeMap<u32, (LeaderEpoch, Option<Instant>)>,
}

impl Tally {
    fn new(count: u64) -> Self {
        let (acknowledged, _) = watch::channel(0);
        Self {
            fates: Mutex::new(vec![Fate::Open; usize::try_from(count).unwrap_or(usize::MAX)]),
            acknowledged,
            failed: AtomicU64::new(0),
            last_error: Mutex::default(),
            watching: AtomicBool::new(false),
            fail_over: Mutex::default(),
        }
    }

    fn decide(&self, number: u64, fate: Fate) {
        let mut fates = locked(&self.fates);
        if let Some(place) = usize::try_from(number).ok().and_then(|at| fates.get_mut(at)) {
            *place = fate;
        }
    }

    fn failed(&self, number: u64, error: ProduceError) {
        if error.outcome() == Outcome::NotDone {
            self.decide(number, Fate::NotWritten);
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        *locked(&self.last_error) = Some(error);
    }

    fn acknowledged(&self, number: u64, delivered: Delivered, client: &Client, topic: TopicId) {
        let partition = delivered.partition.0;
        let offset = delivered.offset.map_or(0, |offset| offset.0);
        self.decide(number, Fate::Acknowledged { partition, offset });
        if self.watching.load(Ordering::Relaxed) {
            self.note_fail_over(partition, client, topic);
        }
        self.acknowledged.send_modify(|count| *count += 1);
    }

    /// The first acknowledgement under another leader epoch ends the fail-over of a partition. What the victim had
    /// acknowledged before it died does not.
    fn note_fail_over(&self, partition: u32, client: &Client, topic: TopicId) {
        let mut fail_over = locked(&self.fail_over);
        let Some((led_under, ended)) = fail_over.partitions.get_mut(&partition) else { return };
        let id = TopicPartition { topic, partition: PartitionIndex(partition) };
        if ended.is_none() && client.image().leader_epoch(id).is_some_and(|known| known > *led_under) {
            *ended = Some(client.env().now());
        }
        if fail_over.partitions.values().all(|(_, ended)| ended.is_some()) {
            self.watching.store(false, Ordering::Relaxed);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running stream.
#[derive(Debug)]
pub(super) struct Traffic {
    env: Env,
    tally: Arc<Tally>,
    producers: Vec<Arc<Producer>>,
    tasks: Vec<Task>,
}

impl Traffic {
    /// Starts `producers` producers, which share the records among them.
    pub(super) fn start(
        client: &Client,
        topic: (&str, TopicId),
        events: &Arc<Events>,
        producers: u64,
    ) -> Self {
        let tally = Arc::new(Tally::new(events.count()));
        let env = client.env().clone();
        let mut traffic =
            Self { env: env.clone(), tally: Arc::clone(&tally), producers: Vec::new(), tasks: Vec::new() };
        for first in 0..producers {
            let producer = Arc::new(client.producer(settings()));
            traffic.producers.push(Arc::clone(&producer));
            let (sent, outcomes) = mpsc::channel(OPEN_MAX);
            let (name, events, stride) = (topic.0.to_owned(), Arc::clone(events), producers);
            let sending = Arc::clone(&tally);
            let send = async move {
                let mut number = first;
                while let Some(event) = events.event(number) {
                    let record = record(number, event.key, event.value);
                    match producer.send(&name, record).await {
                        Ok(delivery) => drop(sent.send((number, delivery)).await),
                        Err(error) => sending.failed(number, error),
                    }
                    number += stride;
                }
                producer.flush().await;
            };
            traffic.tasks.push(env.spawn("produce", send));
            let collect = collect(outcomes, Arc::clone(&tally), client.clone(), topic.1);
            traffic.tasks.push(env.spawn("collect acknowledgements", collect));
        }
        traffic
    }

    /// Records acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        *self.tally.acknowledged.borrow()
    }

    /// Follows the number of acknowledged records.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.tally.acknowledged.subscribe()
    }

    /// Batches that were sent and not answered.
    pub(super) fn batches_in_flight(&self) -> usize {
        self.producers.iter().map(|producer| producer.batches_in_flight()).sum()
    }

    /// Whether every record has its outcome.
    pub(super) fn is_finished(&self) -> bool {
        self.tasks.iter().all(Task::is_finished)
    }

    /// Begins to look for the next acknowledgement of these partitions, by another leader than the one under this epoch.
    pub(super) fn watch_fail_over(&self, led: &[(u32, LeaderEpoch)]) {
        locked(&self.tally.fail_over).partitions =
            led.iter().map(|(index, epoch)| (*index, (*epoch, None))).collect();
        self.tally.watching.store(true, Ordering::Relaxed);
    }

    /// When the last of the killed leader's partitions was acknowledged again; none before that.
    pub(super) fn fail_over_ended(&self) -> Option<Instant> {
        let fail_over = locked(&self.tally.fail_over);
        let ended: Option<Vec<Instant>> = fail_over.partitions.values().map(|(_, ended)| *ended).collect();
        ended.and_then(|ended| ended.into_iter().max())
    }

    /// Waits until every record has its outcome.
    pub(super) async fn finished(&mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.finished().await;
        }
    }

    /// What the producers were told of each record, how many failed, and the last error.
    pub(super) fn outcome(&self) -> (Vec<Fate>, u64, Option<ProduceError>) {
        let fates = std::mem::take(&mut *locked(&self.tally.fates));
        let failed = self.tally.failed.load(Ordering::Relaxed);
        (fates, failed, locked(&self.tally.last_error).take())
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.env.now()
    }
}

fn settings() -> ProducerSettings {
    ProducerSettings {
        linger: Duration::from_millis(2),
        batch_bytes: 16 << 10,
        // Small, so that no partition runs far ahead of the others before the kill.
        buffer_bytes: 1 << 20,
        delivery_timeout: Duration::from_secs(60),
        ..ProducerSettings::default()
    }
}

/// The record of this number.
fn record(number: u64, key: Option<Bytes>, value: Bytes) -> Record {
    let header = (Bytes::from_static(NUMBER_HEADER), Some(Bytes::from(number.to_string())));
    Record { key, value: Some(value), headers: vec![header], ..Record::default() }
}

async fn collect(
    mut outcomes: mpsc::Receiver<(u64, Delivery)>,
    tally: Arc<Tally>,
    client: Client,
    topic: TopicId,
) {
    while let Some((number, delivery)) = outcomes.recv().await {
        match delivery.await {
            Ok(delivered) => tally.acknowledged(number, delivered, &client, topic),
            Err(error) => tally.failed(number, error),
        }
    }
}
