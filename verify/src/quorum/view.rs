//! The quorum world as the invariants see it.

use highwater_model::id::Offset;
use highwater_model::invariant::quorum::{Entry, ReplicaView, View};
use highwater_model::quorum::{BatchKind, VoterSet};
use smallvec::SmallVec;

use super::World;
use super::state::{Node, Place, State, kind, tenure};

/// One replica.
pub(super) fn of(at: Place, node: &Node) -> ReplicaView<'_> {
    ReplicaView {
        key: tenure(at, node).key,
        vote: node.core.vote(),
        is_leader: node.core.is_leader(),
        high_watermark: node.core.high_watermark(),
        log_start: node.disk.start,
        entries: &node.disk.entries,
        flushed: node.disk.flushed,
        oldest_snapshot: node.disk.snapshots.first().map(|(id, _)| *id),
        voters: node.core.voters(),
    }
}

/// Judges a state: `judge` gets the view of it.
pub(super) fn with<R>(world: &World, state: &State, judge: impl FnOnce(&View<'_>) -> R) -> R {
    let replicas: SmallVec<[ReplicaView<'_>; 5]> =
        (0..).zip(&state.nodes).map(|(at, node)| of(at, node)).collect();
    let ghost = &state.ghost;
    let view = View {
        replicas: &replicas,
        committed: &ghost.committed,
        acknowledged: &ghost.acknowledged,
        voters: &[],
        elected: &ghost.elected,
        granted: &ghost.granted,
    };
    let voters = voters(world, &view);
    judge(&View { voters: &voters, ..view })
}

/// The last committed voter set, and the uncommitted one of the newest leader.
fn voters(world: &World, view: &View<'_>) -> SmallVec<[VoterSet; 2]> {
    let mut sets: SmallVec<[VoterSet; 2]> = SmallVec::new();
    sets.push(committed_voters(view.committed).unwrap_or_else(|| world.formatted.clone()));
    if let Some(newest) = view.newest_leader()
        && newest.voters.last_offset() >= Some(view.high_watermark_ever())
    {
        sets.push(newest.voters.latest().clone());
    }
    sets
}

/// The voters that the committed records below `end` give.
pub(super) fn voters_of(world: &World, committed: &[Entry], end: Offset) -> VoterSet {
    let below = usize::try_from(end.0).ok().and_then(|end| committed.get(..end)).unwrap_or(committed);
    committed_voters(below).unwrap_or_else(|| world.formatted.clone())
}

fn committed_voters(committed: &[Entry]) -> Option<VoterSet> {
    committed.iter().rev().find_map(|entry| match kind(entry.content) {
        BatchKind::Voters(voters) => Some(voters),
        BatchKind::Data | BatchKind::LeaderChange => None,
    })
}
