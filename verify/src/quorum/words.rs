//! Steps of the quorum world in words.

use highwater_model::quorum::{BatchKind, Body, Fetched, Message, Timer, VoterChange, VoterSet};

use super::action::Action;
use super::state::{Node, Packet, Place, State, kind, place, tenure};
use crate::world::Message as Sent;

/// The action in words.
pub(super) fn describe(before: &State, action: &Action) -> String {
    match action {
        Action::Stand(at) => format!("node {at} hears from no leader for long and stands for election"),
        Action::Expire(at, Timer::FetchRetry) => {
            format!("node {at} gives its fetch up as lost and sends it again")
        }
        Action::Expire(at, Timer::CheckQuorum) => {
            format!("leader {at} has heard from no majority and resigns")
        }
        Action::Expire(at, Timer::Announce) => format!("leader {at} announces itself again"),
        Action::Expire(at, Timer::Probe) => format!("node {at} asks a voter who leads"),
        Action::Expire(at, timer) => format!("timer {timer:?} of node {at} runs out"),
        Action::Deliver(index) => delivered(before, *index, ""),
        Action::DeliverFirst(index) => delivered(before, *index, ", of which only the first batch was sent"),
        Action::Ask(at, whom) => format!("node {at} asks node {whom} who leads"),
        Action::Repeat(index) => delivered(before, *index, ", and will once more"),
        Action::Store(at) => format!("the vote of node {at} is stored"),
        Action::Flush(at) => format!("a sync of node {at} completes"),
        Action::Propose(at) => format!("a client proposes value {} to leader {at}", before.spent.values + 1),
        Action::Read(at) => format!("a client asks leader {at} for a linearizable read"),
        Action::Change(at, VoterChange::Add(key)) => {
            format!("an operator asks leader {at} to add node {}", key.id)
        }
        Action::Change(at, VoterChange::Remove(key)) => {
            format!("an operator asks leader {at} to remove node {}", key.id)
        }
        Action::Kill(at) => format!("node {at} is killed and starts again"),
        Action::PowerLoss(at, kept) => {
            format!("node {at} loses power, keeps its log up to {kept}, and starts again")
        }
        Action::Wipe(at) => format!("node {at} starts again with an empty disk"),
        Action::Corrupt(at, kept) => {
            format!("the disk of node {at} has lost its durable log from {kept} on; the node starts again")
        }
        Action::Snapshot(at, id) => format!("node {at} takes a snapshot up to {}", id.end),
        Action::Install(at, id) => format!("node {at} installs the snapshot up to {}", id.end),
    }
}

fn delivered(before: &State, index: usize, how: &str) -> String {
    before.network.get(index).map_or_else(String::new, |packet| {
        let message = sent(packet);
        format!("{} receives from {}: {}{how}", message.to, message.from, message.says)
    })
}

/// A message under way, from lane to lane.
pub(super) fn sent(packet: &Packet) -> Sent {
    let message = &packet.letter.message;
    let contents: Vec<String> = packet.letter.contents.iter().map(|content| record(*content)).collect();
    let contents = if contents.is_empty() { String::new() } else { format!(" ({})", contents.join(" ")) };
    Sent {
        from: lane(place(message.from.id)),
        to: lane(packet.to),
        says: format!("{}{contents}, epoch {}", said(message), message.quorum_epoch),
    }
}

/// Name of a node's lane.
pub(super) fn lane(at: Place) -> String {
    format!("node {at}")
}

/// A record, by its content: a value by its number, the first record of a leader, a set of voters.
pub(super) fn record(content: u64) -> String {
    match kind(content) {
        BatchKind::Data => content.to_string(),
        BatchKind::LeaderChange => "L".to_owned(),
        BatchKind::Voters(voters) => voters_in_words(&voters),
    }
}

/// The nodes of a set of voters.
pub(super) fn voters_in_words(voters: &VoterSet) -> String {
    let nodes: Vec<String> = voters.keys().iter().map(|key| key.id.to_string()).collect();
    format!("{{{}}}", nodes.join(","))
}

/// What a message says.
fn said(message: &Message) -> String {
    match &message.body {
        Body::Vote(vote) => {
            let (what, epoch) = (if vote.pre_vote { "would you vote" } else { "vote" }, vote.last_epoch);
            format!("{what} for me; my log ends at {} with epoch {}", vote.log_end, epoch.unwrap_or_default())
        }
        Body::VoteAnswer(answer) => {
            let what = if answer.pre_vote { "pre-vote" } else { "vote" };
            format!("{what} {}", if answer.granted { "granted" } else { "refused" })
        }
        Body::Fetch(fetch) => {
            let epoch = fetch.last_fetched_epoch.unwrap_or_default();
            format!("fetch from {} after epoch {epoch}, round {}", fetch.fetch_offset, fetch.round)
        }
        Body::FetchAnswer(answer) => fetched(&answer.fetched),
        Body::BeginQuorum => "I lead".to_owned(),
        Body::EndQuorum { .. } => "I lead no more".to_owned(),
    }
}

fn fetched(fetched: &Fetched) -> String {
    match fetched {
        Fetched::Records { high_watermark, round, batches } => {
            let known = high_watermark.map_or_else(|| "unknown".to_owned(), |known| known.to_string());
            let epochs: Vec<String> =
                batches.iter().map(|batch| format!("{}@{}", batch.quorum_epoch, batch.base_offset)).collect();
            format!("records [{}], high watermark {known}, round {round}", epochs.join(" "))
        }
        Fetched::Diverging(end) => format!("your log parts from mine at {} of epoch {}", end.end, end.epoch),
        Fetched::Snapshot(id) => format!("begin from the snapshot up to {}", id.end),
        Fetched::Refused { leader } => match leader {
            Some(leader) => format!("refused; node {} leads", leader.id),
            None => "refused; no leader is known".to_owned(),
        },
    }
}

/// What a step changed.
pub(super) fn changes(before: &State, after: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for (at, (was, is)) in (0..).zip(before.nodes.iter().zip(&after.nodes)) {
        for (old, new) in facts(at, was).into_iter().zip(facts(at, is)) {
            if old != new {
                lines.push(format!("node {at}: {old} -> {new}"));
            }
        }
    }
    let sent = |packet: &&Packet| !before.network.contains(packet);
    lines.extend(after.network.iter().filter(sent).map(|packet| {
        let message = &packet.letter.message;
        format!("in flight, {} to {}: {}", place(message.from.id), packet.to, said(message))
    }));
    if before.ghost.committed != after.ghost.committed {
        lines.push(format!("committed: {} records", after.ghost.committed.len()));
    }
    if before.ghost.acknowledged != after.ghost.acknowledged {
        lines.push(format!("acknowledged: {:?}", after.ghost.acknowledged));
    }
    lines
}

/// What can be seen of a replica, one fact each.
fn facts(at: Place, node: &Node) -> [String; 5] {
    let voted = node.core.vote().voted_for.map_or_else(String::new, |key| format!(", voted for {}", key.id));
    let entries: Vec<String> =
        node.disk.entries.iter().map(|entry| format!("{}:{:x}", entry.quorum_epoch, entry.content)).collect();
    let known = node.core.high_watermark().map_or_else(|| "unknown".to_owned(), |known| known.to_string());
    [
        format!("{} in epoch {}{voted}", node.core.role(&tenure(at, node)), node.core.quorum_epoch()),
        format!("log from {} [{}]", node.disk.start, entries.join(" ")),
        format!("flushed to {}", node.disk.flushed),
        format!("high watermark {known}"),
        format!("stored epoch {}", node.disk.vote.quorum_epoch),
    ]
}
