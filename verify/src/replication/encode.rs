//! The fingerprint's view of a state: numbers that are only ever compared are replaced by their rank.
//!
//! Request ids, log generations, metadata offsets with the broker epochs among them, partition epochs and leader epochs
//! grow with history, yet the cores only compare them with others of their kind and make new ones above all known. Two
//! states that differ in such numbers but not in their order have the same future, step by step; so within each kind (for
//! request ids and generations: of each replica) a number is encoded as the count of smaller ones in the state. 0 counts
//! always: it stands for "none yet".
//!
//! Of the view of a replica that does not lead only the leader, the leader epoch, the flush policy and the min ISR are
//! encoded: it reads nothing else of it before it is given the next one.

use std::hash::Hasher as _;

use highwater_model::replication::{Message, ReplicaIdx};
use serde::Serialize;

use super::cluster::Cluster;
use super::disk::{Disk, Entries};
use super::network::Envelope;
use super::state::{Broker, State};
use crate::engine::Encoder;

mod canon;

use canon::{Assembly, Space};
pub(super) use canon::{Canon, Code};

/// Feeds `state` to `sink`.
pub(super) fn encode(state: &State, sink: &mut Encoder) {
    let mut canon = Assembly::new(sink);
    for (replica, broker) in state.replicas().zip(&state.brokers) {
        canon.add(broker.code(|broker, canon| broker_into(replica, broker, canon)));
    }
    canon.add(state.cluster.code(cluster_into));
    for envelope in state.network.envelopes() {
        canon.add(envelope.code(envelope_into));
    }
    let mut ghost = Canon::default();
    ghost.byte(0xff);
    entries_into(&state.ghost.committed, &mut ghost);
    canon.add(&ghost.into_code());
    canon.finish();
    std::hash::Hash::hash(&state.clients, sink);
    std::hash::Hash::hash(&state.spent, sink);
    sink.write_u8(state.ghost.lossy);
}

fn entries_into(entries: &Entries, canon: &mut Canon) {
    for entry in entries {
        canon.byte(entry.value + 1);
        canon.rank(Space::LeaderEpoch, u64::from(entry.leader_epoch.0));
    }
    canon.byte(0);
}

fn disk_into(replica: ReplicaIdx, disk: &Disk, canon: &mut Canon) {
    entries_into(&disk.entries, canon);
    canon.byte(disk.written);
    canon.byte(u8::from(disk.unclean));
    canon.byte(disk.flushed);
    for pending in [&disk.writes, &disk.syncs] {
        for one in pending {
            canon.byte(one.covers + 1);
            canon.byte(super::disk::small(one.end));
            canon.rank(Space::Generation(replica), u64::from(one.generation.0));
        }
        canon.byte(0);
    }
    for told in [disk.same_boot, disk.clean_stop] {
        canon.rank(Space::Metadata, told.map_or(0, |broker_epoch| broker_epoch.0));
    }
}

fn broker_into(replica: ReplicaIdx, broker: &Broker, canon: &mut Canon) {
    disk_into(replica, &broker.disk, canon);
    let Some(run) = &broker.run else { return canon.byte(0) };
    canon.byte(1);
    canon.rank(Space::Metadata, run.broker_epoch.0);
    canon.rank(Space::Metadata, run.applied.0);
    canon.rank(Space::LeaderEpoch, u64::from(run.known.0));
    canon.heed_view(run.leads());
    value_into(replica, &run.core, canon);
    canon.heed_view(true);
    value_into(replica, &run.timers, canon);
}

fn cluster_into(cluster: &Cluster, canon: &mut Canon) {
    let nobody = ReplicaIdx(0);
    for broker in cluster.image().brokers() {
        canon.byte(u8::from(broker.fenced));
        canon.rank(Space::Metadata, broker.broker_epoch.0);
        canon.rank(Space::Metadata, broker.stopping.map_or(0, |end| end.0));
    }
    canon.rank(Space::Metadata, cluster.image().end().0);
    let partition = cluster.partition();
    let facts = (partition.leader, partition.isr, partition.eligible_leaders, partition.last_known_leader);
    value_into(nobody, &facts, canon);
    value_into(nobody, &(partition.leader_epoch, partition.partition_epoch, partition.recovering), canon);
    if let Some(controller) = cluster.with_sessions() {
        value_into(nobody, controller, canon);
    }
    for view in cluster.views() {
        canon.byte(1);
        value_into(nobody, view, canon);
    }
    canon.byte(0);
}

fn envelope_into(envelope: &Envelope, canon: &mut Canon) {
    match envelope {
        Envelope::Peer { from, to, message, records } => {
            canon.byte(1);
            canon.byte(from.0);
            canon.byte(to.0);
            let requester = if matches!(message, Message::FetchAnswer(_)) { *to } else { *from };
            value_into(requester, message, canon);
            entries_into(records, canon);
        }
        Envelope::Proposal { from, proposal } => {
            canon.byte(2);
            canon.byte(from.0);
            value_into(*from, proposal, canon);
        }
        Envelope::Decision { to, broker_epoch, answer } => {
            canon.byte(3);
            canon.byte(to.0);
            canon.rank(Space::Metadata, broker_epoch.0);
            value_into(*to, answer, canon);
        }
    }
}

/// A value of the cores, whose request ids and generations are those of `requester`.
fn value_into<T: Serialize>(requester: ReplicaIdx, value: &T, canon: &mut Canon) {
    canon.requester(requester);
    value.serialize(&mut *canon).expect("an encoding in memory never fails");
}
