//! What must hold in the replication world, and what must be possible in it.
//!
//! Claims about states are the named invariants of `model`; those about steps, and those that only this world can tell
//! (what is truly on a disk, that a partition is led again), are here.

use std::sync::LazyLock;

use highwater_model::id::Offset;
use highwater_model::invariant::replication::{
    OnDisk, Property, properties, readers_see_what_is_committed, replica_believes_what_its_disk_holds,
};
use highwater_model::replication::ReplicaIdx;

use super::World;
use super::disk::Entry;
use super::sight::Frame;
use super::state::State;
use crate::world::{Always, Broken, Holds, Seen, Sometimes};

/// Names of the claims that are made here.
pub(super) mod name {
    pub(crate) use highwater_model::invariant::replication::name::{
        ACKED_IS_COMMITTED, ACKED_WAS_REPLICATED, ANSWER_IS_TO_THIS_RUN,
        CUT_LEAVES_NO_EPOCH_THAT_THE_LEADER_LACKS as CUT_SETTLES,
        LEADER_LEAVES_NOTHING_UNDONE as NOTHING_UNDONE, READERS_SEE_WHAT_IS_COMMITTED as READ_IS_COMMITTED,
        REPLICA_BELIEVES_WHAT_ITS_DISK_HOLDS as DISK_IS_BELIEVED,
        WATERMARK_OF_A_LEADER_NEVER_GOES_BACK as WATERMARK_MONOTONIC,
    };

    pub(crate) const WATERMARK_IS_OF_COMMITTED: &str = "replication/watermark_covers_what_is_committed";
    pub(crate) const CAS_LINEAR: &str = "replication/partition_epoch_counts_every_change";
    pub(crate) const DROPPED: &str = "replication/nothing_comes_of_what_is_dropped";
    pub(crate) const LED_AGAIN: &str = "replication/partition_that_kept_its_data_is_led_again";

    pub(crate) const ACKED: &str = "replication/some_record_is_acked";
    pub(crate) const ACKED_WRITTEN: &str = "replication/some_record_is_acked_under_flush_os";
    pub(crate) const ACKED_SYNCED: &str = "replication/some_record_is_acked_under_flush_commit";
    pub(crate) const TRUNCATED: &str = "replication/truncation_happens";
    pub(crate) const SHRUNK: &str = "replication/isr_shrinks";
    pub(crate) const GREW: &str = "replication/isr_grows_again";
    pub(crate) const ALTER_REJECTED: &str = "replication/isr_change_is_rejected";
    pub(crate) const STALE_REQUEST: &str = "replication/stale_request_is_fenced";
    pub(crate) const STALE_ANSWER: &str = "replication/stale_answer_is_fenced";
    pub(crate) const ELECTED_FROM_ELR: &str = "replication/leader_is_elected_from_outside_the_isr";
    pub(crate) const REFUSED: &str = "replication/produce_is_refused_for_want_of_replicas";
    pub(crate) const REJOINED: &str = "replication/replica_rejoins_after_a_power_loss";
    pub(crate) const LED_AGAIN_ALONE: &str = "replication/single_replica_leads_again_after_a_kill";
    pub(crate) const DELETED: &str = "replication/records_are_deleted";
    pub(crate) const BEGUN_ANEW: &str = "replication/log_begins_anew_at_its_leaders_start";
    pub(crate) const CONFIGURED: &str = "replication/min_isr_is_configured";
    pub(crate) const ASKED_DEPOSED: &str = "replication/deposed_controller_is_asked";
    pub(crate) const RESTORED: &str = "replication/old_disk_is_put_back";
    pub(crate) const NEW_LEADER: &str = "replication/another_leader_follows";
}

/// The invariants that hold only as long as no more tails are lost than the promise allows (R62).
/// Whom the controller trusts (RI13) is no matter of how many were lost.
const OF_RECORDS: &[&str] = &["RI1", "RI2", "RI3", "RI5", "RI6", "RI7", "RI9", "RI16"];

/// The invariant of changes in a row (RI11), which [`name::CAS_LINEAR`] is in this world.
const HISTORIC: &str = "replication/cas_linear";

static STATE_CLAIMS: LazyLock<[Property<Entry>; 17]> = LazyLock::new(properties::<Entry>);

