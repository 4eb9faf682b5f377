//! What must hold in the quorum world, and what must be possible in it.

use highwater_model::id::{IncarnationId, Offset};
use highwater_model::invariant::Violation;
use highwater_model::invariant::quorum::{self as invariant, View, name};
use highwater_model::quorum::RoleName;

use super::World;
use super::bounds::Bounds;
use super::shared::Shared;
use super::state::{Node, Place, State, tenure};
use super::view;
use crate::world::{Always, Broken, Seen, Sometimes};

/// Names of what must be possible.
pub(super) mod seen {
    pub(crate) const ELECTED: &str = "quorum/some_election_is_won";
    pub(crate) const TWO_LEAD: &str = "quorum/a_deposed_leader_does_not_know_it_yet";
    pub(crate) const ACKNOWLEDGED: &str = "quorum/some_record_is_acknowledged";
    pub(crate) const COMMITTED_TWICE: &str = "quorum/leaders_of_two_epochs_commit";
    pub(crate) const TRUNCATED: &str = "quorum/truncation_happens";
    pub(crate) const POWER_LOST: &str = "quorum/power_loss_takes_records";
    pub(crate) const REJOINED: &str = "quorum/replica_rejoins_after_it_lost_power";
    pub(crate) const PRE_VOTE: &str = "quorum/pre_vote_is_asked";
    pub(crate) const READ: &str = "quorum/read_is_served";
    pub(crate) const VOTERS_CHANGED: &str = "quorum/voter_change_commits";
    pub(crate) const SNAPSHOT_TAKEN: &str = "quorum/snapshot_is_taken_after_a_voter_change";
    pub(crate) const PRE_VOTE_REFUSED: &str = "quorum/pre_vote_is_refused_for_the_leaders_sake";
    pub(crate) const RESIGNED: &str = "quorum/leader_without_a_majority_steps_down";
    pub(crate) const REPLACED: &str = "quorum/damaged_disk_is_replaced";
    pub(crate) const INSTALLED: &str = "quorum/snapshot_is_installed";
}

