//! A step in words.

use highwater_model::id::{NodeId, TopicPartition};
use highwater_model::metadata::{Broker, BrokerAnswer, BrokerRequest, Image, Partition};

use super::action::{Action, Proposed};
use super::state::{Disk, Envelope, State};
use crate::world::Message;

/// Name of the controller's lane.
pub(super) const CONTROLLER: &str = "controller";

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
        Action::ElectAgain(kept) => {
            format!(
                "the controller is elected again, unaware that it was deposed; it has {kept} of {} uncommitted batches",
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
    let message = sent(envelope);
    format!("{} -> {}: {}", message.from, message.to, message.says)
}

/// Name of a broker's lane.
pub(super) fn lane(node: NodeId) -> String {
    format!("broker {node}")
}

/// A message under way, from lane to lane.
pub(super) fn sent(envelope: &Envelope) -> Message {
    let (to_controller, node, says) = match envelope {
        Envelope::Ask { node, run, body: BrokerRequest::Register(registration), .. } => {
            let replaces = registration.replaces.map_or_else(|| "none".to_owned(), |old| old.to_string());
            (true, *node, format!("register run {run}, in place of registration {replaces}"))
        }
        Envelope::Ask { node, run, body: BrokerRequest::Heartbeat(heartbeat), .. } => {
            let stops = if heartbeat.want_shutdown { ", wants to stop" } else { "" };
            let (registration, applied) = (heartbeat.broker_epoch, heartbeat.metadata_offset);
            let says =
                format!("heartbeat of run {run}, registration {registration}, metadata to {applied}{stops}");
            (true, *node, says)
        }
        Envelope::Tell { node, run, answer, .. } => (false, *node, told(*run, answer)),
        Envelope::Propose { node, proposal, .. } => {
            let (leader_epoch, partition_epoch) = (proposal.leader_epoch, proposal.partition_epoch);
            let isr = proposal.isr();
            let says =
                format!("isr {isr:?} (leader epoch {leader_epoch}, partition epoch {partition_epoch})");
            (true, *node, says)
        }
    };
    let (broker, controller) = (lane(node), CONTROLLER.to_owned());
    let (from, to) = if to_controller { (broker, controller) } else { (controller, broker) };
    Message { from, to, says }
}

fn told(run: u8, answer: &BrokerAnswer) -> String {
    match answer {
        BrokerAnswer::Registered { broker_epoch } => format!("run {run} has registration {broker_epoch}"),
        BrokerAnswer::Heartbeat { fenced, may_stop } => {
            let standing = if *fenced { "fenced" } else { "unfenced" };
            let stops = if *may_stop { ", may stop" } else { "" };
            format!("heard run {run}: {standing}{stops}")
        }
        BrokerAnswer::RegistrationMoved { registered } => {
            let registered = registered.map_or_else(|| "none".to_owned(), |now| now.to_string());
            format!("run {run} is not registered; the registration is {registered}")
        }
        BrokerAnswer::Refused(code) => format!("refused run {run}: {code}"),
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
        lines.push(format!("disk of broker {node}: {}", disk_in_words(after.broker(node).disk)));
    }
}

/// What a disk tells at the next start.
pub(super) fn disk_in_words(disk: Disk) -> String {
    let told = [
        disk.clean_stop.map(|run| format!("clean stop of registration {run}")),
        disk.record.map(|run| format!("start-up record of registration {run}")),
        disk.record.filter(|_| !disk.same_boot).map(|_| "another boot since".to_owned()),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    if told.is_empty() { "empty".to_owned() } else { told.join(", ") }
}

fn of_images(how: &str, before: &Image, after: &Image, lines: &mut Vec<String>) {
    for is in after.brokers() {
        if before.broker(is.node) != Some(is) {
            lines.push(format!("{how}: {}", standing(is)));
        }
    }
    for (at, is) in after.partitions().filter(|(at, is)| before.partition(*at) != Some(is)) {
        lines.push(format!("{how}: {} {}", partition_name(after, at), sets(is)));
    }
    for topic in before.topics().filter(|topic| after.topic(topic.id).is_none()) {
        lines.push(format!("{how}: topic {:?} is gone", topic.name));
    }
    for topic in after.topics().filter(|topic| before.topic(topic.id).is_none()) {
        lines.push(format!("{how}: topic {:?} with {} partitions", topic.name, topic.partitions.len()));
    }
}

/// A partition by its topic's name, as far as the image knows it.
pub(super) fn partition_name(image: &Image, at: TopicPartition) -> String {
    image.topic(at.topic).map_or_else(|| at.to_string(), |topic| format!("{}-{}", topic.name, at.partition))
}

/// A broker as an image has it.
pub(super) fn standing(broker: &Broker) -> String {
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
