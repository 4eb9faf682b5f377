//! What holds of a partition in the end.

use highwater_model::replication::ReplicaIdx;

use super::super::World;
use super::super::claims::is_dark_by_right;
use super::super::state::{Run, Standing, State};
use super::is_parked;
use crate::recovery::Eventually;

/// The claims, the most telling first.
pub(super) const EVENTUALLY: &[Eventually<World>] = &[
    Eventually::of(
        name::FOLLOWERS_FOLLOW,
        "RL8",
        followers_follow,
        "liveness/fetch_waits_at_the_leader_again",
    ),
    Eventually::of(
        name::EVERY_BROKER_IS_ACTIVE,
        "QL6",
        every_broker_is_active,
        "liveness/broker_is_active_again",
    ),
    Eventually::of(name::IS_LED, "RL0, RL7", is_led, "liveness/partition_has_a_leader_again"),
    Eventually::of(name::NO_CHANGE_IS_OPEN, "RL3", no_change_is_open, "liveness/open_isr_change_has_ended"),
    Eventually::of(name::ISR_IS_WHOLE, "RL4", isr_is_whole, "liveness/isr_has_grown_whole"),
    Eventually::of(name::LOGS_ARE_ONE, "RL2", logs_are_one, "liveness/logs_have_become_one"),
    Eventually::of(name::ALL_IS_COMMITTED, "RL5", all_is_committed, "liveness/high_watermark_has_caught_up"),
    Eventually::of(
        name::PRODUCES_ARE_ANSWERED,
        "RL1",
        produces_are_answered,
        "liveness/open_produce_is_answered",
    ),
];

/// Names of what holds in the end.
pub(super) mod name {
    pub(crate) const EVERY_BROKER_IS_ACTIVE: &str = "liveness/every_broker_runs_unfenced";
    pub(crate) const IS_LED: &str = "liveness/partition_is_led";
    pub(crate) const NO_CHANGE_IS_OPEN: &str = "liveness/isr_change_comes_to_an_end";
    pub(crate) const FOLLOWERS_FOLLOW: &str = "liveness/followers_agree_with_the_leader_where_to_go_on";
    pub(crate) const ISR_IS_WHOLE: &str = "liveness/isr_is_every_replica";
    pub(crate) const LOGS_ARE_ONE: &str = "liveness/replicas_hold_the_same_log";
    pub(crate) const ALL_IS_COMMITTED: &str = "liveness/high_watermark_reaches_the_log_end";
    pub(crate) const PRODUCES_ARE_ANSWERED: &str = "liveness/every_produce_is_answered";
}

/// The leader that the controller names, if it knows of it.
fn leader(state: &State) -> Option<(ReplicaIdx, &Run)> {
    let known = state.cluster.partition();
    let leader = known.leader?;
    Some((leader, state.run(leader).filter(|run| run.leads() && run.known == known.leader_epoch)?))
}

/// Of every follower and the leader.
fn followers(state: &State, leader: ReplicaIdx) -> impl Iterator<Item = ReplicaIdx> + use<> {
    state.replicas().filter(move |replica| *replica != leader)
}

fn every_broker_is_active(_: &World, state: &State) -> Result<(), String> {
    let is_active = |replica: ReplicaIdx| {
        let registered = state.cluster.broker(replica);
        let is_registered = |run: &Run| run.broker_epoch == registered.broker_epoch;
        registered.is_active() && state.run(replica).is_some_and(is_registered)
    };
    match state.replicas().find(|replica| !is_active(*replica)) {
        Some(replica) => Err(format!("{replica} does not run unfenced: {:?}", state.cluster.broker(replica))),
        None => Ok(()),
    }
}

/// RL0, RL7: somebody leads, unless nobody may.
fn is_led(world: &World, state: &State) -> Result<(), String> {
    let known = state.cluster.partition();
    if leader(state).is_some() || is_dark_by_right(world, state) {
        return Ok(());
    }
    Err(format!(
        "leader {:?}, isr {:?}, eligible leaders {:?}, leader epoch {}",
        known.leader, known.isr, known.eligible_leaders, known.leader_epoch
    ))
}

fn no_change_is_open(_: &World, state: &State) -> Result<(), String> {
    match leader(state).filter(|(_, run)| run.core.is_changing_isr()) {
        Some((leader, run)) => Err(format!("the proposal of {leader} is {:?}", run.core.isr_change_stage())),
        None => Ok(()),
    }
}

/// Of those that run and know who leads.
fn followers_follow(_: &World, state: &State) -> Result<(), String> {
    let Some((leader, leading)) = leader(state) else { return Ok(()) };
    let waits = |replica: &ReplicaIdx| {
        let run = state.run(*replica).filter(|run| run.known == leading.known);
        run.is_none_or(|run| is_parked(state, *replica, run))
    };
    match followers(state, leader).find(|replica| !waits(replica)) {
        Some(replica) => Err(format!(
            "no fetch of {replica} is valid at {leader}: logs {:?} and {:?}",
            state.run(replica).map(|run| run.core.log()),
            leading.core.log()
        )),
        None => Ok(()),
    }
}

fn isr_is_whole(_: &World, state: &State) -> Result<(), String> {
    let isr = state.cluster.partition().isr;
    if leader(state).is_none() || state.replicas().all(|replica| isr.contains(replica)) {
        return Ok(());
    }
    Err(format!("isr {isr:?}"))
}

/// Where a leader's log begins is told with the next records alone (R80): of what it has deleted a follower may hold something.
fn logs_are_one(_: &World, state: &State) -> Result<(), String> {
    let Some((leader, _)) = leader(state) else { return Ok(()) };
    let start_of = |replica: ReplicaIdx| usize::from(state.broker(replica).disk.start);
    let start = state.replicas().map(start_of).max().unwrap_or_default();
    let entries = |replica: ReplicaIdx| {
        let entries = &state.broker(replica).disk.entries;
        (entries.len(), entries.get(start..).unwrap_or_default())
    };
    match followers(state, leader).find(|replica| entries(*replica) != entries(leader)) {
        Some(replica) => Err(format!(
            "{leader} leads with {:?}, and {replica} has {:?}",
            entries(leader),
            entries(replica)
        )),
        None => Ok(()),
    }
}

fn all_is_committed(_: &World, state: &State) -> Result<(), String> {
    let Some((leader, run)) = leader(state) else { return Ok(()) };
    let (known, end) = (run.core.high_watermark(), run.core.log().end());
    if known == end { Ok(()) } else { Err(format!("high watermark {known}, log end {end} of {leader}")) }
}

fn produces_are_answered(_: &World, state: &State) -> Result<(), String> {
    let open = |standing: &Standing| matches!(standing, Standing::Open(_));
    match state.ledger.clients.iter().position(open) {
        Some(value) => Err(format!("nobody answers the produce of record {value}")),
        None => Ok(()),
    }
}
