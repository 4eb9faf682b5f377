//! A state of the replication world in lanes: a broker each, the controller, the clients.

use highwater_model::id::Offset;
use highwater_model::replication::{IsrChangeStage, ReplicaIdx};

use super::action::Action;
use super::disk::{Disk, Entries, small};
use super::state::{Broker, Run, State};
use super::words::{CONTROLLER, sent, standing_in_words};
use crate::world::{Cell, Fact, Kept, Lane, LaneKind, Part, Picture};

/// Name of the clients' lane.
const CLIENTS: &str = "clients";

/// A state as it is shown.
pub(super) fn of(state: &State) -> Picture {
    let mut lanes: Vec<Lane> = state.replicas().map(|replica| of_broker(state, replica)).collect();
    lanes.push(of_controller(state));
    lanes.push(of_clients(state));
    let in_flight = state.network.envelopes().iter().map(|envelope| sent(envelope)).collect();
    Picture { lanes, in_flight }
}

/// Whom an action concerns.
pub(super) fn part(before: &State, action: Action) -> Part {
    match action {
        Action::Deliver(at) => {
            let at = usize::from(at);
            let receiver = before.network.envelopes().get(at).map(|envelope| sent(envelope).to);
            Part { lanes: receiver.into_iter().collect(), takes: Some(at) }
        }
        Action::Produce(replica) | Action::Repeat(_, replica) => Part::between(CLIENTS, replica),
        Action::Expire(replica)
        | Action::Unfence(replica)
        | Action::Start(replica)
        | Action::Stop(replica) => Part::between(replica, CONTROLLER),
        Action::Apply(replica)
        | Action::Write(replica)
        | Action::Flush(replica)
        | Action::FetchRetry(replica)
        | Action::ProposalRetry(replica)
        | Action::Lag(replica, _)
        | Action::WriteFails(replica)
        | Action::Room(replica)
        | Action::Kill(replica, _)
        | Action::PowerLoss(replica, _)
        | Action::Restore(replica)
        | Action::Delete(replica)
        | Action::Hear(replica) => Part::of(replica),
        Action::Configure => Part::of(CONTROLLER),
        Action::AskDeposed(at) => Part { lanes: Vec::new(), takes: Some(usize::from(at)) },
    }
}

fn of_broker(state: &State, replica: ReplicaIdx) -> Lane {
    let broker = state.broker(replica);
    let run = broker.run.as_ref();
    let of_run = |what, tell: &dyn Fn(&Run) -> String| Fact::new(what, run.map(tell).unwrap_or_default());
    let facts = vec![
        Fact::new("is", run.map_or_else(|| "down".to_owned(), standing)),
        of_run("leader epoch", &|run| run.known.to_string()),
        of_run("high watermark", &|run| run.core.high_watermark().to_string()),
        Fact::log("log", cells(broker)),
        Fact::new("disk does", under_way(&broker.disk)),
        of_run("isr", &isr),
        of_run("has heard", &|run| heard(state, replica, run)),
        of_run("proposal", &proposal),
        of_run("broker epoch", &|run| run.broker_epoch.to_string()),
        of_run("metadata", &|run| metadata(state, run)),
        Fact::new("lost", if broker.disk.unclean { "records that it had counted" } else { "" }),
    ];
    Lane { name: replica.to_string(), kind: LaneKind::Broker, facts }
}

fn standing(run: &Run) -> String {
    if run.leads() {
        return "leader".to_owned();
    }
    match run.core.view().leader.filter(|_| run.core.is_following()) {
        Some(leader) => format!("follower of {leader}"),
        None => "without a leader".to_owned(),
    }
}

fn cells(broker: &Broker) -> Vec<Cell> {
    let disk = &broker.disk;
    let covered = broker.run.as_ref().map_or(Offset::ZERO, |run| run.core.high_watermark());
    let kept = |at: u8| match at {
        at if at < disk.flushed => Kept::Synced,
        at if at < disk.written => Kept::Written,
        _ => Kept::Submitted,
    };
    let mut cells = records(&disk.entries, |at| Some(kept(at)), small(covered));
    cells.drain(..usize::from(disk.start));
    cells
}