/// The claims about every state and step.
pub(super) static ALWAYS: LazyLock<Vec<Always<World>>> = LazyLock::new(|| {
    let holds: [Holds<World>; 17] = [
        at::<0>, at::<1>, at::<2>, at::<3>, at::<4>, at::<5>, at::<6>, at::<7>, at::<8>, at::<9>, at::<10>,
        at::<11>, at::<12>, at::<13>, at::<14>, at::<15>, at::<16>,
    ];
    let of_state = |(claim, holds): (&Property<Entry>, _)| Always {
        name: claim.name,
        rule: claim.rule,
        holds: Some(holds),
        exercised_by: exercise(claim.rule),
    };
    let of_step = |name, rule, exercised_by| Always { name, rule, holds: None, exercised_by };
    // A state keeps no changes that [`HISTORIC`] could be held against: each step is, instead.
    let of_states = STATE_CLAIMS.iter().zip(holds).filter(|(claim, _)| claim.name != HISTORIC);
    let mut claims: Vec<Always<World>> = of_states.map(of_state).collect();
    claims.extend([
        of_step(name::ACKED_WAS_REPLICATED, "RI8", name::ACKED),
        of_step(name::ACKED_IS_COMMITTED, "RI8", name::ACKED),
        of_step(name::WATERMARK_IS_OF_COMMITTED, "RI1", name::TRUNCATED),
        of_step(name::WATERMARK_MONOTONIC, "RI14", name::ACKED),
        of_step(name::CAS_LINEAR, "RI11", name::ALTER_REJECTED),
        of_step(name::ANSWER_IS_TO_THIS_RUN, "R13", name::STALE_ANSWER),
        of_step(name::CUT_SETTLES, "RL8", name::TRUNCATED),
        of_step(name::NOTHING_UNDONE, "RL5", name::SHRUNK),
        of_step(name::DROPPED, "R11, R13, R43", name::NEW_LEADER),
        Always {
            name: name::READ_IS_COMMITTED,
            rule: "R5",
            holds: Some(reads_are_committed),
            exercised_by: name::ACKED,
        },
        Always {
            name: name::DISK_IS_BELIEVED,
            rule: "X13",
            holds: Some(disks_are_believed),
            exercised_by: name::TRUNCATED,
        },
        Always {
            name: name::LED_AGAIN,
            rule: "RL0",
            holds: Some(led_again),
            exercised_by: name::LED_AGAIN_ALONE,
        },
    ]);
    claims
});

/// What shows that an invariant was put to the test.
fn exercise(rule: &str) -> &'static str {
    match rule {
        "RI1" | "RI6" | "RI15" => name::TRUNCATED,
        "RI2" | "RI10" => name::NEW_LEADER,
        "RI3" => name::ELECTED_FROM_ELR,
        "RI4" => name::SHRUNK,
        "RI5" | "RI12" => name::GREW,
        "RI13" => name::REJOINED,
        "RI17" => name::REFUSED,
        "RI14" => name::BEGUN_ANEW,
        "RL3" => name::ASKED_DEPOSED,
        _ => name::ACKED,
    }
}

/// What must be possible.
pub(super) const SOMETIMES: &[Sometimes<World>] = &[
    Sometimes { name: name::ACKED, seen: Seen::Step },
    Sometimes { name: name::ACKED_WRITTEN, seen: Seen::Step },
    Sometimes { name: name::ACKED_SYNCED, seen: Seen::Step },
    Sometimes { name: name::TRUNCATED, seen: Seen::Step },
    Sometimes { name: name::SHRUNK, seen: Seen::Step },
    Sometimes { name: name::GREW, seen: Seen::Step },
    Sometimes { name: name::ALTER_REJECTED, seen: Seen::Step },
    Sometimes { name: name::STALE_REQUEST, seen: Seen::Step },
    Sometimes { name: name::STALE_ANSWER, seen: Seen::Step },
    Sometimes { name: name::ELECTED_FROM_ELR, seen: Seen::Step },
    Sometimes { name: name::REFUSED, seen: Seen::Step },
    Sometimes { name: name::REJOINED, seen: Seen::Step },
    Sometimes { name: name::LED_AGAIN_ALONE, seen: Seen::Step },
    Sometimes { name: name::DELETED, seen: Seen::Step },
    Sometimes { name: name::BEGUN_ANEW, seen: Seen::Step },
    Sometimes { name: name::CONFIGURED, seen: Seen::Step },
    Sometimes { name: name::ASKED_DEPOSED, seen: Seen::Step },
    Sometimes { name: name::RESTORED, seen: Seen::Step },
    Sometimes { name: name::NEW_LEADER, seen: Seen::Step },
];

