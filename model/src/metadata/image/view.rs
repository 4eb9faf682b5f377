//! What an image tells the replicas of one partition.

use super::Image;
use crate::id::{NodeId, TopicPartition};
use crate::replication::{PartitionView, ReplicaView};

impl Image {
    /// What the replicas of `partition` are told, all from this image (X4).
    #[must_use]
    pub fn partition_view(&self, partition: TopicPartition) -> Option<PartitionView> {
        let state = self.partition(partition)?;
        Some(PartitionView {
            metadata_offset: self.end(),
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            isr: state.isr,
            min_isr: state.min_isr,
            flush: state.flush,
            replicas: state.replicas.iter().map(|node| self.replica_view(*node)).collect(),
        })
    }

    fn replica_view(&self, node: NodeId) -> ReplicaView {
        let broker = self.broker(node);
        ReplicaView {
            broker_epoch: broker.map(|broker| broker.broker_epoch),
            eligible: broker.is_some_and(super::super::Broker::is_active),
        }
    }
}
