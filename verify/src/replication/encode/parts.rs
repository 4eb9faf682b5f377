//! How the parts of a state are written: a broker, the controller, a message, what clients know.

use highwater_model::replication::{IsrChangeStage, Message, ReplicaIdx, Timer};
use serde::Serialize;
use smallvec::SmallVec;

use super::canon::Canon;
use super::space::Space;
use crate::replication::cluster::Cluster;
use crate::replication::disk::{Backup, Disk, Entries, small};
use crate::replication::network::Envelope;
use crate::replication::state::{Broker, Ledger, Run, Standing};

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
    canon.byte(disk.start);
    canon.byte(disk.claimed);
    canon.byte(u8::from(disk.lowers) | u8::from(disk.backup.is_some()) << 1);
    if let Some(Backup { entries, start, stopped }) = &disk.backup {
        entries_into(entries, canon);
        canon.byte(*start);
        canon.rank(Space::BrokerEpoch(replica), stopped.0);
    }
    for pending in [&disk.writes, &disk.syncs] {
        for one in pending {
            canon.byte(one.covers + 1);
            canon.byte(small(one.end));
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

pub(super) fn broker_into(broker: &Broker, lag_matters: bool, retry_matters: bool, canon: &mut Canon) {
    let replica = broker.replica;
    begin_broker(broker, canon);
    let Some(run) = &broker.run else { return canon.byte(0) };
    canon.byte(1);
    run_into(replica, run, run.leads(), canon);
    if !retry_matters {
        change_into(run, canon);
    }
    let timers = run.timers.iter().filter(|timer| lag_matters || !matches!(timer, Timer::Lag(_)));
    let mut timers: SmallVec<[&Timer; 4]> = timers.collect();
    timers.sort_unstable_by_key(|timer| canon.renaming().of_timer(**timer));
    for timer in timers {
        canon.byte(1);
        value_into(replica, timer, canon);
    }
    canon.byte(0);
}

fn begin_broker(broker: &Broker, canon: &mut Canon) {
    canon.requester(broker.replica);
    if let Some(run) = &broker.run {
        canon.fetches(run.broker_epoch, run.known);
    }
    disk_into(broker.replica, &broker.disk, canon);
}

fn run_into(replica: ReplicaIdx, run: &Run, all_of_view: bool, canon: &mut Canon) {
    canon.rank(Space::BrokerEpoch(replica), run.broker_epoch.0);
    canon.byte(u8::from(run.applied.0 > run.broker_epoch.0));
    canon.rank(Space::LeaderEpoch, u64::from(run.known.0));
    canon.heed_view(all_of_view);
    value_into(replica, &run.core, canon);
    canon.heed_view(true);
}

/// A leader of the past: its reach is told with the state. Its role ends with the next view, whatever is in it.
pub(super) fn past_broker_into(broker: &Broker, canon: &mut Canon) {
    begin_broker(broker, canon);
    canon.byte(2);
    canon.heed_role(false);
    if let Some(run) = &broker.run {
        run_into(broker.replica, run, false, canon);
    }
    canon.heed_role(true);
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
    canon.replicas(run.core.maximal_isr().unwrap_or_default());
}

pub(super) fn cluster_into(cluster: &Cluster, canon: &mut Canon) {
    let nobody = ReplicaIdx(0);
    for name in (0..).map(ReplicaIdx).take(cluster.image().brokers().len()) {
        let replica = canon.renaming().of(name);
        let broker = cluster.broker(replica);
        canon.byte(u8::from(broker.fenced));
        canon.rank(Space::BrokerEpoch(replica), broker.broker_epoch.0);
    }
    let partition = cluster.partition();
    let facts = (partition.leader, partition.isr, partition.eligible_leaders, partition.last_known_leader);
    value_into(nobody, &facts, canon);
    value_into(nobody, &(partition.leader_epoch, partition.partition_epoch, partition.recovering), canon);
    canon.byte(partition.min_isr);
    if let Some(controller) = cluster.with_sessions() {
        value_into(nobody, controller, canon);
    }
}

pub(super) fn envelope_into(envelope: &Envelope, canon: &mut Canon) {
    match envelope {
        Envelope::Peer { from, to, message, records } => {
            canon.byte(1);
            canon.replica(*from);
            canon.replica(*to);
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
            canon.replica(*from);
            canon.proposals();
            value_into(*from, proposal, canon);
        }
        Envelope::Decision { to, broker_epoch, answer } => {
            canon.byte(3);
            canon.replica(*to);
            canon.rank(Space::BrokerEpoch(*to), broker_epoch.0);
            canon.proposals();
            value_into(*to, answer, canon);
        }
    }
}

pub(super) fn ledger_into(ledger: &Ledger, canon: &mut Canon) {
    canon.byte(0xff);
    entries_into(&ledger.ghost.committed, canon);
    canon.byte(ledger.ghost.lossy | u8::from(ledger.ghost.struck_off) << 7);
    for standing in &ledger.clients {
        match *standing {
            Standing::Open(replica) => {
                canon.byte(1);
                canon.replica(replica);
            }
            Standing::Acknowledged => canon.byte(2),
            Standing::Unknown => canon.byte(3),
            Standing::Refused => canon.byte(4),
        }
    }
    canon.byte(0);
}

/// A value of the cores, whose request ids and generations are those of `requester`.
fn value_into<T: Serialize>(requester: ReplicaIdx, value: &T, canon: &mut Canon) {
    canon.requester(requester);
    value.serialize(&mut *canon).expect("an encoding in memory never fails");
}
