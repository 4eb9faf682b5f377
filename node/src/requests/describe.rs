//! Descriptions: the cluster, its topics and its quorum, from the newest committed image.

use highwater_model::api::{
    ApiError, BrokerDetail, ClusterDetail, MetadataAnswer, PartitionDetail, QuorumDetail, ReplicaDetail,
    TopicDetail,
};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::PartitionIndex;
use highwater_model::metadata::{Broker, Health, Image, Partition, Topic};

use super::{RequestHandler, unknown_topic};
use crate::controller_client::answered_otherwise;
use crate::driver::replication::missing_replica;
use crate::peers::wire::{ControllerAnswer, ControllerCall};

impl RequestHandler {
    pub(super) fn metadata(&self, names: Option<&[String]>) -> MetadataAnswer {
        let image = self.image();
        let topics = match names {
            None => image.topics().map(|topic| Ok(topic_detail(topic))).collect(),
            Some(names) => names.iter().map(|name| named_topic(&image, name)).collect(),
        };
        MetadataAnswer {
            cluster: self.cluster,
            metadata_offset: image.end(),
            controller: self.controller.leader(),
            brokers: image.brokers().iter().map(broker_detail).collect(),
            topics,
        }
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
    async fn catch_up(&self) -> Result<(), ApiError> {
        let answer = self.controller.ask(ControllerCall::ReadPoint, self.timing.request).await?;
        let ControllerAnswer::ReadPoint(point) = answer else {
            return Err(answered_otherwise());
        };
        let mut images = self.images.clone();
        let applied = async { drop(images.wait_for(|image| image.end() >= point).await) };
        self.env.timeout(self.timing.request, applied).await.map_err(|_| {
            let message = format!("this node has not applied the metadata up to {point} in time; ask again");
            ApiError::new(ErrorCode::RequestTimedOut, message)
        })
    }

    pub(super) async fn describe_topic(&self, name: &str) -> Result<TopicDetail, ApiError> {
        let image = self.image();
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

    pub(super) async fn describe_quorum(&self) -> Result<QuorumDetail, ApiError> {
        let answer = self.controller.ask(ControllerCall::DescribeQuorum, self.timing.request).await?;
        if let ControllerAnswer::Quorum(detail) = answer { Ok(detail) } else { Err(answered_otherwise()) }
    }
}

fn named_topic(image: &Image, name: &str) -> Result<TopicDetail, (String, ApiError)> {
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
