//! What the states before and after a step tell only together: claims about change, and events worth having seen.

use highwater_model::invariant::replication::{Reign, watermark_of_a_leader_never_goes_back};
use highwater_model::replication::ReplicaIdx;

use super::World;
use super::claims::name;
use super::state::State;
use crate::world::Notes;

/// Compares a state with the one before it.
pub(super) fn compare(world: &World, before: &State, after: &State, notes: &mut Notes) {
    for replica in after.replicas() {
        if !before.shares_broker(after, replica) {
            watermark_never_goes_back(before, after, replica, notes);
        }
    }
    if !before.cluster.is_shared_with(after.cluster) {
        partition_epoch_counts(before, after, notes);
        elections(world, before, after, notes);
        isr_changes(world, before, after, notes);
    }
}

/// R22: within one reign of one incarnation.
fn watermark_never_goes_back(before: &State, after: &State, replica: ReplicaIdx, notes: &mut Notes) {
    let reign = |state: &State| {
        let run = state.run(replica).filter(|run| run.leads())?;
        let (broker_epoch, leader_epoch) = (run.broker_epoch, run.known);
        Some(Reign { broker_epoch, leader_epoch, high_watermark: run.core.high_watermark() })
    };
    if let Err(found) = watermark_of_a_leader_never_goes_back(replica, reign(before), reign(after)) {
        notes.broke(found.property, || found.details);
    }
}

/// R46: every change raises the partition epoch by one, a change of leader the leader epoch too.
fn partition_epoch_counts(before: &State, after: &State, notes: &mut Notes) {
    let (old, new) = (before.cluster.partition(), after.cluster.partition());
    if old == new {
        return;
    }
    let counted = new.partition_epoch == old.partition_epoch.next();
    let led = if new.leader == old.leader {
        new.leader_epoch >= old.leader_epoch
    } else {
        new.leader_epoch == old.leader_epoch.next()
    };
    if !counted || !led {
        notes.broke(name::CAS_LINEAR, || {
            format!(
                "partition epoch {} -> {}, leader epoch {} -> {}, leader {:?} -> {:?}",
                old.partition_epoch,
                new.partition_epoch,
                old.leader_epoch,
                new.leader_epoch,
                old.leader,
                new.leader
            )
        });
    }
}

fn elections(world: &World, before: &State, after: &State, notes: &mut Notes) {
    let (old, new) = (before.cluster.partition(), after.cluster.partition());
    let Some(leader) = new.leader.filter(|_| new.leader_epoch > old.leader_epoch) else { return };
    if !old.isr.contains(leader) {
        notes.event(name::ELECTED_FROM_ELR);
    }
    if old.leader.is_some_and(|before| before != leader) {
        notes.event(name::NEW_LEADER);
    }
    if after.brokers.len() == 1 && after.left.kills < world.bounds.kills {
        notes.event(name::LED_AGAIN_ALONE);
    }
}

fn isr_changes(world: &World, before: &State, after: &State, notes: &mut Notes) {
    let (old, new) = (before.cluster.partition().isr, after.cluster.partition().isr);
    if old == new {
        return;
    }
    if !old.minus(new).is_empty() {
        notes.event(name::SHRUNK);
    }
    for joined in new.minus(old).iter() {
        // Of those that were in it at the start: before it can grow by one of them again, it has shrunk.
        if joined.0 < world.bounds.isr_at_start() {
            notes.event(name::GREW);
        }
        if before.broker(joined).disk.unclean {
            notes.event(name::REJOINED);
        }
    }
}
