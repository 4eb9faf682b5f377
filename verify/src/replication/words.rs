//! A step in words.

use highwater_model::id::Offset;
use highwater_model::replication::{AlterPartitionOutcome, FetchBody, Message, ReplicaIdx};

use super::action::Action;
use super::disk::{Disk, Entries};
use super::network::Envelope;
use super::state::{Standing, State};
use crate::world::Message as Sent;

/// Name of the controller's lane.
pub(super) const CONTROLLER: &str = "controller";

/// What an action does.
pub(super) fn describe(before: &State, action: Action) -> String {
    match action {
        Action::Deliver(at) => match before.network.envelopes().get(usize::from(at)) {
            Some(envelope) => format!("delivered: {}", in_words(envelope)),
            None => "a message is delivered".to_owned(),
        },
        Action::Apply(replica) => apply(before, replica),
        Action::Write(replica) => format!("{replica} completes a write"),
        Action::Flush(replica) => format!("{replica} completes a sync"),
        Action::Produce(leader) => {
            format!("a client produces record {} at {leader}", before.ledger.clients.len())
        }
        Action::Repeat(value, leader) => {
            format!("the client repeats the produce of record {value} at {leader}")
        }
        Action::FetchRetry(replica) => format!("{replica} has waited long enough and fetches again"),
        Action::ProposalRetry(replica) => format!("{replica} has waited long enough and proposes again"),
        Action::Lag(leader, follower) => format!("at {leader}, {follower} has lagged for too long"),
        Action::WriteFails(replica) => format!("{replica} finds no room for what it writes"),
        Action::Room(replica) => format!("{replica}, which found no room, tries again"),
        Action::Kill(replica, kept) => format!("{replica} is killed; {kept} records remain in its log"),
        Action::PowerLoss(replica, kept) => {
            format!("{replica} loses power; {kept} records remain in its log")
        }
        Action::Restore(replica) => {
            format!("{replica} ends, and its disk is put back as it was when it last stopped under control")
        }
        Action::Start(replica) => format!("{replica} starts again and registers"),
        Action::Expire(replica) => format!("the controller fences {replica}: its session has ended"),
        Action::Unfence(replica) => format!("the controller hears from {replica} and unfences it"),
        Action::Stop(replica) => format!("{replica} asks to shut down"),
        Action::Delete(replica) => format!("{replica} deletes what is committed"),
        Action::Configure => "an operator changes min.insync.replicas".to_owned(),
        Action::AskDeposed(at) => match before.network.envelopes().get(usize::from(at)) {
            Some(envelope) => format!("delivered to a deposed controller: {}", in_words(envelope)),
            None => "a deposed controller is asked".to_owned(),
        },
        Action::Hear(replica) => {
            format!("{replica}, whom all others have left, hears what its members have told it")
        }
    }
}

fn apply(before: &State, replica: ReplicaIdx) -> String {
    let view = before.run(replica).and_then(|run| before.cluster.next_view(run.applied));
    let Some(view) = view else { return format!("{replica} applies metadata") };
    let leader = view.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string());
    format!(
        "{replica} applies metadata: {leader} leads in leader epoch {}, isr {:?}, partition epoch {}",
        view.leader_epoch, view.isr, view.partition_epoch
    )
}

fn in_words(envelope: &Envelope) -> String {
    let message = sent(envelope);
    format!("{} -> {}: {}", message.from, message.to, message.says)
}

/// A message under way, from lane to lane.
pub(super) fn sent(envelope: &Envelope) -> Sent {
    match envelope {
        Envelope::Peer { from, to, message, records } => {
            Sent { from: from.to_string(), to: to.to_string(), says: message_in_words(message, records) }
        }
        Envelope::Proposal { from, proposal } => Sent {
            from: from.to_string(),
            to: CONTROLLER.to_owned(),
            says: format!(
                "isr {:?} (leader epoch {}, partition epoch {})",
                proposal.isr(),
                proposal.leader_epoch,
                proposal.partition_epoch
            ),
        },
        Envelope::Decision { to, answer, .. } => {
            Sent { from: CONTROLLER.to_owned(), to: to.to_string(), says: outcome_in_words(&answer.outcome) }
        }
    }
}

fn outcome_in_words(outcome: &AlterPartitionOutcome) -> String {
    match outcome {
        AlterPartitionOutcome::Applied { leader_epoch, partition_epoch, isr, .. } => {
            format!("isr {isr:?} applied (leader epoch {leader_epoch}, partition epoch {partition_epoch})")
        }
        AlterPartitionOutcome::NotApplied => "isr not applied: a member is not eligible".to_owned(),
        AlterPartitionOutcome::Behind(code) => format!("refused, the leader is behind: {code}"),
    }
}

