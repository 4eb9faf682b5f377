//! Consuming records of partitions that are named one by one.
//!
//! Keeps one fetch under way per leader, follows leaders, and hands out records in the order of their offsets. Leaves
//! groups, which would name the partitions, to others.

mod fetched;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::{
    Answer, ApiError, FetchPartition, FetchedPartition, ListOffsetsPartition, OffsetSpec, Request,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, Offset, PartitionIndex, TopicPartition};
use highwater_transport::batch::BatchError;
use highwater_transport::env::Instant;
use tokio::sync::mpsc;

use crate::client::{Backoff, Client, unknown_topic};
use crate::error::{ClientError, ConsumeError};
use crate::metadata::Image;
use crate::settings::ConsumerSettings;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first record that is kept.
    Beginning,
    /// With the next record to become visible.
    End,
    /// With this offset, inclusive.
    Offset(Offset),
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// The topic and partition that it was read from.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
    /// Its headers in order; names may repeat.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// First offset, inclusive.
    pub start: Offset,
    /// End of what may be read, exclusive.
    pub end: Offset,
}

/// How far a partition has been read.
#[derive(Debug)]
struct Position {
    topic: String,
    /// Next offset wanted, inclusive.
    next: Offset,
    high_watermark: Option<Offset>,
    /// Whose fetch it is part of, while one is under way.
    asked: Option<NodeId>,
    /// Not to be asked for before.
    not_before: Instant,
    backoff: Backoff,
}

/// What came of one fetch.
struct Arrival {
    node: NodeId,
    partitions: Vec<FetchPartition>,
    answer: Result<(Answer, Vec<Bytes>), ClientError>,
}

/// Reads partitions.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    settings: ConsumerSettings,
    positions: BTreeMap<TopicPartition, Position>,
    ready: VecDeque<Consumed>,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    report: mpsc::UnboundedSender<Arrival>,
}

impl Consumer {
    pub(crate) fn new(client: Client, settings: ConsumerSettings) -> Self {
        let (report, arrivals) = mpsc::unbounded_channel();
        Self { client, settings, positions: BTreeMap::new(), ready: VecDeque::new(), arrivals, report }
    }

    /// Reads a partition from here on. A partition that is read already starts anew there.
    ///
    /// # Errors
    /// If no broker knows the topic and this partition of it, or the end of its log cannot be learnt, until
    /// `default.api.timeout.ms` is over.
    pub async fn assign(
        &mut self,
        topic: &str,
        partition: PartitionIndex,
        start: Start,
    ) -> Result<(), ConsumeError> {
        let deadline = self.client.env().now() + self.client.settings().api_timeout;
        let id = find(&self.client, topic, partition, deadline).await?;
        let next = match start {
            Start::Offset(offset) => offset,
            Start::Beginning => list_offset(&self.client, topic, id, OffsetSpec::Earliest, deadline).await?,
            Start::End => list_offset(&self.client, topic, id, OffsetSpec::Latest, deadline).await?,
        };
        let position = Position {
            topic: topic.to_owned(),
            next,
            high_watermark: None,
            asked: None,
            not_before: self.client.env().now(),
            backoff: self.client.backoff(),
        };
        self.positions.insert(id, position);
        Ok(())
    }

    /// Stops reading a partition.
    pub fn unassign(&mut self, topic: &str, partition: PartitionIndex) {
        self.positions.retain(|id, position| !(id.partition == partition && position.topic == topic));
    }

    /// The next offset that will be handed out of a partition, if it is read, inclusive.
    #[must_use]
    pub fn position(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        let mut positions = self.positions.iter();
        let found = positions.find(|(id, position)| id.partition == partition && position.topic == topic);
        found.map(|(_, position)| position.next)
    }

    /// The end of what may be read of a partition, exclusive, as of the last fetch.
    #[must_use]
    pub fn high_watermark(&self, topic: &str, partition: PartitionIndex) -> Option<Offset> {
        let mut positions = self.positions.iter();
        let found = positions.find(|(id, position)| id.partition == partition && position.topic == topic);
        found.and_then(|(_, position)| position.high_watermark)
    }

