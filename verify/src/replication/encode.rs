//! The fingerprint's view of a state: numbers that are only ever compared are replaced by their rank.
//!
//! Fetch ids, proposal ids, log generations, broker epochs, partition epochs and leader epochs grow with history, yet the
//! cores only compare them with others of their kind and make new ones above all known. Two states that differ in such
//! numbers but not in their order have the same future, step by step; so within each kind a number is encoded as the
//! count of smaller ones in the state. 0 counts always: it stands for "none yet". What is never compared is a kind of its
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
//!
//! The test of all this is `engine::alike`: states that share an encoding are held against each other, step by step.

use std::hash::Hasher as _;

use highwater_model::replication::{
    IsrChangeStage, IsrSet, Message, PartitionView, ReplicaIdx, ReplicaView, Timer,
};
use serde::Serialize;

use super::cluster::Cluster;
use super::disk::{Disk, Entries};
use super::network::Envelope;
use super::state::{Broker, Run, State};
use crate::engine::Encoder;

mod canon;

use canon::{Assembly, Members, Space};
pub(super) use canon::{Canon, Code};

/// Feeds `state` to `sink`.
pub(super) fn encode(state: &State, sink: &mut Encoder) {
    let lag_matters = state.left.shrinks > 0;
    let retry_matters = state.left.timeouts > 0;
    let mut canon = Assembly::new(sink);
    for broker in &state.brokers {
        let code =
            broker.code_of(usize::from(lag_matters) + 2 * usize::from(retry_matters), |broker, canon| {
                canon.heed_lag(lag_matters);
                canon.heed_retry(retry_matters);
                broker_into(broker, lag_matters, retry_matters, canon);
            });
        canon.add(code);
    }
    canon.add(state.cluster.code(cluster_into));
    views_into(state, &mut canon);
    for envelope in state.network.envelopes() {
        let doomed = is_doomed(state, envelope);
        canon.add(envelope.code_of(usize::from(doomed), |envelope, canon| {
            canon.heed_members(if doomed { Members::Unread } else { Members::OfNow });
            envelope_into(envelope, canon);
        }));
    }
    let mut ghost = Canon::default();
    ghost.byte(0xff);
    entries_into(&state.ledger.ghost.committed, &mut ghost);
    canon.add(&ghost.into_code());
    canon.finish();
    if state.cluster.with_sessions().is_some() {
        for run in state.brokers.iter().filter_map(|broker| broker.run.as_ref()) {
            sink.write_u64(run.applied.0);
        }
        for view in state.cluster.views() {
            sink.write_u64(view.metadata_offset.0);
        }
    }
    std::hash::Hash::hash(&state.ledger.clients, sink);
    std::hash::Hash::hash(&state.left, sink);
    sink.write_u8(state.ledger.ghost.lossy);
}

/// Whether this is a proposal that the controller will refuse whatever it proposes: the partition has moved on (R43).
fn is_doomed(state: &State, envelope: &Envelope) -> bool {
    match envelope {
        Envelope::Proposal { proposal, .. } => {
            proposal.partition_epoch < state.cluster.partition().partition_epoch
        }
        Envelope::Peer { .. } | Envelope::Decision { .. } => false,
    }
}

/// The views that brokers have yet to apply, and by which. Of a view a broker that does not lead by it reads who leads, in
/// which leader epoch, and what holds for any leader; a view that tells its readers nothing but that again is one with
/// the view before it, since both are applied together.
fn views_into(state: &State, canon: &mut Assembly<'_>) {
    let mut before: Option<&PartitionView> = None;
    for view in state.cluster.views().iter().map(|view| view.get()) {
        let readers: IsrSet =
            state.replicas().filter(|replica| has_yet_to_apply(state, *replica, view)).collect();
        let leads = view.leader.is_some_and(|leader| readers.contains(leader));
        if readers.is_empty() || (!leads && before.is_some_and(|before| says_the_same(before, view))) {
            continue;
        }
        before = Some(view);
        canon.byte(1 + bits(readers));
        let known = view.leader.and_then(|leader| state.run(leader)).filter(|run| run.leads());
        let news = known.is_none_or(|run| run.core.view().partition_epoch < view.partition_epoch);
        view_into(view, leads, news, canon);
    }
    canon.byte(0);
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

fn view_into(view: &PartitionView, all: bool, news: bool, canon: &mut Assembly<'_>) {
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
    canon.byte(leader.map_or(0, |leader| 1 + leader.0));
    canon.rank(Space::LeaderEpoch, u64::from(leader_epoch.0));
    canon.byte(*min_isr);
    canon.byte(*flush as u8);
    if !all {
        return;
    }
    canon.byte(u8::from(news));
    if news {
        canon.rank(Space::PartitionEpoch, u64::from(partition_epoch.0));
        canon.byte(bits(*isr));
    }
    for (replica, known) in (0..).map(ReplicaIdx).zip(replicas) {
        let ReplicaView { broker_epoch, eligible } = known;
        canon.byte(u8::from(*eligible) + 2 * u8::from(broker_epoch.is_some()));
        if let Some(broker_epoch) = broker_epoch {
            canon.rank(Space::BrokerEpoch(replica), broker_epoch.0);
        }
    }
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
            canon.rank(canon.generations(), u64::from(one.generation.0));
        }
        canon.byte(0);
    }
    for told in [disk.same_boot, disk.clean_stop] {
        canon.byte(u8::from(told.is_some()));
        if let Some(broker_epoch) = told {
            canon.rank(Space::BrokerEpoch(replica), broker_epoch.0);
        }
    }
}

