//! What must hold in the metadata world, and what must be possible in it.

use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, Offset};
use highwater_model::invariant::Violation;
use highwater_model::invariant::metadata::{self as invariant, Subject};
use highwater_model::metadata::{Broker, CommandRefusal, Image, Outcome};

use super::World;
use super::action::PARTITION;
use super::state::{Batch, Origin, Shared, State};
use crate::world::{Always, Holds, Notes, Seen, Sometimes};

/// Names of the claims that are the world's own.
pub(super) mod name {
    pub(crate) use highwater_model::invariant::metadata::ANSWER_IS_COMMITTED;

    pub(crate) const HEALS: &str = "metadata/undisturbed_cluster_comes_to_rest_and_is_led";
    pub(crate) const OFFICE_IS_ENDED: &str = "metadata/office_that_ends_leaves_nobody_waiting";
    pub(crate) const IS_WATCHED: &str = "metadata/unfenced_broker_is_watched";
    pub(crate) const STOP_IS_KNOWN: &str = "metadata/stopped_broker_is_followed_by_nobody";

    pub(crate) const UNFENCED: &str = "metadata/broker_is_unfenced";
    pub(crate) const STOPPED: &str = "metadata/broker_stops_under_control";
    pub(crate) const REGISTERED_ANEW: &str = "metadata/broker_registers_anew";
    pub(crate) const KEPT: &str = "metadata/member_registers_with_what_it_kept";
    pub(crate) const EXCLUDED: &str = "metadata/replica_that_lost_entries_is_excluded";
    pub(crate) const ELECTED_FROM_ELIGIBLE: &str = "metadata/leader_is_elected_from_the_eligible";
    pub(crate) const LEADER_CHANGED: &str = "metadata/leader_changes";
    pub(crate) const ACCEPTED: &str = "metadata/isr_change_is_accepted";
    pub(crate) const STALE: &str = "metadata/stale_isr_change_is_refused";
    pub(crate) const INELIGIBLE: &str = "metadata/ineligible_member_is_refused";
    pub(crate) const BATCH_LOST: &str = "metadata/fail_over_loses_a_batch";
    pub(crate) const OPEN: &str = "metadata/outcome_is_left_open";
    pub(crate) const KEPT_OUT: &str = "metadata/second_process_is_kept_out";
    pub(crate) const CORRECTED: &str = "metadata/registration_is_corrected";
    pub(crate) const CREATED: &str = "metadata/topic_is_created";
    pub(crate) const DELETED: &str = "metadata/topic_is_deleted";
    pub(crate) const CONFIGURED: &str = "metadata/minimum_is_changed";
    pub(crate) const ELECTED_AGAIN: &str = "metadata/waited_for_controller_is_elected_again";
    pub(crate) const TOOK_OVER: &str = "metadata/new_controller_finds_an_unfenced_broker";
    pub(crate) const FLUSH_CHANGED: &str = "metadata/flush_policy_is_changed";
}

macro_rules! on_image {
    ($predicate:path) => {
        Some({
            fn holds(_: &World, state: &State) -> Result<(), String> {
                $predicate(state.image()).map_err(|violation| violation.details)
            }
            holds as Holds<World>
        })
    };
}

