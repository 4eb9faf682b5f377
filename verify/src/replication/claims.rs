//! What must hold in the replication world, and what must be possible in it.

use highwater_model::replication::ReplicaIdx;

use super::World;
use super::state::{Standing, State};
use crate::world::{Always, Seen, Sometimes};

/// Names of the claims.
pub(super) mod name {
    pub(crate) const COMMITTED_IS_STABLE: &str = "replication/committed_records_never_change";
    pub(crate) const LEADER_IS_COMPLETE: &str = "replication/leader_holds_what_is_committed";
    pub(crate) const CANDIDATE_IS_COMPLETE: &str = "replication/every_candidate_holds_what_is_committed";
    pub(crate) const ACKED_NOT_LOST: &str = "replication/acked_record_survives";
    pub(crate) const ACKED_WAS_REPLICATED: &str = "replication/acked_record_is_held_as_promised";
    pub(crate) const ACKED_IS_COMMITTED: &str = "replication/acked_record_is_committed";
    pub(crate) const WELL_FORMED: &str = "replication/partition_is_well_formed";
    pub(crate) const ONE_LEADER: &str = "replication/one_leader_per_leader_epoch";
    pub(crate) const LED_AGAIN: &str = "replication/partition_that_kept_its_data_is_led_again";

    pub(crate) const ACKED: &str = "replication/some_record_is_acked";
    pub(crate) const TRUNCATED: &str = "replication/truncation_happens";
    pub(crate) const ALTERED: &str = "replication/isr_change_is_accepted";
    pub(crate) const ALTER_REJECTED: &str = "replication/isr_change_is_rejected";
    pub(crate) const STALE_REQUEST: &str = "replication/stale_request_is_fenced";
    pub(crate) const STALE_ANSWER: &str = "replication/stale_answer_is_fenced";
    pub(crate) const ELECTED_FROM_ELR: &str = "replication/leader_is_elected_from_outside_the_isr";
}

/// The claims about every state and step.
pub(super) const ALWAYS: &[Always<World>] = &[
    Always {
        name: name::COMMITTED_IS_STABLE,
        rule: "RI1",
        holds: Some(committed_is_stable),
        exercised_by: name::TRUNCATED,
    },
    Always {
        name: name::LEADER_IS_COMPLETE,
        rule: "RI2",
        holds: Some(leader_is_complete),
        exercised_by: name::ACKED,
    },
    Always {
        name: name::CANDIDATE_IS_COMPLETE,
        rule: "RI3",
        holds: Some(candidates_are_complete),
        exercised_by: name::ELECTED_FROM_ELR,
    },
    Always {
        name: name::ACKED_NOT_LOST,
        rule: "RI7",
        holds: Some(acked_is_not_lost),
        exercised_by: name::ACKED,
    },
    Always { name: name::ACKED_WAS_REPLICATED, rule: "RI8", holds: None, exercised_by: name::ACKED },
    Always { name: name::ACKED_IS_COMMITTED, rule: "RI8", holds: None, exercised_by: name::ACKED },
    Always { name: name::WELL_FORMED, rule: "RI12", holds: Some(well_formed), exercised_by: name::ALTERED },
    Always {
        name: name::ONE_LEADER,
        rule: "RI10",
        holds: Some(one_leader),
        exercised_by: name::STALE_REQUEST,
    },
    Always {
        name: name::LED_AGAIN,
        rule: "RL0",
        holds: Some(led_again),
        exercised_by: name::ELECTED_FROM_ELR,
    },
];

/// What must be possible.
pub(super) const SOMETIMES: &[Sometimes<World>] = &[
    Sometimes { name: name::ACKED, seen: Seen::Step },
    Sometimes { name: name::TRUNCATED, seen: Seen::Step },
    Sometimes { name: name::ALTERED, seen: Seen::Step },
    Sometimes { name: name::ALTER_REJECTED, seen: Seen::Step },
    Sometimes { name: name::STALE_REQUEST, seen: Seen::Step },
    Sometimes { name: name::STALE_ANSWER, seen: Seen::Step },
    Sometimes { name: name::ELECTED_FROM_ELR, seen: Seen::Step },
    Sometimes { name: "replication/isr_shrinks_then_grows", seen: Seen::State(|_, _| false) },
];

/// Whether more unsynced tails were lost than the promise allows for (R62): then nothing is promised of the records.
fn void(world: &World, state: &State) -> bool {
    world.counts_unsynced() && state.ghost.lossy >= world.bounds.configured_min_isr()
}