fn broker_into(broker: &Broker, lag_matters: bool, retry_matters: bool, canon: &mut Canon) {
    let replica = broker.replica;
    canon.requester(replica);
    if let Some(run) = &broker.run {
        canon.fetches(run.broker_epoch, run.known);
    }
    disk_into(replica, &broker.disk, canon);
    let Some(run) = &broker.run else { return canon.byte(0) };
    canon.byte(1);
    canon.rank(Space::BrokerEpoch(replica), run.broker_epoch.0);
    canon.byte(u8::from(run.applied.0 > run.broker_epoch.0));
    canon.rank(Space::LeaderEpoch, u64::from(run.known.0));
    canon.heed_view(run.leads());
    value_into(replica, &run.core, canon);
    canon.heed_view(true);
    if !retry_matters {
        change_into(run, canon);
    }
    for timer in run.timers.iter().filter(|timer| lag_matters || !matches!(timer, Timer::Lag(_))) {
        canon.byte(1);
        value_into(replica, timer, canon);
    }
    canon.byte(0);
}

/// What remains of a leader's change of the ISR once it repeats no proposal: how long it waits, whom it counts beyond the ISR
/// that it knows (R44), and whether there is anything to void when it need not wait.
fn change_into(run: &Run, canon: &mut Canon) {
    let Some(stage) = run.core.isr_change_stage() else { return };
    match stage {
        IsrChangeStage::Free => canon.byte(u8::from(run.core.is_changing_isr())),
        IsrChangeStage::Behind => canon.byte(2),
        IsrChangeStage::Held => canon.byte(3),
        IsrChangeStage::Open(request_id) => {
            canon.byte(4);
            canon.rank(Space::Proposal(canon.whose()), request_id.0);
        }
    }
    canon.byte(bits(run.core.maximal_isr().unwrap_or_default()));
}

fn cluster_into(cluster: &Cluster, canon: &mut Canon) {
    let nobody = ReplicaIdx(0);
    for (replica, broker) in (0..).map(ReplicaIdx).zip(cluster.image().brokers()) {
        canon.byte(u8::from(broker.fenced));
        canon.rank(Space::BrokerEpoch(replica), broker.broker_epoch.0);
    }
    let partition = cluster.partition();
    let facts = (partition.leader, partition.isr, partition.eligible_leaders, partition.last_known_leader);
    value_into(nobody, &facts, canon);
    value_into(nobody, &(partition.leader_epoch, partition.partition_epoch, partition.recovering), canon);
    if let Some(controller) = cluster.with_sessions() {
        value_into(nobody, controller, canon);
    }
}

fn envelope_into(envelope: &Envelope, canon: &mut Canon) {
    match envelope {
        Envelope::Peer { from, to, message, records } => {
            canon.byte(1);
            canon.byte(from.0);
            canon.byte(to.0);
            let (requester, broker_epoch, leader_epoch) = match message {
                Message::Fetch(fetch) => (*from, fetch.broker_epoch, fetch.leader_epoch),
                Message::Progress(progress) => (*from, progress.broker_epoch, progress.leader_epoch),
                Message::FetchAnswer(answer) => (*to, answer.answered.broker_epoch, answer.leader_epoch),
            };
            canon.fetches(broker_epoch, leader_epoch);
            value_into(requester, message, canon);
            entries_into(records, canon);
        }
        Envelope::Proposal { from, proposal } => {
            canon.byte(2);
            canon.byte(from.0);
            canon.proposals();
            value_into(*from, proposal, canon);
        }
        Envelope::Decision { to, broker_epoch, answer } => {
            canon.byte(3);
            canon.byte(to.0);
            canon.rank(Space::BrokerEpoch(*to), broker_epoch.0);
            canon.proposals();
            value_into(*to, answer, canon);
        }
    }
}

/// A value of the cores, whose request ids and generations are those of `requester`.
fn value_into<T: Serialize>(requester: ReplicaIdx, value: &T, canon: &mut Canon) {
    canon.requester(requester);
    value.serialize(&mut *canon).expect("an encoding in memory never fails");
}