/// The claims about every state and step.
pub(super) const ALWAYS: &[Always<World>] = &[
    Always {
        name: invariant::NODE_HAS_ONE_REGISTRATION,
        rule: "MI1",
        holds: on_image!(invariant::node_has_one_registration),
        exercised_by: name::REGISTERED_ANEW,
    },
    Always {
        name: invariant::FENCED_BROKER_LEADS_NOTHING,
        rule: "MI2",
        holds: on_image!(invariant::fenced_broker_leads_nothing),
        exercised_by: name::LEADER_CHANGED,
    },
    Always {
        name: invariant::NAME_HAS_ONE_TOPIC,
        rule: "MI3",
        holds: on_image!(invariant::name_has_one_topic),
        exercised_by: name::DELETED,
    },
    Always {
        name: invariant::REPLICAS_ARE_DISTINCT_BROKERS,
        rule: "MI4",
        holds: on_image!(invariant::replicas_are_distinct_brokers),
        exercised_by: name::CREATED,
    },
    Always {
        name: invariant::DECISION_IS_WHOLE,
        rule: "MI5",
        holds: on_image!(invariant::decision_is_whole),
        exercised_by: name::BATCH_LOST,
    },
    Always {
        name: invariant::EPOCHS_ONLY_GROW,
        rule: "MI6",
        holds: None,
        exercised_by: name::LEADER_CHANGED,
    },
    Always {
        name: invariant::MIN_ISR_FOLLOWS_THE_CONFIGURATION,
        rule: "MI7",
        holds: on_image!(invariant::min_isr_follows_the_configuration),
        exercised_by: name::CONFIGURED,
    },
    Always {
        name: invariant::REPLAY_GIVES_THE_SAME_IMAGE,
        rule: "MI8",
        holds: None,
        exercised_by: name::BATCH_LOST,
    },
    Always {
        name: invariant::ONE_LEADER_PER_EPOCH,
        rule: "RI10",
        holds: None,
        exercised_by: name::LEADER_CHANGED,
    },
    Always {
        name: invariant::ACCEPTED_CHANGE_IS_THE_NEXT_ONE,
        rule: "RI11",
        holds: None,
        exercised_by: name::STALE,
    },
    Always {
        name: invariant::PARTITION_SETS_ARE_WELL_FORMED,
        rule: "RI12",
        holds: on_image!(invariant::partition_sets_are_well_formed),
        exercised_by: name::ACCEPTED,
    },
    Always {
        name: invariant::LOST_REPLICA_IS_EXCLUDED,
        rule: "RI13",
        holds: Some(lost_replica_is_excluded),
        exercised_by: name::EXCLUDED,
    },
    Always {
        name: invariant::EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG,
        rule: "RI18",
        holds: None,
        exercised_by: name::BATCH_LOST,
    },
    Always {
        name: invariant::KEPT_REPLICA_STAYS_ELIGIBLE,
        rule: "RL0",
        holds: None,
        exercised_by: name::KEPT,
    },
    Always {
        name: invariant::ALIVE_MEMBER_LEADS,
        rule: "RL7",
        holds: on_image!(invariant::alive_member_leads),
        exercised_by: name::ELECTED_FROM_ELIGIBLE,
    },
    Always {
        name: invariant::LEADER_COMES_FROM_THE_ELIGIBLE,
        rule: "R51",
        holds: None,
        exercised_by: name::LEADER_CHANGED,
    },
    Always { name: name::HEALS, rule: "QL6, RL0", holds: Some(heals), exercised_by: name::UNFENCED },
    Always { name: name::ANSWER_IS_COMMITTED, rule: "X5", holds: None, exercised_by: name::OPEN },
    Always { name: name::OFFICE_IS_ENDED, rule: "X5, Q57", holds: None, exercised_by: name::ELECTED_AGAIN },
    Always {
        name: name::IS_WATCHED,
        rule: "Q53",
        holds: Some(unfenced_broker_is_watched),
        exercised_by: name::TOOK_OVER,
    },
    Always { name: name::STOP_IS_KNOWN, rule: "Q56", holds: None, exercised_by: name::STOPPED },
];

/// What must be possible.
pub(super) const SOMETIMES: &[Sometimes<World>] = &[
    Sometimes { name: name::UNFENCED, seen: Seen::Step },
    Sometimes { name: name::STOPPED, seen: Seen::Step },
    Sometimes { name: name::REGISTERED_ANEW, seen: Seen::Step },
    Sometimes { name: name::KEPT, seen: Seen::Step },
    Sometimes { name: name::EXCLUDED, seen: Seen::Step },
    Sometimes { name: name::ELECTED_FROM_ELIGIBLE, seen: Seen::Step },
    Sometimes { name: name::LEADER_CHANGED, seen: Seen::Step },
    Sometimes { name: name::ACCEPTED, seen: Seen::Step },
    Sometimes { name: name::STALE, seen: Seen::Step },
    Sometimes { name: name::INELIGIBLE, seen: Seen::Step },
    Sometimes { name: name::BATCH_LOST, seen: Seen::Step },
    Sometimes { name: name::OPEN, seen: Seen::Step },
    Sometimes { name: name::KEPT_OUT, seen: Seen::Step },
    Sometimes { name: name::CORRECTED, seen: Seen::Step },
    Sometimes { name: name::CREATED, seen: Seen::Step },
    Sometimes { name: name::DELETED, seen: Seen::Step },
    Sometimes { name: name::CONFIGURED, seen: Seen::Step },
    Sometimes { name: name::FLUSH_CHANGED, seen: Seen::Step },
    Sometimes { name: name::ELECTED_AGAIN, seen: Seen::Step },
    Sometimes { name: name::TOOK_OVER, seen: Seen::Step },
];