fn message_in_words(message: &Message, records: &Entries) -> String {
    match message {
        Message::Fetch(fetch) => format!(
            "fetch {} from offset {}, synced to {}, leader epoch {}, broker epoch {}",
            fetch.request_id, fetch.fetch_offset, fetch.durable_end, fetch.leader_epoch, fetch.broker_epoch
        ),
        Message::Progress(progress) => {
            format!("synced to {}, leader epoch {}", progress.durable_end, progress.leader_epoch)
        }
        Message::FetchAnswer(answer) => format!(
            "answer to fetch {}: {}, high watermark {}, leader epoch {}",
            answer.answered.request_id,
            body_in_words(&answer.body, records),
            answer.high_watermark,
            answer.leader_epoch
        ),
    }
}

fn body_in_words(body: &FetchBody, records: &Entries) -> String {
    match body {
        FetchBody::Records { from, end } if from == end => "nothing new".to_owned(),
        FetchBody::Records { from, .. } => {
            format!("records [{}] from offset {from}", entries_in_words(records))
        }
        FetchBody::Diverging(at) => format!("diverges at the end {} of epoch {}", at.end, at.epoch),
        FetchBody::OutOfRange => "out of range".to_owned(),
    }
}

/// What a step changed.
pub(super) fn changes(before: &State, after: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for replica in after.replicas() {
        of_broker(before, after, replica, &mut lines);
    }
    of_controller(before, after, &mut lines);
    let sent =
        after.network.envelopes().iter().filter(|envelope| !before.network.envelopes().contains(envelope));
    lines.extend(sent.map(|envelope| format!("sent: {}", in_words(envelope))));
    if before.ledger.ghost.committed != after.ledger.ghost.committed {
        lines.push(format!("committed: [{}]", entries_in_words(&after.ledger.ghost.committed)));
    }
    for (value, standing) in after.ledger.clients.iter().enumerate() {
        if before.ledger.clients.get(value) != Some(standing) && *standing != Standing::Unknown {
            lines.push(format!("record {value}: {}", standing_in_words(*standing)));
        }
    }
    lines
}

/// What a client knows of its record.
pub(super) fn standing_in_words(standing: Standing) -> String {
    match standing {
        Standing::Open(at) => format!("waits for {at}"),
        Standing::Acknowledged => "acknowledged".to_owned(),
        Standing::Unknown => "unknown".to_owned(),
        Standing::Refused => "refused".to_owned(),
    }
}

/// Each record with the epoch of the leader that appended it: `0@1`.
fn entries_in_words(entries: &Entries) -> String {
    let entries: Vec<String> =
        entries.iter().map(|entry| format!("{}@{}", entry.value, entry.leader_epoch)).collect();
    entries.join(" ")
}

fn log_in_words(disk: &Disk) -> String {
    let entries = entries_in_words(&disk.entries);
    format!("[{entries}] written {} synced {}", disk.written, disk.flushed)
}

fn of_broker(before: &State, after: &State, replica: ReplicaIdx, lines: &mut Vec<String>) {
    let (old, new) = (before.broker(replica), after.broker(replica));
    let log = (log_in_words(&old.disk), log_in_words(&new.disk));
    if log.0 != log.1 {
        lines.push(format!("log of {replica}: {} -> {}", log.0, log.1));
    }
    let standing = |state: &State| match state.run(replica) {
        None => "down".to_owned(),
        Some(run) if run.leads() => format!("leads in leader epoch {}", run.known),
        Some(run) => format!("does not lead, leader epoch {}", run.known),
    };
    let (was, is) = (standing(before), standing(after));
    if was != is {
        lines.push(format!("{replica}: {was} -> {is}"));
    }
    let watermark = |state: &State| state.run(replica).map_or(Offset::ZERO, |run| run.core.high_watermark());
    if watermark(before) != watermark(after) {
        lines.push(format!("high watermark of {replica}: {} -> {}", watermark(before), watermark(after)));
    }
}

fn of_controller(before: &State, after: &State, lines: &mut Vec<String>) {
    let (old, new) = (before.cluster.partition(), after.cluster.partition());
    if old != new {
        let leader = new.leader.map_or_else(|| "nobody".to_owned(), |leader| leader.to_string());
        lines.push(format!(
            "controller: {leader} leads in leader epoch {}, isr {:?}, eligible leaders {:?}, partition epoch {}",
            new.leader_epoch, new.isr, new.eligible_leaders, new.partition_epoch
        ));
    }
    for replica in after.replicas() {
        let (was, is) = (before.cluster.broker(replica), after.cluster.broker(replica));
        if was.broker_epoch != is.broker_epoch {
            lines.push(format!("controller: {replica} is registered under broker epoch {}", is.broker_epoch));
        }
        if was.fenced != is.fenced {
            lines.push(format!("controller: {replica} is {}", if is.fenced { "fenced" } else { "unfenced" }));
        }
    }
}
