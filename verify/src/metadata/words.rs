//! A step in words.

use highwater_model::id::NodeId;
use highwater_model::metadata::{Broker, BrokerRequest, Image, Partition};

use super::action::{Action, Proposed};
use super::state::{Envelope, State};

/// What an action does.
pub(super) fn describe(before: &State, action: &Action) -> String {
    let message = |at: u8| before.wire.get(usize::from(at)).map_or_else(String::new, in_words);
    match action {
        Action::Start(node) => format!("broker {node} starts"),
        Action::Timer(node) => format!("broker {node}'s heartbeat is due"),
        Action::Apply(node) => format!("broker {node} applies the next batch of metadata"),
        Action::Deliver(at) => format!("delivered: {}", message(*at)),
        Action::Repeat(at) => format!("delivered, and not for the last time: {}", message(*at)),
        Action::Lose(at) => format!("lost: {}", message(*at)),
        Action::Commit => {
            let records = before.tail.first().map_or(0, |batch| batch.records.len());
            format!("the quorum commits a batch of {records} records")
        }
        Action::FailOver(kept) => {
            format!(
                "another controller is elected; it has {kept} of {} uncommitted batches",
                before.tail.len()
            )
        }
        Action::Expire(node) => format!("the session of broker {node} ends"),
        Action::Stop(node) => format!("broker {node} is asked to stop"),
        Action::Kill(node) => format!("broker {node} is killed"),
        Action::PowerLoss(node) => format!("broker {node} loses power"),
        Action::Propose(node, Proposed::Shrink(replica)) => {
            format!("broker {node} proposes the isr without {replica}")
        }
        Action::Propose(node, Proposed::Expand(replica)) => {
            format!("broker {node} proposes the isr with {replica}")
        }
        Action::Operate(change) => format!("an operator asks for {change:?}"),
    }
}

fn in_words(envelope: &Envelope) -> String {
    match envelope {
        Envelope::Ask { node, run, body: BrokerRequest::Register(_), .. } => {
            format!("broker {node}, run {run} -> controller: register")
        }
        Envelope::Ask { node, run, body: BrokerRequest::Heartbeat(heartbeat), .. } => format!(
            "broker {node}, run {run} -> controller: heartbeat of registration {} at metadata offset {}{}",
            heartbeat.broker_epoch,
            heartbeat.metadata_offset,
            if heartbeat.want_shutdown { ", wants to stop" } else { "" }
        ),
        Envelope::Tell { node, run, answer, .. } => {
            format!("controller -> broker {node}, run {run}: {answer:?}")
        }
        Envelope::Propose { node, proposal, .. } => format!(
            "broker {node} -> controller: isr {:?} (leader epoch {}, partition epoch {})",
            proposal.isr(),
            proposal.leader_epoch,
            proposal.partition_epoch
        ),
    }
}

/// What a step changed.
pub(super) fn changes(before: &State, after: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for node in after.nodes() {
        of_broker(before, after, node, &mut lines);
    }
    of_images("committed", before.image(), after.image(), &mut lines);
    let (was, is) = (before.controller.get().image(), after.controller.get().image());
    if is != after.image() || was != before.image() {
        of_images("decided", was, is, &mut lines);
    }
    let new = after.wire.iter().filter(|envelope| !before.wire.contains(envelope));
    lines.extend(new.map(|envelope| format!("under way: {}", in_words(envelope))));
    lines
}

fn of_broker(before: &State, after: &State, node: NodeId, lines: &mut Vec<String>) {
    let end = |state: &State| state.applied(node).map(Image::end);
    let (was, is) = (end(before), end(after));
    match (was, is) {
        (Some(was), Some(is)) if was != is => lines.push(format!("broker {node} is at metadata offset {is}")),
        (None, Some(_)) => {
            lines.push(format!("broker {node} runs for the {}. time", after.broker(node).runs))
        }
        (Some(_), None) => lines.push(format!("broker {node} is down")),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if before.broker(node).disk != after.broker(node).disk {
        lines.push(format!("disk of broker {node}: {:?}", after.broker(node).disk));
    }
}

fn of_images(how: &str, before: &Image, after: &Image, lines: &mut Vec<String>) {
    for is in after.brokers() {
        if before.broker(is.node) != Some(is) {
            lines.push(format!("{how}: {}", standing(is)));
        }
    }
    for (at, is) in after.partitions().filter(|(at, is)| before.partition(*at) != Some(is)) {
        lines.push(format!("{how}: {at} {}", sets(is)));
    }
    for topic in before.topics().filter(|topic| after.topic(topic.id).is_none()) {
        lines.push(format!("{how}: topic {:?} is gone", topic.name));
    }
    for topic in after.topics().filter(|topic| before.topic(topic.id).is_none()) {
        lines.push(format!("{how}: topic {:?} with {} partitions", topic.name, topic.partitions.len()));
    }
}

fn standing(broker: &Broker) -> String {
    let state = match (broker.fenced, broker.stopping) {
        (true, None) => "fenced",
        (false, None) => "unfenced",
        (false, Some(_)) => "stopping",
        (true, Some(_)) => "stopped",
    };
    format!("broker {} is {state} under registration {}", broker.node, broker.broker_epoch)
}

fn sets(partition: &Partition) -> String {
    let leader = partition.leader_node().map_or_else(|| "nobody".to_owned(), |node| format!("broker {node}"));
    format!(
        "is led by {leader} in leader epoch {}, isr {:?}, eligible leaders {:?}, partition epoch {}, min isr {}",
        partition.leader_epoch,
        partition.isr,
        partition.eligible_leaders,
        partition.partition_epoch,
        partition.min_isr
    )
}