fn records(entries: &Entries, kept: impl Fn(u8) -> Option<Kept>, covered: u8) -> Vec<Cell> {
    let cell = |(at, entry): (u8, &super::disk::Entry)| Cell {
        offset: u64::from(at),
        record: entry.value.to_string(),
        under: entry.leader_epoch.0,
        kept: kept(at),
        covered: at < covered,
    };
    (0..).zip(entries).map(cell).collect()
}

fn under_way(disk: &Disk) -> String {
    let writes = disk.writes.iter().map(|write| format!("write to {}", write.end));
    let syncs = disk.syncs.iter().map(|sync| format!("sync to {}", sync.end));
    writes.chain(syncs).collect::<Vec<_>>().join(", ")
}

/// The ISR that a leader knows, and the one that it waits for if a change is open.
fn isr(run: &Run) -> String {
    if !run.leads() {
        return String::new();
    }
    let isr = run.core.view().isr;
    match run.core.maximal_isr().filter(|maximal| *maximal != isr) {
        Some(maximal) => format!("{isr:?}, at most {maximal:?}"),
        None => format!("{isr:?}"),
    }
}

/// How far a leader knows its followers to be.
fn heard(state: &State, leader: ReplicaIdx, run: &Run) -> String {
    if !run.leads() {
        return String::new();
    }
    let of_follower = |follower: ReplicaIdx| {
        let (end, synced) = (run.core.follower_end(follower)?, run.core.follower_durable_end(follower)?);
        let synced = if synced == end { String::new() } else { format!(", synced {synced}") };
        Some(format!("{follower} to {end}{synced}"))
    };
    let others = state.replicas().filter(|replica| *replica != leader);
    others.filter_map(of_follower).collect::<Vec<_>>().join("\n")
}

fn proposal(run: &Run) -> String {
    match run.core.isr_change_stage() {
        None | Some(IsrChangeStage::Free) => String::new(),
        Some(IsrChangeStage::Open(_)) => "open".to_owned(),
        Some(IsrChangeStage::Behind) => "waits for newer metadata".to_owned(),
        Some(IsrChangeStage::Held) => "refused, waits".to_owned(),
    }
}

fn metadata(state: &State, run: &Run) -> String {
    let behind = state.cluster.views().iter().filter(|view| view.metadata_offset > run.applied).count();
    match behind {
        0 => format!("to {}", run.applied),
        1 => format!("to {}, one view behind", run.applied),
        _ => format!("to {}, {behind} views behind", run.applied),
    }
}

fn of_controller(state: &State) -> Lane {
    let partition = state.cluster.partition();
    let of_broker = |replica: ReplicaIdx| {
        let broker = state.cluster.broker(replica);
        let fenced = if broker.fenced { "fenced" } else { "unfenced" };
        let stopping = if broker.stopping.is_some() { ", stopping" } else { "" };
        format!("{replica} {fenced}{stopping}, broker epoch {}", broker.broker_epoch)
    };
    let facts = vec![
        Fact::new(
            "leader",
            partition.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string()),
        ),
        Fact::new("leader epoch", partition.leader_epoch),
        Fact::new("isr", format!("{:?}", partition.isr)),
        Fact::new("eligible", format!("{:?}", partition.eligible_leaders)),
        Fact::new("min isr", partition.min_isr),
        Fact::new("partition epoch", partition.partition_epoch),
        Fact::new("brokers", state.replicas().map(of_broker).collect::<Vec<_>>().join("\n")),
    ];
    Lane { name: CONTROLLER.to_owned(), kind: LaneKind::Controller, facts }
}

fn of_clients(state: &State) -> Lane {
    let told = (0..).zip(&state.ledger.clients);
    let told: Vec<String> = told
        .map(|(value, standing): (u32, _)| format!("record {value}: {}", standing_in_words(*standing)))
        .collect();
    let committed = &state.ledger.ghost.committed;
    let facts = vec![
        Fact::new("know", told.join("\n")),
        Fact::log("committed", records(committed, |_| None, u8::MAX)),
    ];
    Lane { name: CLIENTS.to_owned(), kind: LaneKind::Clients, facts }
}
