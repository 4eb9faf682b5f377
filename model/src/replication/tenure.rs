//! What does not change while one incarnation of a broker holds one replica.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{IsrSet, ReplicaIdx};
use crate::id::{BrokerEpoch, NodeId, TopicPartition};

/// Fixed facts of one replica in one incarnation of its broker. A new assignment or registration is a new tenure, with a
/// [`Replica`](super::Replica) recovered anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tenure {
    /// The partition.
    pub partition: TopicPartition,
    /// The own position in `replicas`.
    pub own: ReplicaIdx,
    /// The assignment: node behind each [`ReplicaIdx`]; 1 to [`REPLICAS_MAX`](super::REPLICAS_MAX) of them.
    pub replicas: SmallVec<[NodeId; 3]>,
    /// The own registration: it orders the incarnations of this broker, and is what requests carry and answers echo.
    pub broker_epoch: BrokerEpoch,
}

impl Tenure {
    /// Number of replicas.
    #[must_use]
    pub fn replica_count(&self) -> u8 {
        u8::try_from(self.replicas.len()).unwrap_or(super::REPLICAS_MAX)
    }

    /// Every replica but the own one, in the order of the assignment.
    pub fn others(&self) -> impl Iterator<Item = ReplicaIdx> + use<> {
        IsrSet::first(self.replica_count()).without(self.own).iter()
    }
}
