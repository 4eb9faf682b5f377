//! One partition as the metadata has it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::id::{BrokerEpoch, LeaderEpoch, NodeId, Offset, PartitionEpoch};
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};

/// Why a replica left the ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MissingReason {
    /// Its broker's session ended, or it asked to be fenced (Q55).
    Fenced,
    /// Its broker shut down under control (Q56).
    Shutdown,
    /// Its leader saw it fall behind (R41).
    Lagging,
    /// Its broker restarted and had kept what it had counted (R60).
    Restarted,
    /// Its broker restarted and had lost some of what it had counted (R60).
    RestartedUncleanly,
    /// It was not running when the partition was made.
    NeverJoined,
    /// Another replica was elected uncleanly (R53).
    UncleanElection,
}

/// A replica outside the ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Missing {
    /// Which one.
    pub replica: ReplicaIdx,
    /// Why.
    pub reason: MissingReason,
    /// When, by the wall clock of the controller of that time, in ms. For people; nothing is decided by it.
    pub since_ms: u64,
}

/// The state of one partition. Replicas are named by their place in `replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// Its replicas, the preferred leader first.
    pub replicas: SmallVec<[NodeId; 4]>,
    /// Its leader, if it has one.
    pub leader: Option<ReplicaIdx>,
    /// Raised by every change of leader (R46).
    pub leader_epoch: LeaderEpoch,
    /// Raised by one by every change (R46).
    pub partition_epoch: PartitionEpoch,
    /// The in-sync replicas.
    pub isr: IsrSet,
    /// Replicas outside the ISR that hold everything committed (KIP-966, R55).
    pub eligible_leaders: IsrSet,
    /// Who led last, while nobody does (R56).
    pub last_known_leader: Option<ReplicaIdx>,
    /// Whether the leader was elected uncleanly and has not yet said that it recovered (R53).
    pub recovering: bool,
    /// Effective min.insync.replicas (R4); read nowhere else (X4, MI7).
    pub min_isr: u8,
    /// What a replica may count (X13a); read nowhere else.
    pub flush: FlushPolicy,
    /// Registrations from this offset on have counted under `flush` alone; an older one may also have counted under
    /// the policy before (R60). Zero while the policy is the one that the partition was made with.
    pub flush_since: Offset,
    /// Why and since when replicas are outside the ISR, by replica.
    pub missing: SmallVec<[Missing; 2]>,
}

impl Partition {
    /// The broker of a replica.
    #[must_use]
    pub fn node(&self, replica: ReplicaIdx) -> Option<NodeId> {
        self.replicas.get(usize::from(replica.0)).copied()
    }

    /// The replica that `node` holds.
    #[must_use]
    pub fn replica_on(&self, node: NodeId) -> Option<ReplicaIdx> {
        let at = self.replicas.iter().position(|replica| *replica == node)?;
        u8::try_from(at).ok().map(ReplicaIdx)
    }

    /// The broker of the leader.
    #[must_use]
    pub fn leader_node(&self) -> Option<NodeId> {
        self.leader.and_then(|leader| self.node(leader))
    }

    /// The brokers of a set of replicas, in replica order.
    pub fn nodes(&self, set: IsrSet) -> impl Iterator<Item = NodeId> {
        set.iter().filter_map(|replica| self.node(replica))
    }

    /// Every replica with its broker.
    pub fn assignment(&self) -> impl Iterator<Item = (ReplicaIdx, NodeId)> {
        (0..).map(ReplicaIdx).zip(self.replicas.iter().copied())
    }

    /// Whether a broker that is registered under this epoch has counted here only what it had synced: it synced what it
    /// found before it registered, and knew of `flush.policy=commit` before it joined an ISR (R60, X13a).
    #[must_use]
    pub fn counted_only_synced(&self, registered: BrokerEpoch) -> bool {
        self.flush == FlushPolicy::Commit && registered.0 >= self.flush_since.0
    }

    /// Why a replica is outside the ISR, if that is known.
    #[must_use]
    pub fn missing(&self, replica: ReplicaIdx) -> Option<&Missing> {
        self.missing.iter().find(|missing| missing.replica == replica)
    }
}
