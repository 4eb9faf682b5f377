//! The load: producers that send records for a while, or a number of them, and what became of each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use highwater_client::Client;
use highwater_client::error::ProduceError;
use highwater_client::producer::{Delivered, Delivery, Producer, Record};
use highwater_client::settings::ProducerSettings;
use highwater_model::id::PartitionIndex;
use highwater_transport::env::{Env, Instant, Task};
use tokio::sync::mpsc;

use super::args::{Spread, Workload};
use super::latency::Latencies;
use super::silence::Silences;

/// How long a record is tried before it counts as failed.
const DELIVERY: Duration = Duration::from_secs(30);
/// Outcomes taken in one go.
const OUTCOMES: usize = 256;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Amount {
    /// So many records.
    Records(u64),
    /// What is sent in this time.
    For(Duration),
}

impl Amount {
    /// What was asked for.
    pub(super) fn of(workload: &Workload) -> Self {
        workload.records.map_or(Self::For(workload.duration), Self::Records)
    }
}

/// What it is made of. The producers are the same however often it is started.
pub(super) struct Load {
    env: Env,
    topic: String,
    partitions: u32,
    record_bytes: usize,
    spread: Spread,
    rate: Option<u32>,
    producers: Vec<Arc<Producer>>,
}

/// A load that runs.
pub(super) struct Running {
    env: Env,
    began: Instant,
    until: Option<Instant>,
    shared: Arc<Shared>,
    tasks: Vec<Task>,
}

struct Shared {
    began: Instant,
    amount: Amount,
    /// The number of the next record.
    next: AtomicU64,
    stopped: AtomicBool,
    tally: Mutex<Tally>,
}

/// What became of the records so far.
#[derive(Debug)]
struct Tally {
    acknowledged: u64,
    /// Those that were acknowledged within the time.
    in_time: u64,
    failed: u64,
    last_error: Option<ProduceError>,
    last_at: Option<Instant>,
    latencies: Latencies,
    silences: Silences,
}

/// What became of all of them.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Records that were acknowledged.
    pub(super) acknowledged: u64,
    /// Those of them that were acknowledged in `took`.
    pub(super) in_time: u64,
    /// From the first record to the end of the time, or to the last acknowledgement if there was none.
    pub(super) took: Duration,
    /// Records that were not acknowledged.
    pub(super) failed: u64,
    /// Why the last of those was not.
    pub(super) last_error: Option<ProduceError>,
    /// From handing a record over, or from when it was due, to its acknowledgement.
    pub(super) latencies: Latencies,
    /// How long each partition went without an acknowledgement.
    pub(super) silences: Silences,
}

impl Load {
    /// A load on this topic.
    pub(super) fn new(client: &Client, topic: &str, partitions: u32, workload: &Workload) -> Self {
        let producers = workload.producers as usize;
        let settings = ProducerSettings {
            acks: workload.acks(),
            linger: workload.linger,
            batch_bytes: workload.batch_size,
            record_bytes_max: ProducerSettings::default().record_bytes_max.min(workload.buffer),
            buffer_bytes: workload.buffer / producers,
            delivery_timeout: DELIVERY,
            ..ProducerSettings::default()
        };
        Self {
            env: client.env().clone(),
            topic: topic.to_owned(),
            partitions,
            record_bytes: workload.record_size as usize,
            spread: workload.spread,
            rate: workload.rate,
            producers: (0..producers).map(|_| Arc::new(client.producer(settings.clone()))).collect(),
        }
    }

    /// The same at this rate, unless another was asked for.
    pub(super) fn at_most(mut self, records_per_s: u32) -> Self {
        self.rate.get_or_insert(records_per_s);
        self
    }

    /// The same as fast as it goes.
    pub(super) fn unbound(mut self) -> Self {
        self.rate = None;
        self
    }

    /// The same with another partition for each record.
    pub(super) fn round_robin(mut self) -> Self {
        self.spread = Spread::RoundRobin;
        self
    }

