//! A state of the quorum world in lanes: a node each, and the clients.

use highwater_model::id::Offset;
use highwater_model::invariant::quorum::Entry;
use highwater_model::quorum::Vote;

use super::action::Action;
use super::state::{Node, Place, State, tenure};
use super::words::{lane, record, sent, voters_in_words};
use crate::world::{Cell, Fact, Kept, Lane, LaneKind, Part, Picture};

/// Name of the clients' lane: those who propose and read, and operators.
const CLIENTS: &str = "clients";

/// A state as it is shown.
pub(super) fn of(state: &State) -> Picture {
    let mut lanes: Vec<Lane> = (0..).zip(&state.nodes).map(|(at, node)| of_node(at, node)).collect();
    lanes.push(of_clients(state));
    Picture { lanes, in_flight: state.network.iter().map(sent).collect() }
}

/// Whom an action concerns.
pub(super) fn part(before: &State, action: &Action) -> Part {
    match action {
        Action::Deliver(at) | Action::DeliverFirst(at) | Action::Repeat(at) => {
            let receiver = before.network.get(*at).map(|packet| lane(packet.to));
            Part { lanes: receiver.into_iter().collect(), takes: Some(*at) }
        }
        Action::Propose(at) | Action::Read(at) | Action::Change(at, _) => Part::between(CLIENTS, lane(*at)),
        Action::Stand(at)
        | Action::Expire(at, _)
        | Action::Ask(at, _)
        | Action::Store(at)
        | Action::Flush(at)
        | Action::Kill(at)
        | Action::PowerLoss(at, _)
        | Action::Wipe(at)
        | Action::Corrupt(at, _)
        | Action::Snapshot(at, _)
        | Action::Install(at, _) => Part::of(lane(*at)),
    }
}

fn of_node(at: Place, node: &Node) -> Lane {
    let core = &node.core;
    let tenure = tenure(at, node);
    let known = core.high_watermark();
    let leader = core.leader(&tenure).filter(|leader| *leader != tenure.key);
    let role = match leader {
        Some(leader) => format!("{} of node {}", core.role(&tenure), leader.id),
        None => core.role(&tenure).to_string(),
    };
    let snapshot = core.snapshot().map(|id| format!("to {}", id.end)).unwrap_or_default();
    let facts = vec![
        Fact::new("is", role),
        Fact::new("epoch", core.quorum_epoch()),
        Fact::new("high watermark", known.map_or_else(|| "unknown".to_owned(), |known| known.to_string())),
        Fact::log("log", cells(node, known.unwrap_or_default())),
        Fact::new(
            "voted for",
            core.vote().voted_for.map(|key| format!("node {}", key.id)).unwrap_or_default(),
        ),
        Fact::new("stored vote", vote(&node.disk.vote)),
        Fact::new("disk does", under_way(node)),
        Fact::new("snapshot", snapshot),
        Fact::new("voters", voters_in_words(core.voters().latest())),
        Fact::new("run", run(node)),
    ];
    Lane { name: lane(at), kind: LaneKind::Broker, facts }
}

fn run(node: &Node) -> String {
    let disks = if node.wipes == 0 { String::new() } else { format!(", disk {}", node.wipes + 1) };
    format!("{}{disks}", node.starts + 1)
}

fn vote(vote: &Vote) -> String {
    let voted_for = vote.voted_for.map(|key| format!(", for node {}", key.id)).unwrap_or_default();
    format!("epoch {}{voted_for}", vote.quorum_epoch)
}

fn cells(node: &Node, covered: Offset) -> Vec<Cell> {
    let disk = &node.disk;
    let kept = |offset| if offset < disk.flushed { Kept::Synced } else { Kept::Written };
    records(disk.start, &disk.entries, |offset| Some(kept(offset)), covered)
}

fn records(
    start: Offset,
    entries: &[Entry],
    kept: impl Fn(Offset) -> Option<Kept>,
    covered: Offset,
) -> Vec<Cell> {
    let cell = |(offset, entry): (Offset, &Entry)| Cell {
        offset: offset.0,
        record: record(entry.content),
        under: entry.quorum_epoch.0,
        kept: kept(offset),
        covered: offset < covered,
    };
    (start.0..).map(Offset).zip(entries).map(cell).collect()
}

fn under_way(node: &Node) -> String {
    let votes = node.disk.storing.iter().map(|stored| format!("store the vote of {}", vote(stored)));
    let syncs = node.disk.syncs.iter().map(|(end, _)| format!("sync to {end}"));
    votes.chain(syncs).collect::<Vec<_>>().join(", ")
}

fn of_clients(state: &State) -> Lane {
    let ghost = &state.ghost;
    let acknowledged: Vec<String> = ghost.acknowledged.iter().map(ToString::to_string).collect();
    let read = |(at, _, end): &(Place, _, Offset)| format!("at node {at}, of all below {end}");
    let facts = vec![
        Fact::new("acknowledged", acknowledged.join(", ")),
        Fact::log("committed", records(Offset::ZERO, &ghost.committed, |_| None, Offset(u64::MAX))),
        Fact::new("reads", ghost.reads.iter().map(read).collect::<Vec<_>>().join("\n")),
    ];
    Lane { name: CLIENTS.to_owned(), kind: LaneKind::Clients, facts }
}
