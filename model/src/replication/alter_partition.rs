//! A leader's proposal of another ISR to the controller, and the answer (R40, R43, R45).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{FlushPolicy, IsrSet, ReplicaIdx};
use crate::error_code::ErrorCode;
use crate::id::{BrokerEpoch, LeaderEpoch, PartitionEpoch, RequestId};

/// A member of a proposed ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposedMember {
    /// Which replica.
    pub replica: ReplicaIdx,
    /// The registration under which the leader heard from it. `None` when it has not: legal only for a member that is
    /// in the ISR already (R43.4).
    pub broker_epoch: Option<BrokerEpoch>,
}

/// A proposal. The controller decides by compare-and-set on the two epochs (R43). A repetition is identical, its id
/// included. A proposal of the ISR as it is is accepted like any other and raises the partition epoch: a leader uses it
/// to void the copies of an earlier proposal that may still be on their way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlterPartition {
    /// Which proposal of this leader's incarnation this is.
    pub request_id: RequestId,
    /// The leader's registration.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch that it leads in.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that it builds on.
    pub partition_epoch: PartitionEpoch,
    /// The proposed ISR, in the order of the assignment; the leader is in it.
    pub members: SmallVec<[ProposedMember; 3]>,
}

impl AlterPartition {
    /// The proposed ISR.
    #[must_use]
    pub fn isr(&self) -> IsrSet {
        self.members.iter().map(|member| member.replica).collect()
    }
}

/// The controller's answer. No answer at all, or one that leaves the outcome open, is not given to the core: its timer
/// repeats the proposal (R45).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlterPartitionAnswer {
    /// The proposal that it answers.
    pub request_id: RequestId,
    /// What became of it.
    pub outcome: AlterPartitionOutcome,
}

/// What became of a proposal, as R45 tells outcomes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlterPartitionOutcome {
    /// It was applied and is committed. All from the same record of the partition (X4).
    Applied {
        /// The leader epoch after it.
        leader_epoch: LeaderEpoch,
        /// The partition epoch after it.
        partition_epoch: PartitionEpoch,
        /// The ISR after it.
        isr: IsrSet,
        /// Effective `min.insync.replicas` in the same record.
        min_isr: u8,
        /// The flush policy in the same record.
        flush: FlushPolicy,
    },
    /// Not applied although both epochs were current: a member is not eligible (`INELIGIBLE_REPLICA`). The leader goes
    /// back to the committed ISR.
    NotApplied,
    /// Refused because this leader is behind (`FENCED_LEADER_EPOCH`, `INVALID_UPDATE_VERSION`, `NEW_LEADER_ELECTED`,
    /// `STALE_BROKER_EPOCH`, `UNKNOWN_TOPIC_ID`): an earlier copy may have been applied, so the leader stays pending
    /// until the metadata tells.
    Behind(ErrorCode),
}
