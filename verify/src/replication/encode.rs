//! The fingerprint's view of a state: numbers that are only ever compared are replaced by their rank.
//!
//! Fetch ids, proposal ids, log generations, broker epochs, partition epochs and leader epochs grow with history, yet the
//! cores only compare them with others of their kind and make new ones above all known. Two states that differ in such
//! numbers but not in their order have the same future, step by step; so within each kind a number is encoded as the
//! count of those in the state that are not larger. What is never compared is a kind of its
//! own: the fetch ids of each incarnation of a replica in each leader epoch (they begin anew with either), its generations,
//! and of each replica its proposal ids and its broker epochs.
//!
//! Left out, because no step reads it:
//! - metadata offsets. A broker's tells which views it has yet to apply, and whether it has applied more than its own
//!   registration (Q54); both are encoded instead. Only a controlled shutdown compares offsets across brokers (Q56): with
//!   shutdowns the controller and the offsets are encoded as they are.
//! - of the view of a replica that does not lead all but the leader, the leader epoch, the flush policy and the min ISR:
//!   it reads nothing else of it before it is given the next one.
//! - the id of a leader's last proposal: the next one is new in any case, and it is in flight or its answer is awaited, or
//!   nobody compares it.
//! - once a leader repeats no proposal any more, whom the one in flight proposes beyond whom it makes count (R44).
//! - whom a proposal proposes that the controller will refuse in any case, since the partition epoch has moved on; and of
//!   one that it may accept, whether a member of the ISR is named with its current broker epoch or without any.
//! - of a view the ISR and the partition epoch, where its leader knows as much from the answer to its proposal.
//! - once no lag timer may run out any more, which of them run.
//! - what a leader of the past knows of its followers, and what is under way to it, but for its reach (`past`).
//!
//! Of these, what concerns proposals and leaders of the past is told apart all the same without the reductions `proposals` and `past`, and with a
//! planted bug, which may be one that reads it.
//!
//! And once nobody can be elected any more, followers go by whichever names make the encoding the least (`symmetry`).
//!
//! The test of all this is `engine::alike`: states that share an encoding are held against each other, step by step.

use std::hash::{Hash as _, Hasher as _};

use highwater_model::replication::{IsrSet, PartitionView, ReplicaIdx, ReplicaView};
use smallvec::SmallVec;

use super::dead::is_doomed;
use super::network::Envelope;
use super::part::Part;
use super::state::State;
use crate::engine::Encoder;

mod assembly;
mod canon;
mod parts;
mod renaming;
mod space;
mod symmetry;
mod union;

use assembly::Assembly;
pub(super) use assembly::Code;
pub(super) use canon::Canon;
use canon::Members;
use parts::{broker_into, cluster_into, envelope_into, ledger_into, past_broker_into};
use renaming::Renaming;
use space::Space;
pub(super) use symmetry::settled;

/// Feeds `state` to `sink`.
pub(super) fn encode(state: &State, sink: &mut Encoder) {
    match settled(state) {
        Some(leader) => symmetry::write_least(state, leader, sink),
        None => write(state, Renaming::NONE, false, sink),
    }
}

/// Feeds `state` to `sink`, its replicas by other names. Under other names messages no longer stand in the order of the
/// network: they are sorted by their encodings if `sorted`.
fn write(state: &State, renaming: Renaming, sorted: bool, sink: &mut Encoder) {
    let mut canon = Assembly::new(sink);
    for name in state.replicas() {
        let replica = renaming.of(name);
        canon.add(broker_code(state, replica, renaming));
        if let Some(past) = state.past_of(replica) {
            past.write(|replicas| renaming.of_set(replicas), |byte| canon.byte(byte));
        }
    }
    canon.add(state.cluster.code_of(FLAGS * renaming.index(), |cluster, canon| {
        canon.rename(renaming);
        cluster_into(cluster, canon);
    }));
    views_into(state, renaming, &mut canon);
    let is_told_apart = |envelope: &&Part<Envelope>| state.past_receiver(envelope).is_none();
    let envelopes = state.network.envelopes().iter().filter(is_told_apart);
    let envelopes = envelopes.map(|envelope| envelope_code(state, *envelope, renaming));
    if sorted {
        let mut envelopes: SmallVec<[&Code; 8]> = envelopes.collect();
        envelopes.sort_unstable_by(|one, other| one.order(other));
        envelopes.into_iter().for_each(|code| canon.add(code));
    } else {
        envelopes.for_each(|code| canon.add(code));
    }
    canon.add(state.ledger.code_of(FLAGS * renaming.index(), |ledger, canon| {
        canon.rename(renaming);
        ledger_into(ledger, canon);
    }));
    canon.finish();
    if state.cluster.with_sessions().is_some() {
        for run in state.brokers.iter().filter_map(|broker| broker.run.as_ref()) {
            sink.write_u64(run.applied.0);
        }
        for view in state.cluster.views() {
            sink.write_u64(view.metadata_offset.0);
        }
    }
    state.left.hash(sink);
}

