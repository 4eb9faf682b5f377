//! Descriptions: the cluster, its topics and its quorum, from the newest committed image.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use highwater_model::api::{
    ApiError, BrokerDetail, ClusterDetail, MetadataAnswer, MonitorsDetail, PartitionDetail, QuorumDetail,
    ReplicaDetail, TopicDetail,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{Offset, PartitionIndex};
use highwater_model::metadata::{Broker, Health, Image, Partition, Topic};
use highwater_transport::env::Env;
use highwater_transport::watch;

use super::{RequestHandler, unknown_topic};
use crate::controller_client::answered_otherwise;
use crate::driver::replication::missing_replica;
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// A topic, or why there is none of this name.
type Described = Result<TopicDetail, (String, ApiError)>;

/// The most topics that can be named in one request.
const NAMES_MAX: usize = 10_000;
/// The most that one answer describes, a topic counted as [`TOPIC_WEIGHT`] partitions. Each takes some 250 bytes here, and
/// less than 100 in the answer.
const WEIGHT_MAX: usize = 100_000;
/// What a topic takes without its partitions, its configuration above all.
const TOPIC_WEIGHT: usize = 3;

impl RequestHandler {
    pub(super) fn metadata(&self, names: Option<&[String]>) -> Result<MetadataAnswer, ApiError> {
        let image = self.image();
        let topics = described(&image, names)?;
        Ok(MetadataAnswer {
            cluster: self.cluster,
            metadata_offset: image.end(),
            controller: self.controller.leader(),
            brokers: image.brokers().iter().map(broker_detail).collect(),
            topics,
        })
    }

    pub(super) async fn describe_cluster(&self, linearizable: bool) -> Result<ClusterDetail, ApiError> {
        if linearizable {
            self.catch_up().await?;
        }
        let image = self.image();
        let counted = |is_so: fn(Health) -> bool| {
            count(image.partitions().filter(|(_, state)| is_so(state.health())).count())
        };
        Ok(ClusterDetail {
            cluster: self.cluster,
            controller: self.controller.leader(),
            metadata_offset: image.end(),
            brokers: image.brokers().iter().map(broker_detail).collect(),
            topics: count(image.topics().count()),
            partitions: count(image.partitions().count()),
            offline: counted(Health::is_offline),
            under_replicated: counted(Health::is_under_replicated),
            under_min_isr: counted(Health::is_under_min_isr),
        })
    }

    /// Waits until this node has applied everything that was acknowledged before now (Q18).
    pub(super) async fn catch_up(&self) -> Result<(), ApiError> {
        // The answer shall come before the client gives up.
        let deadline = self.env.now() + self.timing.request * 9 / 10;
        let left = || deadline.since(self.env.now());
        let answer = self.controller.ask(ControllerCall::ReadPoint, left()).await?;
        let ControllerAnswer::ReadPoint(point) = answer else {
            return Err(answered_otherwise());
        };
        if has_applied(&self.env, self.images.clone(), point, left()).await {
            return Ok(());
        }
        let message = format!("this node has not applied the metadata up to {point} in time; ask again");
        Err(ApiError::new(ErrorCode::RequestTimedOut, message))
    }

    /// An image with this topic in it. That there is none is said only of what the active controller has: this node may not
    /// have heard of it yet.
    pub(super) async fn image_with(&self, name: &str) -> Result<Arc<Image>, ApiError> {
        if self.image().topic_by_name(name).is_none() {
            self.catch_up().await?;
        }
        Ok(self.image())
    }

    pub(super) async fn describe_topic(&self, name: &str) -> Result<TopicDetail, ApiError> {
        let image = self.image_with(name).await?;
        let topic = image.topic_by_name(name).ok_or_else(|| unknown_topic(name))?;
        let mut detail = topic_detail(topic);
        for ((partition, state), described) in topic.named_partitions().zip(&mut detail.partitions) {
            let known = self.partitions.describe(partition).await;
            described.replica_details = self.replica_details(state, known);
        }
        Ok(detail)
    }

    /// What each replica knows, as far as this broker can tell, and why members are missing, from the image.
    fn replica_details(&self, state: &Partition, known: Vec<ReplicaDetail>) -> Vec<ReplicaDetail> {
        let now_ms = self.env.wall_ms();
        let detail = |(replica, node)| {
            let nothing = ReplicaDetail {
                node,
                log_start: None,
                high_watermark: None,
                log_end: None,
                missing_because: None,
            };
            let known = known.iter().find(|known| known.node == node).cloned().unwrap_or(nothing);
            let is_missing = !state.isr.contains(replica);
            let missing_because = is_missing.then(|| missing_replica(node, replica, state, now_ms));
            ReplicaDetail { missing_because, ..known }
        };
        state.assignment().map(detail).collect()
    }

