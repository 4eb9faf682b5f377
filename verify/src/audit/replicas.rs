//! The replicas of one partition, held against each other and against what the metadata says of them.
//!
//! Up to where must members of the last ISR, and who may be elected besides, agree? Each holds everything committed (RI3), but how much
//! that was no file says: the high watermark is not stored. The smallest end of their logs is too much: a member may lie cut off
//! with the last records of an old leader, never committed, while the next leader, also a member, writes others at their place; nothing of
//! either is committed until the member has fetched again (R20). So the bound is what is known otherwise: records that were
//! deleted were committed (R80), acknowledged ones were (R2), and a replica that a leader took into the ISR had fetched from
//! it in that epoch and reached the epoch's beginning (R42), so that it agrees with the leader below that.

use super::agreement::{Bound, Copy, compare, epochs_begin_alike};
use super::directory::{Directory, Log};
use super::findings::{Place, Report};
use super::image::{PartitionKey, PartitionView};
use super::log::Extent;
use super::quorum::Quorum;
use super::segment::Unreadable;
use super::starts;

/// A replica's log, and what there is of it.
#[derive(Debug)]
pub(super) struct Replica<'a> {
    pub(super) log: &'a Log,
    pub(super) extent: Extent,
}

impl Replica<'_> {
    fn copy(&self) -> Copy<'_> {
        Copy { log: self.log, extent: &self.extent }
    }
}

/// What is judged together.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) key: PartitionKey,
    /// The name of the topic, as far as it is known, and the partition.
    pub(super) name: String,
    pub(super) replicas: Vec<Replica<'a>>,
    /// Up to where the history says that it was committed, exclusive; 0 if it says nothing.
    pub(super) acknowledged: u64,
    /// The nodes that must hold everything committed.
    pub(super) members: Vec<u32>,
    /// Whether the cluster was level when it stopped, so that everything was committed.
    pub(super) is_whole: bool,
}

/// Judges all replicas of a partition that are there.
pub(super) fn judge(
    group: &Group<'_>,
    quorum: &Quorum,
    directories: &[Directory],
    report: &mut Report,
) -> Result<(), Unreadable> {
    let view = quorum.cluster.partitions.get(&group.key);
    if quorum.is_current {
        group.replicas.iter().for_each(|replica| known(replica, group.key, quorum, report));
    }
    if let Some(why) = view.and_then(|view| view.void) {
        let place = Place { file: group.name.clone(), ..Place::default() };
        report.note(place, "nothing is promised of a partition", why.to_owned());
    }
    let members = &group.members;
    let are_there = members.iter().all(|node| is_there(*node, group, quorum, directories));
    starts::explained(group, are_there && !members.is_empty(), report);
    let committed = committed(group);
    for node in members {
        holds(*node, group, &committed, is_there(*node, group, quorum, directories), report);
    }
    let settled = view.filter(|_| !members.is_empty()).and_then(|view| Settled::of(view, group));
    if let Some(settled) = &settled {
        settled.reach(group, report);
    }
    for (at, one) in group.replicas.iter().enumerate() {
        for other in group.replicas.iter().skip(at + 1) {
            let (left, right) = (one.log.node, other.log.node);
            let both = members.contains(&left) && members.contains(&right);
            let bound = if both { committed.clone() } else { Bound::default() };
            let bound = match &settled {
                Some(settled) if settled.has(left) && settled.has(right) => {
                    bound.or(settled.start, || settled.why())
                }
                _ => bound,
            };
            compare(one.copy(), other.copy(), &bound, report)?;
            epochs_begin_alike(one.copy(), other.copy(), report);
        }
    }
    Ok(())
}

/// Holds a log against what the metadata says of its partition.
fn known(replica: &Replica<'_>, (topic, partition): PartitionKey, quorum: &Quorum, report: &mut Report) {
    let Replica { log, extent, .. } = replica;
    let Some(name) = quorum.cluster.topics.get(&topic) else {
        let what = "no topic of the metadata has its id: it was deleted, and its log is yet to be".to_owned();
        return report.note(log.place(), "log of no topic", what);
    };
    if *name != log.topic {
        let what = format!("its partition.metadata has the id of topic {name}");
        report.finding(log.place(), "log of another topic", what);
    }
    let Some(view) = quorum.cluster.partitions.get(&(topic, partition)) else {
        let what = format!("topic {name} has no partition {partition} by the metadata");
        return report.finding(log.place(), "log of no partition", what);
    };
    if !view.state.replicas.contains(&log.node) {
        let what = format!("the replicas of the partition are on the nodes {:?}", view.state.replicas);
        report.note(log.place(), "log of no replica", what);
    }
    // R1: whoever writes in an epoch has it from the metadata, committed.
    let epoch = view.state.leader_epoch;
    let begun = log.last_epoch.filter(|(_, start)| *start == extent.end);
    if let Some((above, start)) = extent.epochs.iter().copied().chain(begun).find(|(known, _)| *known > epoch)
    {
        let what = format!(
            "records of leader epoch {above}, and by the metadata there have been epochs up to {epoch}"
        );
        report.finding(log.place().offset(start), "leader epoch that never was", what);
    }
}

