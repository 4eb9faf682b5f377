//! What the metadata image tells the replicas of one partition.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{IsrSet, ReplicaIdx};
use crate::id::{BrokerEpoch, LeaderEpoch, Offset, PartitionEpoch};

/// When a record counts as held by a replica (X13): a property of the topic, carried with the partition (X13a).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FlushPolicy {
    /// Once it is written: it survives a killed process (X10).
    Os,
    /// Once it is synced: it survives a power loss (X11).
    #[default]
    Commit,
}

/// One replica as the metadata image has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplicaView {
    /// The broker's current registration, or `None` when it is not registered.
    pub broker_epoch: Option<BrokerEpoch>,
    /// Whether it is unfenced and not shutting down, so that it may be in the ISR (R43.4).
    pub eligible: bool,
}

/// One partition at one point of the metadata log. Images may be skipped, never reordered (X3).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartitionView {
    /// Up to where the metadata log was applied, exclusive; orders views.
    pub metadata_offset: Offset,
    /// The leader, if there is one.
    pub leader: Option<ReplicaIdx>,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// Version of the partition's record (leader, ISR, min ISR, policy).
    pub partition_epoch: PartitionEpoch,
    /// The committed ISR.
    pub isr: IsrSet,
    /// Effective `min.insync.replicas` (R4): within 1 and the number of replicas.
    pub min_isr: u8,
    /// When a record counts as held.
    pub flush: FlushPolicy,
    /// The replicas, in the order of the assignment.
    pub replicas: SmallVec<[ReplicaView; 3]>,
}

impl PartitionView {
    /// The replica at this position, if the assignment has it.
    #[must_use]
    pub fn replica(&self, replica: ReplicaIdx) -> Option<&ReplicaView> {
        self.replicas.get(usize::from(replica.0))
    }
}