    pub(super) fn describe_monitors(&self) -> MonitorsDetail {
        let interval = self.monitors.interval().map(NonZeroU32::get);
        MonitorsDetail { node: self.own, interval, counts: self.monitors.counts() }
    }

    pub(super) async fn describe_quorum(&self) -> Result<QuorumDetail, ApiError> {
        let answer = self.controller.ask(ControllerCall::DescribeQuorum, self.timing.request).await?;
        if let ControllerAnswer::Quorum(detail) = answer { Ok(detail) } else { Err(answered_otherwise()) }
    }
}

/// Waits until a node has applied the metadata up to a point, exclusive. One that stops applies nothing any more, and must not
/// answer as if it had.
async fn has_applied(
    env: &Env,
    mut images: watch::Receiver<Arc<Image>>,
    point: Offset,
    within: Duration,
) -> bool {
    let applied = async { images.wait_for(|image| image.end() >= point).await.is_ok() };
    env.timeout(within, applied).await.unwrap_or(false)
}

/// The topics of these names, each once, or all. What would be too much for one answer is counted before any of it is made.
fn described(image: &Image, names: Option<&[String]>) -> Result<Vec<Described>, ApiError> {
    let too_much = |message: String| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    if let Some(count) = names.map(<[String]>::len).filter(|count| *count > NAMES_MAX) {
        return too_much(format!("{count} topics are named, at most {NAMES_MAX} can be in one request"));
    }
    let weight = |topic: &Topic| topic.partitions.len() + TOPIC_WEIGHT;
    let names: Option<BTreeSet<&str>> = names.map(|names| names.iter().map(String::as_str).collect());
    let asked: usize = match &names {
        None => image.topics().map(weight).sum(),
        Some(names) => names.iter().filter_map(|name| image.topic_by_name(name)).map(weight).sum(),
    };
    if asked > WEIGHT_MAX {
        return too_much(format!("some {asked} partitions are too many for one answer; name fewer topics"));
    }
    Ok(match names {
        None => image.topics().map(|topic| Ok(topic_detail(topic))).collect(),
        Some(names) => names.into_iter().map(|name| named_topic(image, name)).collect(),
    })
}

fn named_topic(image: &Image, name: &str) -> Described {
    image.topic_by_name(name).map(topic_detail).ok_or_else(|| (name.to_owned(), unknown_topic(name)))
}

fn topic_detail(topic: &Topic) -> TopicDetail {
    TopicDetail {
        name: topic.name.to_string(),
        topic: topic.id,
        min_insync_replicas: topic.config.min_insync_replicas(),
        configs: topic.config.entries().map(|(name, value)| (name.to_owned(), value)).collect(),
        partitions: (0..).zip(&topic.partitions).map(partition_detail).collect(),
    }
}

fn partition_detail((index, state): (u32, &Partition)) -> PartitionDetail {
    PartitionDetail {
        partition: PartitionIndex(index),
        leader: state.leader_node(),
        leader_epoch: state.leader_epoch,
        partition_epoch: state.partition_epoch,
        replicas: state.replicas.to_vec(),
        isr: state.nodes(state.isr).collect(),
        eligible_leaders: state.nodes(state.eligible_leaders).collect(),
        replica_details: Vec::new(),
    }
}

fn broker_detail(broker: &Broker) -> BrokerDetail {
    BrokerDetail {
        node: broker.node,
        broker_epoch: broker.broker_epoch,
        address: broker.address.to_string(),
        fenced: broker.fenced,
        shutting_down: broker.stopping.is_some(),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It did, so that a linearizable answer could miss what was acknowledged.
    #[tokio::test]
    async fn a_node_that_stops_does_not_pass_for_one_that_has_caught_up() {
        let (images, seen) = watch::channel(Arc::new(Image::default()));
        let soon = Duration::from_millis(50);
        let env = Env::real();

        assert!(has_applied(&env, seen.clone(), Offset(0), soon).await);
        drop(images);
        assert!(has_applied(&env, seen.clone(), Offset(0), soon).await);
        assert!(!has_applied(&env, seen, Offset(1), soon).await);
    }

    #[test]
    fn topics_are_described_once_each_and_too_many_names_are_refused() {
        let image = Image::default();
        let names = |count: usize| vec![String::new(); count];

        assert_eq!(described(&image, Some(&names(NAMES_MAX))).map(|found| found.len()), Ok(1));
        let refused = described(&image, Some(&names(1_000_000))).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidRequest);
        assert!(refused.message.starts_with("1000000 topics are named"), "{}", refused.message);
    }
}