/// Whether all directories of a node are there, so that a log that is not found is not there at all.
fn is_there(node: u32, group: &Group<'_>, quorum: &Quorum, directories: &[Directory]) -> bool {
    if group.replicas.iter().any(|replica| replica.log.node == node) {
        return true;
    }
    let ids = quorum.cluster.directories.get(&node);
    ids.is_some_and(|ids| ids.iter().all(|id| directories.iter().any(|known| known.id == *id)))
}

/// Up to where the partition was committed, at least.
fn committed(group: &Group<'_>) -> Bound {
    let acknowledged = group.acknowledged;
    let bound =
        Bound::default().or(acknowledged, || format!("records below {acknowledged} were acknowledged"));
    let of_members = group.replicas.iter().filter(|replica| group.members.contains(&replica.log.node));
    of_members.fold(bound, |bound, Replica { log, extent }| {
        let (start, end, node) = (extent.start, extent.end, log.node);
        let bound = bound.or(start, || format!("records below {start} were deleted on node {node}"));
        let level = || format!("all were level, as was said, and the log of node {node} ends at {end}");
        if group.is_whole { bound.or(end, level) } else { bound }
    })
}

/// RI3: a member holds all that is committed. What of it was acknowledged and is not there is said record by record elsewhere.
fn holds(node: u32, group: &Group<'_>, committed: &Bound, is_there: bool, report: &mut Report) {
    let Some(replica) = group.replicas.iter().find(|replica| replica.log.node == node) else {
        let Group { name, .. } = group;
        let place = Place { node: Some(node), file: name.clone(), ..Place::default() };
        let which = format!("node {node} must hold all of {name}");
        if is_there && committed.end > 0 {
            report.finding(
                place,
                "log is missing",
                format!("{which}, has no log of it, and {}", committed.why),
            );
        } else if is_there {
            report.note(place, "log is missing", format!("{which}, and has no log of it yet"));
        } else {
            report.gap(format!("{which}, and its directory is not there"));
        }
        return;
    };
    if replica.extent.end < committed.end {
        let what = format!("the log must hold all, ends at {}, and {}", replica.extent.end, committed.why);
        report.finding(replica.log.place().offset(replica.extent.end), "committed records are missing", what);
    }
}

/// Replicas that agree up to where their leader's epoch begins.
struct Settled {
    nodes: Vec<u32>,
    leader: u32,
    epoch: u32,
    /// Where the leader's epoch begins.
    start: u64,
}

impl Settled {
    /// Nothing, if the leader's log is not there.
    fn of(view: &PartitionView, group: &Group<'_>) -> Option<Self> {
        let (leader, epoch) = (view.state.leader_node()?, view.state.leader_epoch);
        let extent = &group.replicas.iter().find(|replica| replica.log.node == leader)?.extent;
        // A leader without a record of its epoch has not written since the epoch began at its log's end (R30).
        let start =
            extent.epochs.iter().find(|(known, _)| *known == epoch).map_or(extent.end, |(_, start)| *start);
        let nodes = view.settled();
        (nodes.len() > 1).then_some(Self { nodes, leader, epoch, start })
    }

    fn has(&self, node: u32) -> bool {
        self.nodes.contains(&node)
    }

    fn why(&self) -> String {
        let Self { leader, epoch, start, .. } = self;
        format!(
            "node {leader}, which leads epoch {epoch} from {start} on, has taken the others into the ISR in that epoch"
        )
    }

    /// Each of them reaches the beginning of the epoch.
    fn reach(&self, group: &Group<'_>, report: &mut Report) {
        let of = |replica: &&Replica<'_>| self.has(replica.log.node) && replica.extent.end < self.start;
        for Replica { log, extent, .. } in group.replicas.iter().filter(of) {
            let what = format!("the log ends at {}, before {}: {}", extent.end, self.start, self.why());
            report.finding(log.place().offset(extent.end), "replica in sync lacks records", what);
        }
    }
}
