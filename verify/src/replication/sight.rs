//! The picture of a state that the named invariants of `model` look at.

use highwater_model::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
use highwater_model::invariant::replication::{
    Ghosts, Leadership, PartitionSight, ReplicaSight, StoredRecord, View,
};
use highwater_model::log::LogShape;
use highwater_model::replication::{FlushPolicy, IsrSet, ReplicaIdx};
use smallvec::SmallVec;

use super::World;
use super::disk::Entry;
use super::state::{Standing, State};

impl StoredRecord for Entry {
    fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }
    fn value(&self) -> u64 {
        u64::from(self.value)
    }
    fn sequence(&self) -> Option<(ProducerId, ProducerEpoch, Sequence)> {
        self.numbered.then_some((ProducerId(1), ProducerEpoch(0), Sequence(u32::from(self.value))))
    }
}

/// What a picture borrows: logs of brokers that are down, and lists of ghosts.
#[derive(Debug, Default)]
pub(super) struct Frame {
    logs: SmallVec<[LogShape<LeaderEpoch>; 3]>,
    acked: SmallVec<[(Offset, u64); 4]>,
    consumed: SmallVec<[(Offset, Entry); 4]>,
    refused: SmallVec<[u64; 4]>,
}

impl Frame {
    pub(super) fn of(state: &State) -> Self {
        let of_standing = |wanted: Standing| {
            let values = (0..).zip(&state.ledger.clients);
            values.filter(move |(_, standing)| **standing == wanted).map(|(value, _)| value)
        };
        let committed = || (0..).map(Offset).zip(state.ledger.ghost.committed.iter().copied());
        let place = |value: u64| committed().find(|(_, entry)| entry.value() == value);
        let acked = of_standing(Standing::Acknowledged).filter_map(|value| Some((place(value)?.0, value)));
        let log = |replica: ReplicaIdx| match state.run(replica) {
            Some(run) => run.core.log().clone(),
            None => state.broker(replica).disk.shape(),
        };
        Self {
            logs: state.replicas().map(log).collect(),
            acked: acked.collect(),
            consumed: committed().collect(),
            refused: of_standing(Standing::Refused).collect(),
        }
    }

    pub(super) fn view<'a>(&'a self, world: &World, state: &'a State) -> View<'a, Entry> {
        let sight = |(replica, log): (ReplicaIdx, &'a LogShape<LeaderEpoch>)| {
            let broker = state.broker(replica);
            ReplicaSight {
                running: broker.run.is_some(),
                log,
                records: broker.disk.entries.get(usize::from(broker.disk.start)..).unwrap_or_default(),
                high_watermark: broker.run.as_ref().map(|run| run.core.high_watermark()).unwrap_or_default(),
                leads: broker.run.as_ref().and_then(|run| Leadership::of(&run.core)),
                unclean: broker.disk.unclean,
            }
        };
        View {
            replicas: state.replicas().zip(&self.logs).map(sight).collect(),
            partition: partition(world, state),
            ghosts: Ghosts {
                committed: &state.ledger.ghost.committed,
                acked: &self.acked,
                consumed: &self.consumed,
                refused: &self.refused,
                ..Ghosts::default()
            },
        }
    }
}

fn partition(world: &World, state: &State) -> PartitionSight {
    let known = state.cluster.partition();
    let active = |replica: &ReplicaIdx| state.cluster.broker(*replica).is_active();
    PartitionSight {
        leader: known.leader,
        leader_epoch: known.leader_epoch,
        partition_epoch: known.partition_epoch,
        isr: known.isr,
        eligible_leaders: known.eligible_leaders,
        min_isr: known.min_isr,
        flush: if world.counts_unsynced() { FlushPolicy::Os } else { FlushPolicy::Commit },
        active: state.replicas().filter(active).collect::<IsrSet>(),
    }
}