/// Whether more unsynced tails were lost than the promise allows for (R62): then nothing is promised of the records.
fn void(world: &World, state: &State) -> bool {
    world.counts_unsynced() && state.ledger.ghost.lossy >= world.bounds.least_min_isr()
}

/// Evaluates every claim about states over one picture.
pub(super) fn judge(world: &World, state: &State) -> Result<(), Broken> {
    let frame = Frame::of(state);
    let view = frame.view(world, state);
    let void = void(world, state);
    let made = |claim: &&Property<Entry>| {
        world.aside.judges(claim.name) && (!void || !OF_RECORDS.contains(&claim.rule))
    };
    for claim in STATE_CLAIMS.iter().filter(made) {
        let broken = (claim.holds)(&view);
        broken.map_err(|found| Broken { claim: claim.name, values: found.details })?;
    }
    for (claim, holds) in OF_THIS_WORLD.iter().filter(|(claim, _)| world.aside.judges(claim)) {
        holds(world, state).map_err(|values| Broken { claim, values })?;
    }
    Ok(())
}

/// The claims about states that only this world can tell.
const OF_THIS_WORLD: [(&str, Holds<World>); 3] = [
    (name::READ_IS_COMMITTED, reads_are_committed),
    (name::DISK_IS_BELIEVED, disks_are_believed),
    (name::LED_AGAIN, led_again),
];

/// One claim about a state, for checkers that ask for one at a time.
fn at<const AT: usize>(world: &World, state: &State) -> Result<(), String> {
    let Some(claim) = STATE_CLAIMS.get(AT) else { return Ok(()) };
    let is_void = void(world, state) && OF_RECORDS.contains(&claim.rule);
    if is_void || !world.aside.judges(claim.name) {
        return Ok(());
    }
    let frame = Frame::of(state);
    (claim.holds)(&frame.view(world, state)).map_err(|found| found.details)
}

/// R5: what a leader would give to a consumer was below some leader's high watermark.
fn reads_are_committed(_: &World, state: &State) -> Result<(), String> {
    for replica in state.replicas() {
        let Some(run) = state.run(replica) else { continue };
        let Ok(end) = run.core.readable_end() else { continue };
        let committed = Offset(state.ledger.ghost.committed.len() as u64);
        readers_see_what_is_committed(replica, end.offset(), committed).map_err(|found| found.details)?;
    }
    Ok(())
}

/// X13: no replica counts as written or synced what is not.
fn disks_are_believed(_: &World, state: &State) -> Result<(), String> {
    for replica in state.replicas() {
        let Some(run) = state.run(replica) else { continue };
        let disk = &state.broker(replica).disk;
        let offset = |end: u8| Offset(u64::from(end));
        let held = OnDisk {
            start: offset(disk.start),
            flushed: offset(disk.flushed),
            written: offset(disk.written),
            end: offset(disk.end()),
        };
        replica_believes_what_its_disk_holds(replica, run.core.log(), &held)
            .map_err(|found| found.details)?;
    }
    Ok(())
}

/// Whether nobody may lead, and whoever was the last that might had lost, or may have, what it had counted (R60): the one case in
/// which a partition stays without a leader. A replica that synced what it counted loses nothing that it is missed for.
pub(super) fn is_dark_by_right(world: &World, state: &State) -> bool {
    let known = state.cluster.partition();
    let nobody_may_lead = known.leader.is_none() && known.isr.union(known.eligible_leaders).is_empty();
    nobody_may_lead && world.counts_unsynced() && !state.ledger.ghost.struck_off
}

/// RL0: when every broker runs and is unfenced, somebody leads, unless nobody may.
fn led_again(world: &World, state: &State) -> Result<(), String> {
    let partition = state.cluster.partition();
    let stands =
        |replica: ReplicaIdx| state.run(replica).is_some() && state.cluster.broker(replica).is_active();
    let is_dark = partition.leader.is_none() && !is_dark_by_right(world, state);
    if is_dark && state.replicas().all(stands) {
        return Err(format!(
            "every broker runs and is unfenced, and nobody leads; isr {:?}, eligible leaders {:?}",
            partition.isr, partition.eligible_leaders
        ));
    }
    Ok(())
}
