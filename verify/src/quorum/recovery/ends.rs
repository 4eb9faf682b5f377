//! What holds of a quorum in the end.

use super::super::World;
use super::super::state::{Node, Place, State, tenure};
use super::is_parked;
use crate::recovery::Eventually;

/// The claims, the most telling first.
pub(super) const EVENTUALLY: &[Eventually<World>] = &[
    Eventually::of(
        name::LEADS_NOBODY,
        "QL1, Q7",
        nobody_leads_nobody,
        "liveness/cut_off_leader_has_resigned",
    ),
    Eventually::of(name::IS_LED, "QL1", is_led, "liveness/quorum_is_led_again"),
    Eventually::of(name::ALL_FOLLOW, "QL4", all_follow, "liveness/replica_follows_again"),
    Eventually::of(name::NO_CHANGE_IS_OPEN, "QL3", no_change_is_open, "liveness/open_voter_change_has_ended"),
    Eventually::of(name::LOGS_ARE_ONE, "QL1", logs_are_one, "liveness/what_was_missing_is_committed"),
    Eventually::of(
        name::ALL_IS_ANSWERED,
        "QL2",
        all_is_answered,
        "liveness/open_proposal_or_read_is_answered",
    ),
];

/// Names of what holds in the end.
pub(super) mod name {
    pub(crate) const LEADS_NOBODY: &str = "liveness/leader_that_is_cut_off_resigns";
    pub(crate) const IS_LED: &str = "liveness/quorum_has_a_leader_whose_high_watermark_is_known";
    pub(crate) const ALL_FOLLOW: &str = "liveness/every_replica_follows_the_leader";
    pub(crate) const NO_CHANGE_IS_OPEN: &str = "liveness/voter_change_comes_to_an_end";
    pub(crate) const LOGS_ARE_ONE: &str = "liveness/everything_is_committed_everywhere";
    pub(crate) const ALL_IS_ANSWERED: &str = "liveness/everything_submitted_is_answered";
}

/// The replicas that are not cut off.
fn connected<'a>(world: &'a World, state: &'a State) -> impl Iterator<Item = (Place, &'a Node)> {
    let nodes = (0..).zip(state.nodes.iter().map(|node| &**node));
    nodes.filter(|(at, _)| world.cut_off != Some(*at))
}

/// The established leader among the connected, if there is one and no other leads.
fn leader<'a>(world: &'a World, state: &'a State) -> Option<(Place, &'a Node)> {
    let mut leaders = connected(world, state).filter(|(_, node)| node.core.is_leader());
    let leader = leaders.next().filter(|(_, node)| node.core.is_established())?;
    leaders.next().is_none().then_some(leader)
}

fn told(at: Place, node: &Node) -> String {
    let (role, epoch) = (node.core.role(&tenure(at, node)), node.core.quorum_epoch());
    format!("node {at} is {role} in epoch {epoch}")
}

fn nobody_leads_nobody(world: &World, state: &State) -> Result<(), String> {
    let cut_off = world.cut_off.and_then(|at| Some((at, state.nodes.get(usize::from(at))?)));
    match cut_off.filter(|(_, node)| node.core.is_leader()) {
        Some((at, node)) => Err(format!("{}, and cut off", told(at, node))),
        None => Ok(()),
    }
}

fn is_led(world: &World, state: &State) -> Result<(), String> {
    if leader(world, state).is_some() {
        return Ok(());
    }
    let all: Vec<String> = connected(world, state).map(|(at, node)| told(at, node)).collect();
    Err(all.join(", "))
}

fn all_follow(world: &World, state: &State) -> Result<(), String> {
    let Some((at, leading)) = leader(world, state) else { return Ok(()) };
    let follows = |(other, node): &(Place, &Node)| {
        *other == at
            || (node.core.leader(&tenure(*other, node)) == Some(tenure(at, leading).key)
                && is_parked(state, at, *other))
    };
    match connected(world, state).find(|replica| !follows(replica)) {
        Some((other, node)) => Err(format!("{}, and {}", told(at, leading), told(other, node))),
        None => Ok(()),
    }
}

/// The last change is committed and known to all, and if it removed the leader somebody else leads (Q33).
fn no_change_is_open(world: &World, state: &State) -> Result<(), String> {
    let Some((at, leading)) = leader(world, state) else { return Ok(()) };
    let voters = leading.core.voters();
    let differs = |(_, node): &(Place, &Node)| node.core.voters().latest() != voters.latest();
    if let Some((other, node)) = connected(world, state).find(differs) {
        let theirs = node.core.voters().latest();
        return Err(format!("leader {at} has voters {:?}, node {other} has {theirs:?}", voters.latest()));
    }
    let (change, high_watermark) = (voters.last_offset(), leading.core.high_watermark());
    let key = tenure(at, leading).key;
    if (change < high_watermark || change.is_none()) && voters.latest().contains(key) {
        return Ok(());
    }
    if change < high_watermark {
        return Err(format!("node {at} leads, and is none of the voters {:?}", voters.latest()));
    }
    Err(format!("the voters record at {change:?} is not committed; the high watermark is {high_watermark:?}"))
}

fn logs_are_one(world: &World, state: &State) -> Result<(), String> {
    let Some((at, leading)) = leader(world, state) else { return Ok(()) };
    let end = leading.disk.end();
    let ends = |node: &Node| (node.disk.end(), node.core.log().last_epoch(), node.core.high_watermark());
    let has_all = |node: &Node| {
        let (known, epoch, high_watermark) = ends(node);
        let same_epoch = epoch == leading.core.log().last_epoch() || epoch.is_none();
        known == end && same_epoch && high_watermark == Some(end) && node.disk.flushed == end
    };
    match connected(world, state).find(|(_, node)| !has_all(node)) {
        Some((other, node)) => Err(format!(
            "end, last epoch and high watermark of leader {at} are {:?}, those of node {other} {:?}",
            ends(leading),
            ends(node)
        )),
        None => Ok(()),
    }
}

/// Whoever was answered, was told that what the leader had begun is over, or saw it start again, waits no more; also where the
/// leader itself remembers nobody.
fn all_is_answered(_: &World, state: &State) -> Result<(), String> {
    let remembered = (0..).zip(&state.nodes).find(|(_, node)| node.core.is_waited_for()).map(|(at, _)| at);
    let proposed = state.proposals.first().map(|(at, _)| *at);
    let asked = state.ghost.reads.first().map(|(at, ..)| *at);
    match remembered.or(proposed).or(asked) {
        Some(at) => Err(format!("node {at} leaves a proposal or a read open")),
        None => Ok(()),
    }
}
