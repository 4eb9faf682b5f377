//! Producing records: idempotent by default, in order per partition, with a typed outcome for every record.
//!
//! Chooses the partition and bounds the memory; leaves batching, order and retries of one partition to its lane.

mod batch;
mod lane;
mod queue;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use highwater_model::api::{Acks, Answer, ProducerIdentity, Request, TopicDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{Offset, PartitionIndex, TopicPartition};
use highwater_transport::env::Instant;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::client::{Client, unknown_topic};
use crate::error::{ClientError, Outcome, ProduceError};
use crate::metadata::Leader;
use crate::partitioner::Partitioner;
use crate::settings::ProducerSettings;

use self::lane::{Lane, Order};

/// A record to produce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Decides the partition, if `partition` does not.
    pub key: Option<Bytes>,
    /// What is to be told.
    pub value: Option<Bytes>,
    /// Headers in order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// Milliseconds since 1970; the time of sending if not set.
    pub timestamp_ms: Option<i64>,
    /// The partition, if it shall not be chosen by the key.
    pub partition: Option<PartitionIndex>,
}

impl Record {
    /// A record without a key.
    pub fn of(value: impl Into<Bytes>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// About how much room it takes, in bytes.
    fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.as_ref().map_or(0, Bytes::len) + 10)
            .sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + headers + 21
    }
}

/// Where an acknowledged record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its partition.
    pub partition: PartitionIndex,
    /// Its offset; unknown at `acks=0`.
    pub offset: Option<Offset>,
    /// Who acknowledged it; at `acks=0`, to whom it was sent.
    pub leader: Leader,
    /// When the acknowledgement came in.
    pub at: Instant,
}

/// The outcome of a record, when it is known: await it.
#[derive(Debug)]
pub struct Delivery {
    outcome: oneshot::Receiver<Result<Delivered, ProduceError>>,
}

impl Future for Delivery {
    type Output = Result<Delivered, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let closed = ProduceError::Closed { outcome: Outcome::Unknown };
        Pin::new(&mut self.outcome).poll(context).map(|outcome| outcome.unwrap_or(Err(closed)))
    }
}

/// A record on its way to its lane.
struct Entry {
    record: Record,
    timestamp_ms: i64,
    /// When it was handed over: its time runs from there.
    since: Instant,
    reply: oneshot::Sender<Result<Delivered, ProduceError>>,
    room: OwnedSemaphorePermit,
}

/// Sends records to the cluster. Dropped without [`Producer::close`], what was not acknowledged goes on being sent in
/// the background.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    shared: Arc<Shared>,
    lanes: AsyncMutex<BTreeMap<TopicPartition, mpsc::UnboundedSender<Order>>>,
    partitioners: Mutex<BTreeMap<String, Sticky>>,
    memory: Arc<Semaphore>,
}

/// What the lanes of a producer share.
#[derive(Debug)]
struct Shared {
    settings: ProducerSettings,
    identity: AsyncMutex<Identity>,
    in_flight: AtomicUsize,
}

/// Under which id a producer writes.
#[derive(Debug, Default)]
struct Identity {
    given: Option<ProducerIdentity>,
    /// When it was last asked for in vain, and why.
    failed: Option<(Instant, ClientError)>,
    /// Whom to ask for it next.
    turn: usize,
}

#[derive(Debug)]
struct Sticky {
    partitioner: Partitioner,
    bytes: usize,
}

impl Producer {
    pub(crate) fn new(client: Client, mut settings: ProducerSettings) -> Self {
        settings.idempotent &= settings.acks == Acks::All;
        settings.buffer_bytes =
            settings.buffer_bytes.clamp(settings.record_bytes_max, Semaphore::MAX_PERMITS);
        let memory = Arc::new(Semaphore::new(settings.buffer_bytes));
        let shared = Shared { settings, identity: AsyncMutex::default(), in_flight: AtomicUsize::new(0) };
        let (lanes, partitioners) = (AsyncMutex::default(), Mutex::default());
        Self { client, shared: Arc::new(shared), lanes, partitioners, memory }
    }

    /// Takes a record for sending; waits while the buffer is full. Records that one task hands over one after the other
    /// keep their order within a partition. Await the [`Delivery`] to learn what became of it. A topic that no broker
    /// knows, or that has no such partition, is asked for again until `max.block.ms` is over: it may have been made a moment
    /// ago. The wait for room in the buffer ends then, too.
    ///
    /// # Errors
    /// [`ProduceError`]; the record is then certainly not written.
    pub async fn send(&self, topic: &str, mut record: Record) -> Result<Delivery, ProduceError> {
        let settings = &self.shared.settings;
        let bytes = record.bytes();
        if bytes > settings.record_bytes_max {
            return Err(ProduceError::TooLarge { bytes, bytes_max: settings.record_bytes_max });
        }
        self.client.keep_fresh();
        let deadline = self.client.env().now() + settings.block_max;
        let found = self.client.image_until(topic, record.partition, deadline).await;
        let image = found.map_err(|error| self.not_found(topic, record.partition, error))?;
        let room = self.room(bytes, deadline).await?;
        let detail = image.topic(topic).ok_or_else(|| unknown_topic(topic))?;
        let index = self.choose(detail, &record, bytes)?;
        record.partition = Some(index);
        let timestamp_ms = record
            .timestamp_ms
            .unwrap_or_else(|| i64::try_from(self.client.env().wall_ms()).unwrap_or(i64::MAX));
        let (reply, outcome) = oneshot::channel();
        let partition = TopicPartition { topic: detail.topic, partition: index };
        let lane = self.lane(topic, partition).await;
        let since = self.client.env().now();
        let entry = Entry { record, timestamp_ms, since, reply, room };
        lane.send(Order::Record(entry)).map_err(|_| ProduceError::Closed { outcome: Outcome::NotDone })?;
        Ok(Delivery { outcome })
    }