    /// Has each partition acknowledge a record, so that all of them are there; tells how many records that took.
    pub(super) async fn touch(&self) -> Result<u64, ProduceError> {
        let amount = Amount::Records(u64::from(self.partitions));
        let outcome = self.start_as(amount, Spread::RoundRobin, None).finish().await;
        outcome.last_error.map_or(Ok(outcome.acknowledged), Err)
    }

    /// Starts to send.
    pub(super) fn start(&self, amount: Amount) -> Running {
        self.start_as(amount, self.spread, self.rate)
    }

    fn start_as(&self, amount: Amount, spread: Spread, rate: Option<u32>) -> Running {
        let began = self.env.now();
        let until = match amount {
            Amount::Records(_) => None,
            Amount::For(duration) => Some(began + duration),
        };
        let tally = Mutex::new(Tally::new(self.partitions, began));
        let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { began, amount, next, stopped, tally });
        let block = Arc::new(block(&self.env, self.record_bytes));
        let mut tasks = Vec::new();
        for producer in &self.producers {
            let (sent, outcomes) = mpsc::unbounded_channel();
            let sending = Sending {
                env: self.env.clone(),
                producer: Arc::clone(producer),
                topic: self.topic.clone(),
                partitions: self.partitions,
                spread,
                rate,
                block: Arc::clone(&block),
                record_bytes: self.record_bytes,
                shared: Arc::clone(&shared),
                sent,
            };
            tasks.push(self.env.spawn("produce", sending.run()));
            tasks.push(
                self.env.spawn("collect acknowledgements", collect(outcomes, Arc::clone(&shared), until)),
            );
        }
        Running { env: self.env.clone(), began, until, shared, tasks }
    }

    /// Sends for a while, and forgets what became of it, unless nothing was acknowledged; tells how many records were.
    pub(super) async fn warm_up(&self, duration: Duration) -> Result<u64, ProduceError> {
        if duration.is_zero() {
            return Ok(0);
        }
        let outcome = self.start(Amount::For(duration)).finish().await;
        outcome.last_error.filter(|_| outcome.acknowledged == 0).map_or(Ok(outcome.acknowledged), Err)
    }
}

impl Running {
    /// Waits until its time is over, or every record has its outcome.
    pub(super) async fn until_over(&mut self) {
        match self.until {
            Some(until) => self.env.sleep_until(until).await,
            None => self.drain().await,
        }
    }

    /// Whether every record has its outcome.
    pub(super) fn is_finished(&self) -> bool {
        self.tasks.iter().all(Task::is_finished)
    }

    /// Records acknowledged so far.
    pub(super) fn acknowledged(&self) -> u64 {
        locked(&self.shared.tally).acknowledged
    }

    /// Works on how long partitions have been without an acknowledgement.
    pub(super) fn with_silences<T>(&self, work: impl FnOnce(&mut Silences) -> T) -> T {
        work(&mut locked(&self.shared.tally).silences)
    }

    /// No more records are sent.
    pub(super) fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
    }

    /// Waits until every record has its outcome.
    pub(super) async fn finish(mut self) -> Outcome {
        self.drain().await;
        let tally = std::mem::replace(&mut *locked(&self.shared.tally), Tally::new(0, self.began));
        let end = self.until.or(tally.last_at).unwrap_or(self.began);
        Outcome {
            acknowledged: tally.acknowledged,
            in_time: tally.in_time,
            took: end.since(self.began),
            failed: tally.failed,
            last_error: tally.last_error,
            latencies: tally.latencies,
            silences: tally.silences,
        }
    }

    async fn drain(&mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.finished().await;
        }
    }
}

impl Tally {
    fn new(partitions: u32, now: Instant) -> Self {
        Self {
            acknowledged: 0,
            in_time: 0,
            failed: 0,
            last_error: None,
            last_at: None,
            latencies: Latencies::new(),
            silences: Silences::new(partitions, now),
        }
    }

    fn note(&mut self, since: Instant, delivered: &Delivered, until: Option<Instant>) {
        self.acknowledged += 1;
        self.in_time += u64::from(until.is_none_or(|until| delivered.at <= until));
        self.last_at = self.last_at.max(Some(delivered.at));
        self.latencies.note(delivered.at.since(since));
        self.silences.note(delivered);
    }

