//! How a partition stands, in the words of operators: offline, under-replicated, under `min.insync.replicas`.
//!
//! The one place that says what these words mean, for an image and for what a broker tells of one. Nothing is decided by
//! it: whether a record is acknowledged is the leader's to say.

use super::{Partition, effective_min_isr};
use crate::api::{PartitionDetail, TopicDetail};

/// Who of a partition's replicas is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it has a leader.
    pub is_led: bool,
    /// Number of its replicas.
    pub replicas: u32,
    /// Number of replicas in the ISR.
    pub in_sync: u32,
    /// Effective `min.insync.replicas` (R4).
    pub min_isr: u32,
}

impl Health {
    /// Nobody leads it: nothing can be written or read.
    #[must_use]
    pub const fn is_offline(self) -> bool {
        !self.is_led
    }

    /// Some replica is outside the ISR.
    #[must_use]
    pub const fn is_under_replicated(self) -> bool {
        self.in_sync < self.replicas
    }

    /// The ISR is smaller than `min.insync.replicas`: `acks=all` is refused.
    #[must_use]
    pub const fn is_under_min_isr(self) -> bool {
        self.in_sync < self.min_isr
    }

    /// It is led, and every replica is in the ISR.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        !self.is_offline() && !self.is_under_replicated()
    }
}

impl Partition {
    /// How it stands.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            is_led: self.leader.is_some(),
            replicas: count(self.replicas.len()),
            in_sync: u32::from(self.isr.count()),
            min_isr: u32::from(self.min_isr),
        }
    }
}

impl TopicDetail {
    /// How one of its partitions stands, as the broker that was asked knew it.
    #[must_use]
    pub fn health(&self, partition: &PartitionDetail) -> Health {
        let replicas = u8::try_from(partition.replicas.len()).unwrap_or(u8::MAX);
        Health {
            is_led: partition.leader.is_some(),
            replicas: u32::from(replicas),
            in_sync: count(partition.isr.len()),
            min_isr: u32::from(effective_min_isr(self.min_insync_replicas, replicas)),
        }
    }

    /// Every partition is led and has all its replicas in the ISR, as the broker that was asked knew it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.partitions.iter().all(|partition| self.health(partition).is_whole())
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex, TopicId};
    use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// A partition of three replicas that needs two of them, of which the first so many are in the ISR.
    fn partition(leader: Option<ReplicaIdx>, in_sync: u8) -> Partition {
        Partition {
            replicas: (1..=3).map(NodeId).collect(),
            leader,
            leader_epoch: LeaderEpoch(1),
            partition_epoch: PartitionEpoch(1),
            isr: (0..in_sync).map(ReplicaIdx).collect(),
            eligible_leaders: IsrSet::default(),
            last_known_leader: None,
            recovering: false,
            min_isr: 2,
            flush: FlushPolicy::Commit,
            flush_since: Offset::ZERO,
            missing: Default::default(),
        }
    }

    /// The same, as it is told.
    fn told(state: &Partition) -> TopicDetail {
        let detail = PartitionDetail {
            partition: PartitionIndex(0),
            leader: state.leader_node(),
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            replicas: state.replicas.to_vec(),
            isr: state.nodes(state.isr).collect(),
            eligible_leaders: Vec::new(),
            replica_details: Vec::new(),
        };
        TopicDetail {
            name: "t".to_string(),
            topic: TopicId(1),
            min_insync_replicas: 2,
            configs: Vec::new(),
            partitions: [detail].into(),
        }
    }

    #[test]
    fn a_partition_and_what_is_told_of_it_stand_alike() {
        let led = Some(ReplicaIdx(0));
        // Offline, under-replicated, under min ISR, whole.
        let expected = [
            (led, 3, [false, false, false, true]),
            (led, 2, [false, true, false, false]),
            (led, 1, [false, true, true, false]),
            (None, 3, [true, false, false, false]),
            (None, 1, [true, true, true, false]),
        ];
        for (leader, in_sync, words) in expected {
            let state = partition(leader, in_sync);
            let told = told(&state);
            for health in [state.health(), told.health(&told.partitions[0])] {
                let found = [
                    health.is_offline(),
                    health.is_under_replicated(),
                    health.is_under_min_isr(),
                    health.is_whole(),
                ];
                assert_eq!(found, words, "{health:?}");
            }
            assert_eq!(told.is_whole(), words[3]);
        }
    }

    #[test]
    fn an_isr_as_small_as_asked_for_is_enough() {
        let health = Health { is_led: true, replicas: 1, in_sync: 1, min_isr: 1 };

        assert!(!health.is_under_min_isr());
        assert!(health.is_whole());
    }
}