/// The first committed record that `replica` does not hold.
fn missing(state: &State, replica: ReplicaIdx) -> Option<String> {
    let held = &state.broker(replica).disk.entries;
    let lacks =
        (0..).zip(&state.ghost.committed).find(|(offset, committed)| held.get(*offset) != Some(committed));
    let (offset, committed) = lacks?;
    Some(format!("{replica} holds {held:?} and lacks {committed:?}, committed at offset {offset}"))
}

fn committed_is_stable(world: &World, state: &State) -> Result<(), String> {
    if void(world, state) {
        return Ok(());
    }
    for replica in state.replicas() {
        let Some(run) = state.run(replica) else { continue };
        let below = usize::from(super::disk::small(run.core.high_watermark()));
        let held = &state.broker(replica).disk.entries;
        let committed = &state.ghost.committed;
        if held.len() < below || committed.iter().zip(held).take(below).any(|(c, h)| c != h) {
            return Err(format!(
                "{replica} has high watermark {below} over {held:?}; committed is {committed:?}"
            ));
        }
    }
    Ok(())
}

fn leader_is_complete(world: &World, state: &State) -> Result<(), String> {
    let leader = state.cluster.partition().leader.filter(|leader| state.run(*leader).is_some());
    match leader.filter(|_| !void(world, state)).and_then(|leader| missing(state, leader)) {
        Some(missing) => Err(format!("the leader {missing}")),
        None => Ok(()),
    }
}

fn candidates_are_complete(world: &World, state: &State) -> Result<(), String> {
    if void(world, state) || state.ghost.committed.is_empty() {
        return Ok(());
    }
    let partition = state.cluster.partition();
    let candidates = partition.isr.union(partition.eligible_leaders);
    let running = candidates.iter().filter(|replica| state.run(*replica).is_some());
    match running.filter_map(|replica| missing(state, replica)).next() {
        Some(missing) => Err(format!(
            "{missing}; isr {:?}, eligible leaders {:?}",
            partition.isr, partition.eligible_leaders
        )),
        None => Ok(()),
    }
}

fn acked_is_not_lost(world: &World, state: &State) -> Result<(), String> {
    if void(world, state) || !world.acks_all() {
        return Ok(());
    }
    let holds = |replica: ReplicaIdx, value: u8| {
        state.broker(replica).disk.entries.iter().any(|entry| entry.value == value)
    };
    let acked = (0..).zip(&state.clients).filter(|(_, standing)| **standing == Standing::Acknowledged);
    for (value, _) in acked {
        if !state.replicas().any(|replica| holds(replica, value)) {
            return Err(format!("record {value} was acknowledged and no replica holds it"));
        }
    }
    Ok(())
}

fn well_formed(_: &World, state: &State) -> Result<(), String> {
    let partition = state.cluster.partition();
    let fenced = partition.isr.iter().find(|replica| !state.cluster.broker(*replica).is_active());
    let leader_outside = partition.leader.filter(|leader| !partition.isr.contains(*leader));
    let overlap = !partition.isr.intersection(partition.eligible_leaders).is_empty();
    let needless = partition.isr.count() >= partition.min_isr && !partition.eligible_leaders.is_empty();
    if fenced.is_some() || leader_outside.is_some() || overlap || needless {
        return Err(format!(
            "leader {:?}, isr {:?}, eligible leaders {:?}, not active in the isr {fenced:?}",
            partition.leader, partition.isr, partition.eligible_leaders
        ));
    }
    Ok(())
}

fn one_leader(_: &World, state: &State) -> Result<(), String> {
    let leads = |replica: ReplicaIdx| {
        let run = state.run(replica)?;
        Some((run.core.readable_end().ok()?.leader_epoch(), replica))
    };
    let leaders: Vec<_> = state.replicas().filter_map(leads).collect();
    let twin = |(at, (epoch, _)): (usize, &(_, _))| leaders.iter().take(at).any(|(other, _)| other == epoch);
    if leaders.iter().enumerate().any(twin) {
        return Err(format!("leader epochs and who leads in them: {leaders:?}"));
    }
    Ok(())
}

fn led_again(world: &World, state: &State) -> Result<(), String> {
    let stands =
        |replica: ReplicaIdx| state.run(replica).is_some() && state.cluster.broker(replica).is_active();
    let lost = state.ghost.lossy > 0 && world.counts_unsynced();
    let partition = state.cluster.partition();
    if !lost && partition.leader.is_none() && state.replicas().all(stands) {
        return Err(format!(
            "every broker runs and is unfenced, and nobody leads; isr {:?}, eligible leaders {:?}",
            partition.isr, partition.eligible_leaders
        ));
    }
    Ok(())
}