    /// Waits until every record that was taken so far is acknowledged or has failed.
    pub async fn flush(&self) {
        let mut waits = Vec::new();
        for lane in self.lanes.lock().await.values() {
            let (done, wait) = oneshot::channel();
            if lane.send(Order::Flush(done)).is_ok() {
                waits.push(wait);
            }
        }
        for wait in waits {
            // A lane that has ended has nothing left.
            let _ = wait.await;
        }
    }

    /// Sends what is left, waits for the outcome, and ends.
    pub async fn close(self) {
        self.flush().await;
    }

    /// Batches that were sent and not yet answered.
    #[must_use]
    pub fn batches_in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    fn not_found(&self, topic: &str, wanted: Option<PartitionIndex>, error: ClientError) -> ProduceError {
        let is_refused = error.code() == Some(ErrorCode::UnknownTopicOrPartition);
        match wanted.filter(|_| is_refused && self.client.image().topic(topic).is_some()) {
            Some(wanted) => ProduceError::NoSuchPartition { topic: topic.to_owned(), partition: wanted.0 },
            None => error.into(),
        }
    }

    async fn room(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, ProduceError> {
        let settings = &self.shared.settings;
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        // Mostly there is room, and a timer for each record would cost more than the rest of this.
        if let Ok(room) = Arc::clone(&self.memory).try_acquire_many_owned(permits) {
            return Ok(room);
        }
        let room = Arc::clone(&self.memory).acquire_many_owned(permits);
        match self.client.env().timeout_at(deadline, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(ProduceError::Closed { outcome: Outcome::NotDone }),
            Err(_) => Err(ProduceError::BufferFull { after: settings.block_max }),
        }
    }

    fn choose(
        &self,
        topic: &TopicDetail,
        record: &Record,
        bytes: usize,
    ) -> Result<PartitionIndex, ProduceError> {
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        if let Some(wanted) = record.partition {
            let missing = || ProduceError::NoSuchPartition { topic: topic.name.clone(), partition: wanted.0 };
            return has(topic, wanted).then_some(wanted).ok_or_else(missing);
        }
        let mut partitioners = self.partitioners();
        let start = || Sticky {
            partitioner: Partitioner::starting_at(
                u32::try_from(self.client.env().random_u64() >> 33).unwrap_or(0),
            ),
            bytes: 0,
        };
        if !partitioners.contains_key(&topic.name) {
            partitioners.insert(topic.name.clone(), start());
        }
        let Some(sticky) = partitioners.get_mut(&topic.name) else { return Ok(PartitionIndex(0)) };
        let index = sticky.partitioner.choose(record.key.as_deref(), count);
        if record.key.is_none() {
            sticky.bytes += bytes;
            if sticky.bytes >= self.shared.settings.batch_bytes {
                sticky.bytes = 0;
                sticky.partitioner.turn();
            }
        }
        Ok(PartitionIndex(index))
    }

    fn partitioners(&self) -> MutexGuard<'_, BTreeMap<String, Sticky>> {
        self.partitioners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn lane(&self, topic: &str, partition: TopicPartition) -> mpsc::UnboundedSender<Order> {
        let mut lanes = self.lanes.lock().await;
        if let Some(lane) = lanes.get(&partition) {
            return lane.clone();
        }
        let (sender, orders) = mpsc::unbounded_channel();
        let lane = Lane::new(self.client.clone(), Arc::clone(&self.shared), topic, partition, orders);
        self.client.env().spawn("produce", lane.run());
        lanes.insert(partition, sender.clone());
        sender
    }
}

fn has(topic: &TopicDetail, wanted: PartitionIndex) -> bool {
    crate::metadata::find(topic, wanted).is_some()
}

impl Shared {
    /// The producer id, asked for when it is first needed. A call that waited while another one asked in vain does not ask
    /// again.
    async fn identity(&self, client: &Client) -> Result<ProducerIdentity, ClientError> {
        let began = client.env().now();
        let mut identity = self.identity.lock().await;
        if let Some(given) = identity.given {
            return Ok(given);
        }
        if let Some((_, error)) = identity.failed.as_ref().filter(|(at, _)| *at > began) {
            return Err(error.clone());
        }
        let deadline = client.env().now() + client.settings().connect_timeout * 2;
        let asked = client.ask_once(&Request::InitProducerId, deadline, identity.turn).await;
        let given = match asked {
            Ok(Answer::Producer(given)) => Ok(given),
            Ok(_) => {
                Err(ClientError::UnexpectedAnswer { from: "a broker".to_owned(), what: "a producer id" })
            }
            Err(error) => Err(error),
        };
        match &given {
            Ok(given) => identity.given = Some(*given),
            Err(error) => {
                identity.failed = Some((client.env().now(), error.clone()));
                identity.turn = identity.turn.wrapping_add(1);
            }
        }
        given
    }
}