/// A predicate over a view.
type Predicate = fn(&View<'_>) -> Result<(), Violation>;

/// The predicates that every state must meet.
const PREDICATES: &[Predicate] = &[
    invariant::one_leader_per_epoch,
    invariant::logs_match,
    invariant::committed_never_changes,
    invariant::leader_is_complete,
    invariant::quorum_holds_what_is_committed,
    invariant::voters_change_one_at_a_time,
    invariant::log_start_has_a_snapshot,
    invariant::acknowledged_is_kept,
    invariant::applied_prefixes_agree,
];

/// Judges a state by all of them, over one view.
pub(super) fn judge(world: &World, state: &State) -> Result<(), Broken> {
    view::with(world, state, |view| {
        PREDICATES.iter().try_for_each(|predicate| {
            predicate(view).map_err(|broken| Broken { claim: broken.property, values: broken.details })
        })
    })
}

/// A claim about states.
macro_rules! state {
    ($name:expr, $rule:literal, $predicate:path, $exercised_by:expr) => {
        Always {
            name: $name,
            rule: $rule,
            holds: Some(|world, state| view::with(world, state, $predicate).map_err(|broken| broken.details)),
            exercised_by: $exercised_by,
        }
    };
}

/// The claims about every state and step.
pub(super) const ALWAYS: &[Always<World>] = &[
    state!(name::ONE_LEADER_PER_EPOCH, "QI1", invariant::one_leader_per_epoch, seen::ELECTED),
    state!(name::LOGS_MATCH, "QI2", invariant::logs_match, seen::TRUNCATED),
    state!(name::COMMITTED_NEVER_CHANGES, "QI3", invariant::committed_never_changes, seen::TRUNCATED),
    state!(name::LEADER_IS_COMPLETE, "QI4", invariant::leader_is_complete, seen::COMMITTED_TWICE),
    state!(
        name::QUORUM_HOLDS_WHAT_IS_COMMITTED,
        "QI5",
        invariant::quorum_holds_what_is_committed,
        seen::ACKNOWLEDGED
    ),
    Always {
        name: name::HIGH_WATERMARK_NEVER_MOVES_BACK,
        rule: "QI6",
        holds: None,
        exercised_by: seen::TWO_LEAD,
    },
    Always {
        name: name::QUORUM_EPOCH_NEVER_MOVES_BACK,
        rule: "QI7",
        holds: None,
        exercised_by: seen::POWER_LOST,
    },
    Always { name: name::ONE_VOTE_PER_EPOCH, rule: "QI8", holds: None, exercised_by: seen::ELECTED },
    state!(
        name::VOTERS_CHANGE_ONE_AT_A_TIME,
        "QI9",
        invariant::voters_change_one_at_a_time,
        seen::VOTERS_CHANGED
    ),
    state!(name::LOG_START_HAS_A_SNAPSHOT, "QI10", invariant::log_start_has_a_snapshot, seen::INSTALLED),
    state!(name::ACKNOWLEDGED_IS_KEPT, "QI11", invariant::acknowledged_is_kept, seen::ACKNOWLEDGED),
    Always { name: name::PRE_VOTE_CHANGES_NOTHING, rule: "QI12", holds: None, exercised_by: seen::PRE_VOTE },
    state!(name::APPLIED_PREFIXES_AGREE, "QI13", invariant::applied_prefixes_agree, seen::COMMITTED_TWICE),
    Always {
        name: name::SNAPSHOT_IS_THE_FOLD_OF_THE_LOG,
        rule: "QI13",
        holds: None,
        exercised_by: seen::SNAPSHOT_TAKEN,
    },
    Always {
        name: name::LEADER_WITHOUT_A_MAJORITY_RESIGNS,
        rule: "QL1, Q7",
        holds: None,
        exercised_by: seen::RESIGNED,
    },
    Always {
        name: name::PRE_VOTE_SPARES_A_WORKING_LEADER,
        rule: "QL5, Q6",
        holds: None,
        exercised_by: seen::PRE_VOTE_REFUSED,
    },
    Always { name: name::EPOCH_FOLLOWS_WHAT_IS_HEARD, rule: "Q2", holds: None, exercised_by: seen::ELECTED },
    Always {
        name: name::MESSAGES_ARE_OF_THE_STORED_EPOCH,
        rule: "Q2",
        holds: None,
        exercised_by: seen::ELECTED,
    },
    Always {
        name: name::WHO_WAITS_IS_REMEMBERED,
        rule: "QL2, Q18",
        holds: None,
        exercised_by: seen::TWO_LEAD,
    },
    Always { name: name::READS_ARE_LINEARIZABLE, rule: "Q18", holds: None, exercised_by: seen::READ },
];

/// What must be possible.
pub(super) const SOMETIMES: &[Sometimes<World>] = &[
    Sometimes { name: seen::ELECTED, seen: Seen::Step },
    Sometimes { name: seen::TWO_LEAD, seen: Seen::State(two_lead) },
    Sometimes { name: seen::ACKNOWLEDGED, seen: Seen::Step },
    Sometimes { name: seen::COMMITTED_TWICE, seen: Seen::State(committed_in_two_epochs) },
    Sometimes { name: seen::TRUNCATED, seen: Seen::Step },
    Sometimes { name: seen::POWER_LOST, seen: Seen::Step },
    Sometimes { name: seen::REJOINED, seen: Seen::State(rejoined) },
    Sometimes { name: seen::PRE_VOTE, seen: Seen::Step },
    Sometimes { name: seen::READ, seen: Seen::Step },
    Sometimes { name: seen::VOTERS_CHANGED, seen: Seen::Step },
    Sometimes { name: seen::SNAPSHOT_TAKEN, seen: Seen::Step },
    Sometimes { name: seen::PRE_VOTE_REFUSED, seen: Seen::Step },
    Sometimes { name: seen::RESIGNED, seen: Seen::Step },
    Sometimes { name: seen::REPLACED, seen: Seen::Step },
    Sometimes { name: seen::INSTALLED, seen: Seen::Step },
];

/// A leader has heard from a run that began with a power loss, which took records, that it has all that is committed.
fn rejoined(world: &World, state: &State) -> bool {
    let caught_up = |leader: &Shared<Node>, (at, node): (Place, &Shared<Node>)| {
        let key = tenure(at, node).key;
        let of_this_run = leader
            .core
            .last_fetch_of(key)
            .is_some_and(|last| last.incarnation == IncarnationId(u128::from(node.starts)));
        let known = leader.core.progress().find(|replica| replica.key == key);
        let end = Some(Offset(state.ghost.committed.len() as u64));
        node.starts > 0 && of_this_run && known.is_some_and(|known| known.reached >= end)
    };
    let Bounds { only_losses, kills, wipes, corruptions, .. } = world.bounds;
    only_losses
        && kills + wipes + corruptions == 0
        && state.nodes.iter().any(|leader| (0..).zip(&state.nodes).any(|replica| caught_up(leader, replica)))
}

fn two_lead(_: &World, state: &State) -> bool {
    let leads = |(at, node): (u8, _)| {
        let node: &Node = node;
        node.core.role(&tenure(at, node)) == RoleName::Leader
    };
    (0..).zip(state.nodes.iter().map(|node| &**node)).filter(|pair| leads(*pair)).count() > 1
}

fn committed_in_two_epochs(_: &World, state: &State) -> bool {
    let mut epochs = state.ghost.committed.iter().map(|entry| entry.quorum_epoch);
    let first = epochs.next();
    epochs.any(|epoch| Some(epoch) != first)
}