fn lost_replica_is_excluded(_: &World, state: &State) -> Result<(), String> {
    invariant::lost_replica_is_excluded(&state.ghost.lost, state.image())
        .map_err(|violation| violation.details)
}

/// Whoever may lead, as far as the controller has decided, is fenced once nothing is heard of it any more: a session of its is
/// under way, also when the controller has only just begun.
fn unfenced_broker_is_watched(_: &World, state: &State) -> Result<(), String> {
    let brokers = state.controller.get().image().brokers();
    match brokers.iter().find(|broker| !broker.fenced && !state.is_watched(broker.node)) {
        Some(broker) => Err(format!("nobody watches the session of {broker:?}")),
        None => Ok(()),
    }
}

/// From every state, once nobody disturbs it any more, every broker comes to run unfenced (QL6), and a partition whose
/// members lost nothing is led (RL0).
fn heals(world: &World, state: &State) -> Result<(), String> {
    if !world.bounds.heal {
        return Ok(());
    }
    let rest = world.at_rest(state.clone()).ok_or("heartbeats go on for ever, and change nothing")?;
    let image = rest.image();
    let idle = rest.nodes().find(|node| !image.broker(*node).is_some_and(Broker::is_active));
    if let Some(idle) = idle {
        return Err(format!("at rest broker {idle} is not unfenced: {:?}", image.brokers()));
    }
    let lost = |at| {
        !rest.ghost.struck_off.contains(&at)
            && rest
                .ghost
                .lost
                .iter()
                .chain(rest.ghost.losing.iter().map(|(lost, _)| lost))
                .any(|lost| lost.partition == at)
    };
    match image.partitions().find(|(at, state)| state.leader.is_none() && !lost(*at)) {
        Some((at, state)) => Err(format!("at rest nobody leads {at}, and nothing of it was lost: {state:?}")),
        None => Ok(()),
    }
}

fn note(notes: &mut Notes, checked: Result<(), Violation>) {
    if let Err(Violation { property, details }) = checked {
        notes.broke(property, || details);
    }
}

/// A batch was committed: the last image of the history is the one after it.
pub(super) fn on_commit(state: &mut State, batch: &Batch, notes: &mut Notes) {
    let mut newest = state.history.iter().rev().map(Shared::get);
    let (Some(after), Some(before)) = (newest.next(), newest.next()) else { return };
    note(notes, invariant::registrations_only_grow(before, after));
    note(notes, invariant::topics_never_shrink(before, after));
    note(notes, invariant::epochs_only_grow(before, after));
    note(notes, invariant::leader_comes_from_the_eligible(before, after));
    note(notes, invariant::one_leader_per_epoch(&state.ghost.led, after));
    if let Some(node) = batch.kept {
        note(notes, invariant::kept_replica_stays_eligible(node, before, after));
    }
    events(before, after, state, batch, notes);
    let gone = before.topics().map(|topic| topic.id).filter(|id| after.topic(*id).is_none());
    let deleted: Vec<_> = gone.collect();
    let mut led = invariant::led(after);
    let anew = |old: &invariant::Led| led.iter().all(|new| new.partition != old.partition);
    let offline: Vec<_> = state.ghost.led.iter().copied().filter(anew).collect();
    led.extend(offline.into_iter().filter(|old| after.partition(old.partition).is_some()));
    led.sort_unstable();
    note(notes, invariant::deleted_id_never_returns(&state.ghost.deleted, after));
    let batches = [(batch.end, batch.records.clone())];
    note(notes, invariant::replay_gives_the_same_image(before, &batches, after));
    state.ghost.led = led;
    state.ghost.deleted.extend(deleted);
}

