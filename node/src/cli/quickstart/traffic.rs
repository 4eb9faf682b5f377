//! The stream of records that a run produces, and what its producers are told of each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_client::error::{Outcome, ProduceError};
use highwater_client::metadata::Leader;
use highwater_client::producer::{Delivered, Delivery, Record};
use highwater_client::settings::ProducerSettings;
use highwater_client::{Client, Producer};
use highwater_transport::env::{Env, Instant, Task};
use highwater_transport::watch;
use tokio::sync::mpsc;

use super::activity::Events;
use super::judge::Fate;

/// Header that carries a record's number, so that equal lines of an input file differ.
pub(super) const NUMBER_HEADER: &[u8] = b"n";

/// Records that were sent by one producer and whose outcome is not looked at yet. The kill comes when half of the outcomes were
/// looked at: few, so that most of the stream is then still to come, however fast the producers are.
const OPEN_MAX: usize = 4_000;

/// One record in so many waits until the kill is over, those at the end: so that there is something to acknowledge after it, however
/// late it comes.
const HELD_BACK: u64 = 10;

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

/// Partitions whose leader was killed: who led, under which epoch, and the first that the next leader acknowledged.
#[derive(Debug, Default)]
struct FailOver {
    partitions: BTreeMap<u32, (Leader, Option<Delivered>)>,
}

impl FailOver {
    /// What the victim had acknowledged before it died does not end the fail-over of a partition, however late it is
    /// looked at: another broker must have acknowledged, or the same one under a later epoch.
    fn note(&mut self, delivered: Delivered) {
        let Some((killed, next)) = self.partitions.get_mut(&delivered.partition.0) else { return };
        let by = delivered.leader;
        let is_next = by.node != killed.node || by.leader_epoch > killed.leader_epoch;
        if is_next && next.is_none_or(|next| delivered.at < next.at) {
            *next = Some(delivered);
        }
    }

    /// The first acknowledgement of each partition; none until there is one for all.
    fn ended(&self) -> Option<Vec<Delivered>> {
        self.partitions.values().map(|(_, next)| *next).collect()
    }
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

    fn acknowledged(&self, number: u64, delivered: Delivered) {
        let partition = delivered.partition.0;
        let offset = delivered.offset.map_or(0, |offset| offset.0);
        self.decide(number, Fate::Acknowledged { partition, offset });
        if self.watching.load(Ordering::Relaxed) {
            let mut fail_over = locked(&self.fail_over);
            fail_over.note(delivered);
            self.watching.store(fail_over.ended().is_none(), Ordering::Relaxed);
        }
        self.acknowledged.send_modify(|count| *count += 1);
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
    /// The number of the first record that is held back.
    held_from: u64,
    is_whole: watch::Sender<bool>,
}

impl Traffic {
    /// Starts `producers` producers, which share the records among them. The last ones are held back until [`Self::let_go`].
    pub(super) fn start(client: &Client, topic: &str, events: &Arc<Events>, producers: u64) -> Self {
        let tally = Arc::new(Tally::new(events.count()));
        let env = client.env().clone();
        let (is_whole, whole) = watch::channel(false);
        let held_from = events.count() - events.count() / HELD_BACK;
        let (producing, tasks) = (Vec::new(), Vec::new());
        let mut traffic = Self {
            env: env.clone(),
            tally: Arc::clone(&tally),
            producers: producing,
            tasks,
            held_from,
            is_whole,
        };
        for first in 0..producers {
            let producer = Arc::new(client.producer(settings()));
            traffic.producers.push(Arc::clone(&producer));
            let (sent, outcomes) = mpsc::channel(OPEN_MAX);
            let (name, events, stride) = (topic.to_owned(), Arc::clone(events), producers);
            let (sending, mut whole) = (Arc::clone(&tally), whole.clone());
            let send = async move {
                let mut number = first;
                while let Some(event) = events.event(number) {
                    // Nobody lets go any more once the run has failed.
                    if number >= held_from && whole.wait_for(|whole| *whole).await.is_err() {
                        break;
                    }
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
            let collect = collect(outcomes, Arc::clone(&tally));
            traffic.tasks.push(env.spawn("collect acknowledgements", collect));
        }
        traffic
    }

    /// Lets the last records go, too.
    pub(super) fn let_go(&self) {
        self.is_whole.send_replace(true);
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

    /// Whether every record has its outcome, or all that are not held back.
    pub(super) fn is_finished(&self) -> bool {
        let decided = self.acknowledged() + self.tally.failed.load(Ordering::Relaxed);
        let waits = !*self.is_whole.borrow() && decided >= self.held_from;
        waits || self.tasks.iter().all(Task::is_finished)
    }

    /// Begins to look for the next acknowledgement of these partitions, by another leader than these.
    pub(super) fn watch_fail_over(&self, led: &[(u32, Leader)]) {
        locked(&self.tally.fail_over).partitions =
            led.iter().map(|(index, killed)| (*index, (*killed, None))).collect();
        self.tally.watching.store(true, Ordering::Relaxed);
    }

    /// The first acknowledgement by the next leader of each of the killed leader's partitions; none before there is one
    /// for all.
    pub(super) fn failed_over(&self) -> Option<Vec<Delivered>> {
        locked(&self.tally.fail_over).ended()
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

async fn collect(mut outcomes: mpsc::Receiver<(u64, Delivery)>, tally: Arc<Tally>) {
    while let Some((number, delivery)) = outcomes.recv().await {
        match delivery.await {
            Ok(delivered) => tally.acknowledged(number, delivered),
            Err(error) => tally.failed(number, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{LeaderEpoch, NodeId, PartitionIndex};

    fn acknowledged(by: u32, leader_epoch: u32, at_ms: u64) -> Delivered {
        let leader = Leader { node: NodeId(by), leader_epoch: LeaderEpoch(leader_epoch) };
        let at = Instant::since_origin(Duration::from_millis(at_ms));
        Delivered { partition: PartitionIndex(0), offset: None, leader, at }
    }

    #[test]
    fn a_late_acknowledgement_of_the_killed_leader_does_not_end_the_fail_over() {
        let killed = Leader { node: NodeId(1), leader_epoch: LeaderEpoch(4) };
        let mut fail_over = FailOver { partitions: [(0, (killed, None))].into() };

        fail_over.note(acknowledged(1, 4, 10));
        fail_over.note(acknowledged(1, 3, 20));
        assert_eq!(fail_over.ended(), None);

        let (first, later) = (acknowledged(2, 5, 900), acknowledged(2, 5, 950));
        fail_over.note(later);
        fail_over.note(first);
        assert_eq!(fail_over.ended(), Some(vec![first]));
    }

    #[test]
    fn a_leader_alone_that_came_back_ends_it_under_a_later_epoch() {
        let killed = Leader { node: NodeId(1), leader_epoch: LeaderEpoch(4) };
        let mut fail_over = FailOver { partitions: [(0, (killed, None))].into() };

        fail_over.note(acknowledged(1, 5, 10));

        assert_eq!(fail_over.ended(), Some(vec![acknowledged(1, 5, 10)]));
    }
}