    /// Waits for records for at most `timeout`; none if there were none. Leaders that change or cannot be reached are
    /// waited for.
    ///
    /// # Errors
    /// If an offset is outside its log, a batch is damaged, or the cluster refuses for good.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Vec<Consumed>, ConsumeError> {
        let env = self.client.env().clone();
        let deadline = env.now() + timeout;
        while self.ready.is_empty() {
            self.client.keep_fresh();
            self.all_there()?;
            let next_ask = self.fetch().await;
            let until = next_ask.map_or(deadline, |next| next.min(deadline));
            match env.timeout_at(until, self.arrivals.recv()).await {
                Ok(Some(arrival)) => self.arrived(arrival)?,
                Ok(None) => break,
                Err(_) if env.now() >= deadline => break,
                Err(_) => {}
            }
        }
        if !self.ready.is_empty() {
            self.fetch().await;
        }
        Ok(self.ready.drain(..).collect())
    }

    /// Fails if a topic was deleted: one of the same name would be another.
    fn all_there(&self) -> Result<(), ClientError> {
        let image = self.client.image();
        let gone = self.positions.iter().find(|(id, _)| image.topic_by_id(id.topic).is_none());
        gone.map_or(Ok(()), |(_, position)| {
            let message = format!("topic {} was deleted", position.topic);
            Err(ClientError::Refused(ApiError::new(ErrorCode::UnknownTopicOrPartition, message)))
        })
    }

    /// Starts a fetch at every leader that has none under way; says when to try again if one could not be asked.
    async fn fetch(&mut self) -> Option<Instant> {
        let now = self.client.env().now();
        let image = self.client.image();
        let busy: Vec<NodeId> = self.positions.values().filter_map(|position| position.asked).collect();
        let mut wanted: BTreeMap<NodeId, Vec<FetchPartition>> = BTreeMap::new();
        let mut leaderless = Vec::new();
        for (id, position) in &self.positions {
            if position.asked.is_some() || position.not_before > now {
                continue;
            }
            match image.leader(*id) {
                Some(leader) if busy.contains(&leader.node) => {}
                Some(leader) => wanted.entry(leader.node).or_default().push(FetchPartition {
                    partition: *id,
                    leader_epoch: Some(leader.leader_epoch),
                    fetch_offset: position.next,
                    bytes_max: self.settings.partition_bytes_max,
                }),
                None => leaderless.push(*id),
            }
        }
        if !leaderless.is_empty() {
            self.retry_later(&leaderless).await;
        }
        for (node, partitions) in wanted {
            self.start(node, partitions).await;
        }
        next_ask(&self.client.image(), &self.positions)
    }

    async fn start(&mut self, node: NodeId, partitions: Vec<FetchPartition>) {
        let ids: Vec<TopicPartition> = partitions.iter().map(|partition| partition.partition).collect();
        let request = Request::Fetch {
            wait_ms_max: u32::try_from(self.settings.fetch_wait_max.as_millis()).unwrap_or(u32::MAX),
            bytes_min: self.settings.fetch_bytes_min,
            bytes_max: self.settings.fetch_bytes_max,
            partitions: partitions.clone(),
        };
        let timeout = self.client.settings().request_timeout + self.settings.fetch_wait_max;
        let started = match self.client.link(node).await {
            Ok(link) => link.start(&request, Vec::new(), timeout).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(pending) => {
                for id in &ids {
                    if let Some(position) = self.positions.get_mut(id) {
                        position.asked = Some(node);
                    }
                }
                let report = self.report.clone();
                self.client.env().spawn("await fetch", async move {
                    let answer = pending.answer().await;
                    // A consumer that is gone has nobody waiting.
                    let _ = report.send(Arrival { node, partitions, answer });
                });
            }
            Err(error) => {
                tracing::debug!(%node, %error, "fetch not sent");
                self.retry_later(&ids).await;
            }
        }
    }

    /// Leaves partitions alone for a moment and looks for their leaders.
    async fn retry_later(&mut self, ids: &[TopicPartition]) {
        let now = self.client.env().now();
        let mut topics: Vec<String> = Vec::new();
        for id in ids {
            if let Some(position) = self.positions.get_mut(id) {
                position.not_before = now + position.backoff.next();
                topics.push(position.topic.clone());
            }
        }
        topics.sort();
        topics.dedup();
        if let Err(error) = self.client.refresh(Some(&topics)).await {
            tracing::debug!(%error, "metadata not refreshed");
        }
    }

    fn arrived(&mut self, arrival: Arrival) -> Result<(), ConsumeError> {
        for partition in &arrival.partitions {
            let position = self.positions.get_mut(&partition.partition);
            if let Some(position) = position.filter(|position| position.asked == Some(arrival.node)) {
                position.asked = None;
            }
        }
        let (partitions, payload) = match arrival.answer {
            Ok((Answer::Fetch(answer), payload)) => (answer.partitions, payload),
            Ok(_) => {
                let from = format!("broker {}", arrival.node);
                return Err(ClientError::UnexpectedAnswer { from, what: "records" }.into());
            }
            Err(error) if error.is_retriable() => {
                tracing::debug!(node = %arrival.node, %error, "fetch not answered");
                self.forget_leaders(&arrival.partitions);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let mut payload = fetched::Pieces::new(payload);
        for (asked, partition) in arrival.partitions.iter().zip(partitions) {
            self.take(asked, partition, &mut payload)?;
        }
        Ok(())
    }

    /// Their leaders are looked for before they are asked for again.
    fn forget_leaders(&mut self, partitions: &[FetchPartition]) {
        let now = self.client.env().now();
        let mut topics = Vec::new();
        for partition in partitions {
            if let Some(position) = self.positions.get_mut(&partition.partition) {
                position.not_before = now + position.backoff.next();
                topics.push(position.topic.clone());
            }
        }
        let client = self.client.clone();
        self.client.env().spawn("refresh metadata", async move {
            if let Err(error) = client.refresh(Some(&topics)).await {
                tracing::debug!(%error, "metadata not refreshed");
            }
        });
    }

    fn take(
        &mut self,
        asked: &FetchPartition,
        partition: FetchedPartition,
        payload: &mut fetched::Pieces,
    ) -> Result<(), ConsumeError> {
        let id = partition.partition;
        let bytes = match partition.result {
            Ok(size) => payload.take(size as usize),
            Err(error) if error.code == ErrorCode::OffsetOutOfRange => {
                let topic =
                    self.positions.get(&id).map(|position| position.topic.clone()).unwrap_or_default();
                let (partition, offset) = (id.partition.0, asked.fetch_offset.0);
                return Err(ConsumeError::OutOfRange { topic, partition, offset, message: error.message });
            }
            Err(error) if error.code.is_retriable() => {
                tracing::debug!(partition = %id, %error, "partition not fetched");
                self.forget_leaders(&[*asked]);
                return Ok(());
            }
            Err(error) => return Err(ClientError::Refused(error).into()),
        };
        let Some(position) = self.positions.get_mut(&id) else { return Ok(()) };
        if position.next != asked.fetch_offset {
            // It was assigned anew meanwhile.
            return Ok(());
        }
        position.backoff = self.client.backoff();
        position.high_watermark = Some(partition.high_watermark);
        let unreadable = |what: Result<BatchError, String>| {
            let (topic, partition, offset) = (position.topic.clone(), id.partition.0, asked.fetch_offset.0);
            match what {
                Ok(BatchError::Compressed(codec)) => {
                    ConsumeError::Compressed { topic, partition, offset, codec }
                }
                Ok(error) => ConsumeError::Corrupt { topic, partition, offset, what: error.to_string() },
                Err(what) => ConsumeError::Corrupt { topic, partition, offset, what },
            }
        };
        let bytes = bytes.ok_or_else(|| unreadable(Err("the answer is shorter than it says".to_owned())))?;
        let read = fetched::records(bytes, id, asked.fetch_offset);
        let (records, next) = read.map_err(|error| unreadable(Ok(error)))?;
        position.next = next;
        self.ready.extend(records);
        Ok(())
    }
}

/// When the next partition is to be asked for. One whose leader has a fetch under way waits for that to end, however long
/// it has been due.
fn next_ask(image: &Image, positions: &BTreeMap<TopicPartition, Position>) -> Option<Instant> {
    let busy: Vec<NodeId> = positions.values().filter_map(|position| position.asked).collect();
    let may_be_asked = |(id, position): &(&TopicPartition, &Position)| {
        position.asked.is_none() && image.leader(**id).is_none_or(|leader| !busy.contains(&leader.node))
    };
    positions.iter().filter(may_be_asked).map(|(_, position)| position.not_before).min()
}

/// A partition by the name of its topic. Brokers are asked until one knows it or the time is over.
async fn find(
    client: &Client,
    topic: &str,
    partition: PartitionIndex,
    deadline: Instant,
) -> Result<TopicPartition, ClientError> {
    let image = client.image_until(topic, Some(partition), deadline).await?;
    let detail = image.topic(topic).ok_or_else(|| unknown_topic(topic))?;
    Ok(TopicPartition { topic: detail.topic, partition })
}

/// One end of a partition's log, asked of its leader until it answers or the time is over.
async fn list_offset(
    client: &Client,
    topic: &str,
    partition: TopicPartition,
    spec: OffsetSpec,
    deadline: Instant,
) -> Result<Offset, ClientError> {
    let request = Request::ListOffsets { partitions: vec![ListOffsetsPartition { partition, spec }] };
    let mut backoff = client.backoff();
    loop {
        let error = match ask_leader(client, partition, &request, deadline).await {
            Ok(offset) => return Ok(offset),
            Err(error) if !error.is_retriable() => return Err(error),
            Err(error) => error,
        };
        let again_at = client.env().now() + backoff.next();
        if again_at >= deadline {
            return Err(error);
        }
        client.env().sleep_until(again_at).await;
        if let Err(error) = client.refresh_until(vec![topic.to_owned()], deadline).await {
            tracing::debug!(%error, "metadata not refreshed");
        }
        if client.env().now() >= deadline {
            return Err(error);
        }
    }
}

async fn ask_leader(
    client: &Client,
    partition: TopicPartition,
    request: &Request,
    deadline: Instant,
) -> Result<Offset, ClientError> {
    let leaderless = || {
        let what = format!("partition {} has no leader", partition.partition);
        ClientError::Refused(ApiError::new(ErrorCode::LeaderNotAvailable, what))
    };
    let leader = client.image().leader(partition).ok_or_else(leaderless)?;
    let unexpected =
        || ClientError::UnexpectedAnswer { from: format!("broker {}", leader.node), what: "offsets" };
    let soon = client.env().now() + client.settings().connect_timeout * 2;
    let Answer::ListOffsets(listed) = client.ask(leader.node, request, deadline.min(soon)).await? else {
        return Err(unexpected());
    };
    let listed = listed.into_iter().next().ok_or_else(unexpected)?;
    listed.result.map(|(offset, _)| offset).map_err(ClientError::Refused)
}

impl Client {
    /// Both ends of a partition: where its log begins and where what may be read ends.
    ///
    /// # Errors
    /// If no broker knows the partition, or it has no leader that answers, until `default.api.timeout.ms` is over.
    pub async fn ends(&self, topic: &str, partition: PartitionIndex) -> Result<Ends, ClientError> {
        let deadline = self.env().now() + self.settings().api_timeout;
        let id = find(self, topic, partition, deadline).await?;
        let start = list_offset(self, topic, id, OffsetSpec::Earliest, deadline).await?;
        let end = list_offset(self, topic, id, OffsetSpec::Latest, deadline).await?;
        Ok(Ends { start, end })
    }

    /// The end of what may be read of a partition, exclusive, with every record that was acknowledged at `acks=all` before this
    /// was asked: the leader makes sure that it still leads before it answers.
    ///
    /// # Errors
    /// As [`Self::ends`].
    pub async fn linearizable_end(
        &self,
        topic: &str,
        partition: PartitionIndex,
    ) -> Result<Offset, ClientError> {
        let deadline = self.env().now() + self.settings().api_timeout;
        let id = find(self, topic, partition, deadline).await?;
        list_offset(self, topic, id, OffsetSpec::LatestLinearizable, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::api::{MetadataAnswer, PartitionDetail, TopicDetail};
    use highwater_model::id::{ClusterId, LeaderEpoch, PartitionEpoch, TopicId};

    fn led_by(leaders: &[u32]) -> Image {
        let detail = |(index, leader): (u32, &u32)| PartitionDetail {
            partition: PartitionIndex(index),
            leader: Some(NodeId(*leader)),
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            replicas: Vec::new(),
            isr: Vec::new(),
            eligible_leaders: Vec::new(),
            replica_details: Vec::new(),
        };
        Image::default().merged(&MetadataAnswer {
            cluster: ClusterId(1),
            metadata_offset: Offset(1),
            controller: None,
            brokers: Vec::new(),
            topics: vec![Ok(TopicDetail {
                name: "t".to_owned(),
                topic: TopicId(1),
                min_insync_replicas: 1,
                configs: Vec::new(),
                partitions: (0..).zip(leaders).map(detail).collect(),
            })],
        })
    }

    fn position(partition: u32, asked: Option<u32>, not_before_ms: u64) -> (TopicPartition, Position) {
        let id = TopicPartition { topic: TopicId(1), partition: PartitionIndex(partition) };
        let position = Position {
            topic: "t".to_owned(),
            next: Offset(0),
            high_watermark: None,
            asked: asked.map(NodeId),
            not_before: Instant::since_origin(Duration::from_millis(not_before_ms)),
            backoff: Backoff::default(),
        };
        (id, position)
    }

    #[test]
    fn a_partition_that_is_due_waits_for_the_fetch_under_way_at_its_leader() {
        let image = led_by(&[1, 1, 2]);

        let both_of_one = [position(0, Some(1), 0), position(1, None, 20)].into();
        assert_eq!(next_ask(&image, &both_of_one), None);

        let one_of_another = [position(0, Some(1), 0), position(1, None, 20), position(2, None, 90)].into();
        assert_eq!(next_ask(&image, &one_of_another), Some(Instant::since_origin(Duration::from_millis(90))));
    }
}