    fn failed(&mut self, error: ProduceError) {
        self.failed += 1;
        self.last_error = Some(error);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One producer's part of the load.
struct Sending {
    env: Env,
    producer: Arc<Producer>,
    topic: String,
    partitions: u32,
    spread: Spread,
    rate: Option<u32>,
    block: Arc<Bytes>,
    record_bytes: usize,
    shared: Arc<Shared>,
    sent: mpsc::UnboundedSender<(Instant, Delivery)>,
}

impl Sending {
    async fn run(self) {
        while let Some((number, since)) = self.due().await {
            let record = self.record(number, since);
            match self.producer.send(&self.topic, record).await {
                // Whoever collects is there as long as this is.
                Ok(delivery) => drop(self.sent.send((since, delivery))),
                Err(error) => locked(&self.shared.tally).failed(error),
            }
        }
        self.producer.flush().await;
    }

    /// The next record and from when it is measured; none if it was the last.
    async fn due(&self) -> Option<(u64, Instant)> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.rate {
            Some(rate) => {
                let due = self.shared.began + Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
                if due > self.env.now() {
                    self.env.sleep_until(due).await;
                }
                due
            }
            None => self.env.now(),
        };
        let goes_on = match self.shared.amount {
            Amount::Records(count) => number < count,
            Amount::For(duration) => due < self.shared.began + duration,
        };
        (goes_on && !self.shared.stopped.load(Ordering::Relaxed)).then_some((number, due))
    }

    fn record(&self, number: u64, since: Instant) -> Record {
        let partition = match self.spread {
            Spread::Sticky => None,
            Spread::RoundRobin => {
                u32::try_from(number % u64::from(self.partitions.max(1))).ok().map(PartitionIndex)
            }
        };
        Record {
            value: Some(value(&self.block, self.record_bytes, number, since)),
            partition,
            ..Record::default()
        }
    }
}

async fn collect(
    mut outcomes: mpsc::UnboundedReceiver<(Instant, Delivery)>,
    shared: Arc<Shared>,
    until: Option<Instant>,
) {
    let mut taken = Vec::with_capacity(OUTCOMES);
    while outcomes.recv_many(&mut taken, OUTCOMES).await > 0 {
        for (since, delivery) in taken.drain(..) {
            let outcome = delivery.await;
            let mut tally = locked(&shared.tally);
            match outcome {
                Ok(delivered) => tally.note(since, &delivered, until),
                Err(error) => tally.failed(error),
            }
        }
    }
}

/// Random bytes from which values are cut, so that nothing on the way can make them smaller.
fn block(env: &Env, record_bytes: usize) -> Bytes {
    let mut bytes = vec![0; record_bytes + (64 << 10)];
    env.random_bytes(&mut bytes);
    bytes.into()
}

/// A value of this length, no two in a row alike, that begins with the time from which its record is measured.
fn value(block: &Bytes, length: usize, number: u64, since: Instant) -> Bytes {
    let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut value = BytesMut::with_capacity(length.max(8));
    value.put_u64(nanos);
    let at = usize::try_from(number % (64 << 10)).unwrap_or(0);
    let filler = length.saturating_sub(8);
    value.extend_from_slice(block.get(at..at + filler).unwrap_or_default());
    value.freeze()
}

/// From when the record with this value is measured.
pub(super) fn since_of(value: &[u8]) -> Option<Instant> {
    let nanos = value.first_chunk::<8>()?;
    Some(Instant::since_origin(Duration::from_nanos(u64::from_be_bytes(*nanos))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_its_length_and_says_from_when_it_is_measured() {
        let block = block(&Env::real(), 1024);
        let since = Instant::since_origin(Duration::from_nanos(12_345));

        for number in [0, 1, (64 << 10) - 1, 64 << 10, u64::MAX] {
            let value = value(&block, 1024, number, since);
            assert_eq!((value.len(), since_of(&value)), (1024, Some(since)));
        }
        assert_ne!(value(&block, 1024, 0, since), value(&block, 1024, 1, since));
        assert_eq!(since_of(b"short"), None);
    }
}
