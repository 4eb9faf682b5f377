//! A state of the metadata world in lanes: a broker each, and the controller.

use highwater_model::id::NodeId;
use highwater_model::metadata::{Image, Partition};

use super::action::Action;
use super::state::{Envelope, Run, State};
use super::words::{CONTROLLER, disk_in_words, lane, partition_name, sent, standing};
use crate::world::{Fact, Lane, LaneKind, Part, Picture};

/// A state as it is shown.
pub(super) fn of(state: &State) -> Picture {
    let mut lanes: Vec<Lane> = state.nodes().map(|node| of_broker(state, node)).collect();
    lanes.push(of_controller(state));
    Picture { lanes, in_flight: state.wire.iter().map(sent).collect() }
}

/// Whom an action concerns.
pub(super) fn part(before: &State, action: &Action) -> Part {
    match action {
        Action::Deliver(at) | Action::Repeat(at) | Action::Lose(at) => {
            let at = usize::from(*at);
            let receiver = before.wire.get(at).map(|envelope: &Envelope| sent(envelope).to);
            Part { lanes: receiver.into_iter().collect(), takes: Some(at) }
        }
        Action::Commit | Action::FailOver(_) | Action::ElectAgain(_) | Action::Operate(_) => {
            Part::of(CONTROLLER)
        }
        Action::Expire(node) => Part::between(lane(*node), CONTROLLER),
        Action::Start(node)
        | Action::Timer(node)
        | Action::Apply(node)
        | Action::Stop(node)
        | Action::Kill(node)
        | Action::PowerLoss(node)
        | Action::Propose(node, _) => Part::of(lane(*node)),
    }
}

fn of_broker(state: &State, node: NodeId) -> Lane {
    let broker = state.broker(node);
    let run = broker.run.as_ref();
    let of_run = |what, tell: &dyn Fn(&Run) -> String| Fact::new(what, run.map(tell).unwrap_or_default());
    let runs = broker.runs;
    let believes = || state.applied(node).map(partitions).unwrap_or_default();
    let facts = vec![
        Fact::new("is", run.map_or_else(|| "down".to_owned(), |_| format!("run {runs}"))),
        of_run("believes to be", &believed),
        of_run("waits for", &|run| {
            run.lifecycle
                .awaited()
                .map(|request| format!("the answer to request {request}"))
                .unwrap_or_default()
        }),
        Fact::new(
            "metadata",
            state.applied(node).map(|image| format!("to {}", image.end())).unwrap_or_default(),
        ),
        Fact::new("knows", believes()),
        Fact::new("disk", disk_in_words(broker.disk)),
    ];
    Lane { name: lane(node), kind: LaneKind::Broker, facts }
}

/// A broker's standing as it knows it.
fn believed(run: &Run) -> String {
    let registered = match run.lifecycle.broker_epoch() {
        Some(broker_epoch) => format!("registered as {broker_epoch}"),
        None => return "not registered".to_owned(),
    };
    let fenced = if run.lifecycle.is_fenced() { "fenced" } else { "unfenced" };
    let stopping = if run.lifecycle.is_stopping() { ", stopping" } else { "" };
    format!("{registered}, {fenced}{stopping}")
}

fn of_controller(state: &State) -> Lane {
    let (committed, decided) = (state.image(), state.controller.get().image());
    let ahead = |tell: fn(&Image) -> String| {
        let (was, is) = (tell(committed), tell(decided));
        if was == is { String::new() } else { is }
    };
    let active = state.controller.get().active_in();
    let active = active.map_or_else(|| "no epoch".to_owned(), |epoch| format!("quorum epoch {epoch}"));
    let tail: Vec<String> = state.tail.iter().map(|batch| format!("a batch to {}", batch.end)).collect();
    let facts = vec![
        Fact::new("metadata", format!("committed to {}", committed.end())),
        Fact::new("active in", active),
        Fact::new("brokers", brokers(committed)),
        Fact::new("partitions", partitions(committed)),
        Fact::new("not committed", tail.join("\n")),
        Fact::new("brokers then", ahead(brokers)),
        Fact::new("partitions then", ahead(partitions)),
        Fact::new("lost entries", lost(state)),
    ];
    Lane { name: CONTROLLER.to_owned(), kind: LaneKind::Controller, facts }
}

fn brokers(image: &Image) -> String {
    image.brokers().iter().map(standing).collect::<Vec<_>>().join("\n")
}

fn partitions(image: &Image) -> String {
    let partition = |(at, partition)| format!("{} {}", partition_name(image, at), sets(partition));
    image.partitions().map(partition).collect::<Vec<_>>().join("\n")
}

fn sets(partition: &Partition) -> String {
    let leader = partition.leader_node().map_or_else(|| "nobody".to_owned(), lane);
    format!(
        "led by {leader}, leader epoch {}\nisr {:?}, eligible {:?}\nmin isr {}, partition epoch {}",
        partition.leader_epoch,
        partition.isr,
        partition.eligible_leaders,
        partition.min_isr,
        partition.partition_epoch
    )
}

/// Replicas that lost entries, which only an onlooker knows.
fn lost(state: &State) -> String {
    let losing = state.ghost.losing.iter().map(|(lost, _)| lost);
    let lost = losing.chain(&state.ghost.lost);
    lost.map(|lost| format!("{} of {}", lane(lost.node), partition_name(state.image(), lost.partition)))
        .collect::<Vec<_>>()
        .join("\n")
}