/// Number of encodings of a part for each naming of the replicas, by what else they heed.
const FLAGS: usize = 4;

/// The first encoding of a leader of the past; there is one for each naming.
const OF_PAST: usize = 16;

fn broker_code(state: &State, replica: ReplicaIdx, renaming: Renaming) -> &'static Code {
    if state.past_of(replica).is_some() {
        return state.part(replica).code_of(OF_PAST + renaming.index(), |broker, canon| {
            canon.rename(renaming);
            past_broker_into(broker, canon);
        });
    }
    let lag_matters = state.left.shrinks > 0;
    let retry_matters = state.left.timeouts > 0 || state.cluster.heeds_all_of_proposals();
    let which = usize::from(lag_matters) + 2 * usize::from(retry_matters) + FLAGS * renaming.index();
    state.part(replica).code_of(which, |broker, canon| {
        canon.rename(renaming);
        canon.heed_lag(lag_matters);
        canon.heed_retry(retry_matters);
        broker_into(broker, lag_matters, retry_matters, canon);
    })
}

fn envelope_code(state: &State, envelope: Part<Envelope>, renaming: Renaming) -> &'static Code {
    let (which, members) = if state.cluster.heeds_all_of_proposals() {
        (0, Members::AsNamed)
    } else if is_doomed(state, &envelope) {
        (1, Members::Unread)
    } else {
        (2, Members::OfNow)
    };
    envelope.code_of(which + FLAGS * renaming.index(), |envelope, canon| {
        canon.rename(renaming);
        canon.heed_members(members);
        envelope_into(envelope, canon);
    })
}

/// The views that brokers have yet to apply, and by which. Of a view a broker that does not lead by it reads who leads, in
/// which leader epoch, and what holds for any leader; a view that tells its readers nothing but that again is one with
/// the view before it, since both are applied together.
fn views_into(state: &State, renaming: Renaming, canon: &mut Assembly<'_>) {
    let mut before: Option<&PartitionView> = None;
    for view in state.cluster.views().iter().map(|view| view.get()) {
        let readers: IsrSet =
            state.replicas().filter(|replica| has_yet_to_apply(state, *replica, view)).collect();
        let leads = |leader: ReplicaIdx| readers.contains(leader) && !is_past(state, leader, view);
        let leads = view.leader.is_some_and(leads);
        if readers.is_empty() || (!leads && before.is_some_and(|before| says_the_same(before, view))) {
            continue;
        }
        before = Some(view);
        canon.byte(1 + bits(renaming.of_set(readers)));
        let known = view.leader.and_then(|leader| state.run(leader)).filter(|run| run.leads());
        let news = known.is_none_or(|run| run.core.view().partition_epoch < view.partition_epoch)
            || state.cluster.heeds_all_of_proposals();
        view_into(view, renaming, leads, news, canon);
    }
    canon.byte(0);
}

/// Whether this view is of a leader of the past, whose stages tell what there is to it.
fn is_past(state: &State, leader: ReplicaIdx, view: &PartitionView) -> bool {
    state.past_of(leader).is_some() && state.run(leader).is_some_and(|run| run.known == view.leader_epoch)
}

fn bits(replicas: IsrSet) -> u8 {
    replicas.iter().fold(0, |bits, replica| bits | 1 << replica.0)
}

fn has_yet_to_apply(state: &State, replica: ReplicaIdx, view: &PartitionView) -> bool {
    state.run(replica).is_some_and(|run| run.applied < view.metadata_offset)
}

/// Whether a replica that leads by neither view can tell one from the other.
pub(super) fn says_the_same(one: &PartitionView, other: &PartitionView) -> bool {
    let read = |view: &PartitionView| (view.leader, view.leader_epoch, view.flush, view.min_isr);
    read(one) == read(other)
}

fn view_into(view: &PartitionView, renaming: Renaming, all: bool, news: bool, canon: &mut Assembly<'_>) {
    let PartitionView {
        metadata_offset: _,
        leader,
        leader_epoch,
        partition_epoch,
        isr,
        min_isr,
        flush,
        replicas,
    } = view;
    canon.byte(leader.map_or(0, |leader| 1 + renaming.of(leader).0));
    canon.rank(Space::LeaderEpoch, u64::from(leader_epoch.0));
    canon.byte(*min_isr);
    canon.byte(*flush as u8);
    if !all {
        return;
    }
    canon.byte(u8::from(news));
    if news {
        canon.rank(Space::PartitionEpoch, u64::from(partition_epoch.0));
        canon.byte(bits(renaming.of_set(*isr)));
    }
    for name in (0..).map(ReplicaIdx).take(replicas.len()) {
        let replica = renaming.of(name);
        let known = view.replica(replica).expect("names are those of replicas");
        let ReplicaView { broker_epoch, eligible } = known;
        canon.byte(u8::from(*eligible) + 2 * u8::from(broker_epoch.is_some()));
        if let Some(broker_epoch) = broker_epoch {
            canon.rank(Space::BrokerEpoch(replica), broker_epoch.0);
        }
    }
}
