//! What holds of brokers and their controller in the end.

use highwater_model::id::NodeId;
use highwater_model::metadata::Broker;

use super::super::World;
use super::super::action::is_registered_run;
use super::super::state::State;
use super::is_behind;
use crate::recovery::Eventually;

/// The claims, the most telling first.
pub(super) const EVENTUALLY: &[Eventually<World>] = &[
    Eventually::of(
        name::EVERY_BROKER_IS_ACTIVE,
        "QL6",
        every_broker_is_active,
        "liveness/broker_is_active_again",
    ),
    Eventually::of(name::IS_LED, "RL0, RL7", every_partition_is_led, "liveness/partition_has_a_leader_again"),
    Eventually::of(name::ALL_IS_APPLIED, "QL2", all_is_applied, "liveness/late_broker_has_heard"),
    Eventually::of(name::ALL_IS_ANSWERED, "QL2", all_is_answered, "liveness/open_command_is_answered"),
];

/// Names of what holds in the end.
pub(super) mod name {
    pub(crate) const EVERY_BROKER_IS_ACTIVE: &str = "liveness/every_broker_runs_unfenced";
    pub(crate) const IS_LED: &str = "liveness/every_partition_is_led";
    pub(crate) const ALL_IS_APPLIED: &str = "liveness/every_broker_hears_of_every_decision";
    pub(crate) const ALL_IS_ANSWERED: &str = "liveness/every_command_is_answered";
}

/// And each knows it.
fn every_broker_is_active(_: &World, state: &State) -> Result<(), String> {
    let is_active = |node: NodeId| {
        let registered = state.image().broker(node).filter(|broker| broker.is_active());
        let knows = |broker: &Broker| {
            state.run(node).is_some_and(|run| {
                !run.lifecycle.is_fenced() && run.lifecycle.broker_epoch() == Some(broker.broker_epoch)
            })
        };
        is_registered_run(state, node) && registered.is_some_and(knows)
    };
    match state.nodes().find(|node| !is_active(*node)) {
        Some(node) => Err(format!(
            "broker {node} does not run unfenced: {:?}, and it believes {:?}",
            state.image().broker(node),
            state.run(node).map(|run| &run.lifecycle)
        )),
        None => Ok(()),
    }
}

/// A partition without a leader has no member that may lead (RL7), and those who were last to be able to had lost what they had
/// counted (RL0).
fn every_partition_is_led(_: &World, state: &State) -> Result<(), String> {
    let ghost = &state.ghost;
    let losing = ghost.losing.iter().map(|(lost, _)| lost);
    let lost: Vec<_> = ghost.lost.iter().chain(losing).map(|lost| lost.partition).collect();
    let mut dark = state.image().partitions().filter(|(_, partition)| partition.leader.is_none());
    let wrong = dark.find(|(at, partition)| {
        let excused = lost.contains(at) && !ghost.struck_off.contains(at);
        !excused || !partition.isr.union(partition.eligible_leaders).is_empty()
    });
    match wrong {
        Some((at, partition)) => Err(format!("nobody leads {at}: {partition:?}")),
        None => Ok(()),
    }
}

/// No mistake of a core can break this in this world: that brokers apply what is committed is its quorum's doing, which is none.
/// It says that a run does not end before that is done, so that what the other claims look at is the end. That the quorum
/// brings decisions to everybody is `quorum-liveness`'s to show (QL1).
fn all_is_applied(_: &World, state: &State) -> Result<(), String> {
    match state.nodes().find(|node| is_behind(state, *node)) {
        Some(node) => Err(format!("broker {node} has not applied the last decision")),
        None => Ok(()),
    }
}

fn all_is_answered(_: &World, state: &State) -> Result<(), String> {
    match state.asked.first() {
        Some((_, origin)) => Err(format!("nobody answers {origin:?}")),
        None => Ok(()),
    }
}