fn events(before: &Image, after: &Image, state: &State, batch: &Batch, notes: &mut Notes) {
    let registered = after
        .brokers()
        .iter()
        .any(|is| before.broker(is.node).is_some_and(|was| was.broker_epoch != is.broker_epoch));
    let could_lead = |node| {
        before.partitions_on(node).any(|(_, was)| {
            let listed = was.isr.union(was.eligible_leaders);
            was.replica_on(node).is_some_and(|replica| listed.contains(replica))
        })
    };
    let pairs = || before.partitions().filter_map(|(at, was)| Some((was, after.partition(at)?)));
    let from_eligible =
        pairs().any(|(was, is)| is.leader.is_some_and(|leader| was.eligible_leaders.contains(leader)));
    let min_isr = pairs().any(|(was, is)| was.min_isr != is.min_isr);
    let flush = pairs().any(|(was, is)| was.flush != is.flush);
    let led_anew = pairs().any(|(was, is)| is.leader.is_some() && was.leader != is.leader);
    let seen = [
        (name::REGISTERED_ANEW, registered),
        (name::KEPT, batch.kept.is_some_and(could_lead)),
        (name::EXCLUDED, registered && !state.ghost.lost.is_empty()),
        (name::ELECTED_FROM_ELIGIBLE, from_eligible),
        (name::LEADER_CHANGED, led_anew),
        (name::ACCEPTED, batch.accepts.is_some()),
        (name::CREATED, after.topics().count() > before.topics().count()),
        (name::DELETED, after.topics().count() < before.topics().count()),
        (name::CONFIGURED, min_isr),
        (name::FLUSH_CHANGED, flush),
    ];
    seen.into_iter().filter(|(_, happened)| *happened).for_each(|(name, _)| notes.event(name));
}

/// The controller has taken the batch: its own fold of the log is the brokers' (RI18), also by way of its decisions.
pub(super) fn on_committed(state: &State, notes: &mut Notes) {
    let controller = state.controller.get();
    let same = controller.committed() == state.image();
    let settled = !state.tail.is_empty() || controller.image() == state.image();
    if !same || !settled {
        notes.broke(invariant::EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG, || {
            format!("the log gives {:?}, and the controller has {:?}", state.image(), controller.image())
        });
    }
}

/// A controller begins: it stands where the log does (RI18), and whoever waited for the one before, or for itself in an earlier
/// office, knows that the outcome is open (X5, Q57).
pub(super) fn on_elected(state: &State, was_waited_for: bool, notes: &mut Notes) {
    on_committed(state, notes);
    if was_waited_for {
        notes.event(name::ELECTED_AGAIN);
    }
    if state.image().brokers().iter().any(|broker| !broker.fenced) {
        notes.event(name::TOOK_OVER);
    }
    if let Some((_, origin)) = state.asked.first() {
        notes.broke(name::OFFICE_IS_ENDED, || format!("the office is over, and {origin:?} is told nothing"));
    }
}

/// The controller answers: what it says is committed (X5).
pub(super) fn on_answer(
    state: &State,
    origin: &Origin,
    answer: &Result<Outcome, CommandRefusal>,
    notes: &mut Notes,
) {
    let subject = match origin {
        Origin::Broker { node, .. } => Subject::Broker(*node),
        Origin::Leader(_) => Subject::Partition(PARTITION),
        Origin::Operator => Subject::Topic,
    };
    note(notes, invariant::answer_is_committed(subject, answer, state.image(), &state.ghost.deleted));
    if let (Origin::Leader(proposal), Ok(Outcome::PartitionAltered(answer))) = (origin, answer) {
        note(notes, invariant::accepted_change_is_the_next_one(proposal, answer));
    }
    if let Err(CommandRefusal::RegistrationMoved { .. }) = answer {
        return notes.event(name::CORRECTED);
    }
    let refused = answer.as_ref().err().map(CommandRefusal::code);
    let seen = match refused {
        Some(ErrorCode::RequestTimedOut) => name::OPEN,
        Some(ErrorCode::InvalidUpdateVersion) => name::STALE,
        Some(ErrorCode::IneligibleReplica) => name::INELIGIBLE,
        Some(ErrorCode::DuplicateBrokerRegistration) => name::KEPT_OUT,
        _ => return,
    };
    notes.event(seen);
}

/// A broker was let go that handed over by the batch which ends at `handed_over`: every running broker that may lead has
/// applied it (Q56).
pub(super) fn everyone_knows(state: &State, stopped: NodeId, handed_over: Offset, notes: &mut Notes) {
    let image = state.controller.get().image();
    let active = |node: &NodeId| *node != stopped && image.broker(*node).is_some_and(Broker::is_active);
    let behind = state.nodes().filter(active).find(|node| {
        let registered = image.broker(*node).map(|broker| broker.incarnation);
        let runs = state.run(*node).is_some();
        let same = registered == Some(super::step::incarnation(*node, state.broker(*node).runs));
        runs && same && state.applied(*node).is_some_and(|applied| applied.end() < handed_over)
    });
    if let Some(behind) = behind {
        notes.broke(name::STOP_IS_KNOWN, || {
            format!(
                "broker {stopped} may stop, and broker {behind} has not applied metadata offset {handed_over}"
            )
        });
    }
}
