//! Brings the logs of each partition together, goes through them, and has them judged: by themselves, by the history, and against each
//! other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::directory::{Directory, Log};
use super::findings::Report;
use super::history::{Duty, Presence};
use super::image::PartitionKey;
use super::log::Extent;
use super::quorum::Quorum;
use super::replicas::{self, Group, Replica};
use super::segment::Unreadable;
use super::sequences::Sequences;
use super::{Question, Told, starts};

/// Everything that the partitions are judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partitions<'a> {
    pub(super) directories: &'a [Directory],
    pub(super) quorum: &'a Quorum,
    pub(super) told: Option<&'a Told>,
    pub(super) question: &'a Question,
}

type Groups<'a> = BTreeMap<PartitionKey, Vec<(&'a Directory, &'a Log)>>;

impl<'a> Partitions<'a> {
    /// Judges every partition that there is a log or metadata of.
    pub(super) fn judge(&self, report: &mut Report) -> Result<(), Unreadable> {
        for (key, logs) in self.groups(report)? {
            self.partition(key, &logs, report)?;
        }
        Ok(())
    }

    /// The logs of each partition, by node: those that are there, and none for a partition of which there is none.
    fn groups(&self, report: &mut Report) -> Result<Groups<'a>, Unreadable> {
        let known = self.quorum.cluster.partitions.keys();
        let mut groups: Groups<'a> = known.map(|key| (*key, Vec::new())).collect();
        for directory in self.directories {
            for log in directory.logs.iter().filter(|log| !log.is_metadata()) {
                match log.topic_id {
                    Some(topic) => groups.entry((topic, log.partition)).or_default().push((directory, log)),
                    None => self.nameless(log, report)?,
                }
            }
        }
        groups.values_mut().for_each(|logs| newest(logs, report));
        Ok(groups)
    }

    /// A log that does not say of which topic it is can be judged by itself only.
    fn nameless(&self, log: &Log, report: &mut Report) -> Result<(), Unreadable> {
        let extent = self.walk(log, &mut None, report)?;
        let what = "partition.metadata is not there, or is no such file".to_owned();
        if extent.end > extent.base || log.recovery_point > 0 {
            report.finding(log.place(), "log does not say of which topic it is", what);
        } else {
            report.note(
                log.place(),
                "log does not say of which topic it is",
                format!("{what}; nor is there a record"),
            );
        }
        Ok(())
    }

    fn partition(
        &self,
        key: PartitionKey,
        logs: &[(&'a Directory, &'a Log)],
        report: &mut Report,
    ) -> Result<(), Unreadable> {
        let cluster = &self.quorum.cluster;
        let view = cluster.partitions.get(&key).filter(|_| self.quorum.is_current);
        let topic = cluster.topics.get(&key.0).map_or("a topic without a name", String::as_str);
        // Coordinators write on by themselves while brokers stop one by one.
        let is_whole = self.question.is_whole && !topic.starts_with("__");
        let members = view.map(|view| view.required(is_whole, self.question.lost)).unwrap_or_default();
        let told = self.told.filter(|told| told.topic == key.0);
        let is_promised = view.is_some_and(|view| view.void.is_none());
        let (mut replicas, mut presences) = (Vec::new(), Vec::new());
        for (_, log) in logs {
            let is_member = is_promised && members.contains(&log.node);
            let mut presence = told.map(|told| Presence::new(&told.acknowledged, log, is_member));
            let extent = self.walk(log, &mut presence, report)?;
            presences.push(presence);
            replicas.push(Replica { log, extent });
        }
        let acknowledged = told.filter(|_| is_promised).map_or(0, |told| told.acknowledged.committed(key.1));
        let name = format!("{topic}-{}", key.1);
        let group = Group { key, name, replicas, acknowledged, members, is_whole };
        for (replica, presence) in group.replicas.iter().zip(presences) {
            let duty = self.duty(&group, is_promised, replica);
            if let Some(presence) = presence {
                presence.conclude(&replica.extent, duty, report);
            }
        }
        starts::alike(&group, told.is_some(), cluster.may_delete(key.0), report);
        replicas::judge(&group, self.quorum, self.directories, report)
    }

    /// What a replica owes of what was acknowledged. Only members owe anything: not even a former leader has to have all that was
    /// acknowledged of its own epoch, for the next one may have made it cut what yet another one kept and committed later.
    fn duty(&self, group: &Group<'_>, is_promised: bool, replica: &Replica<'_>) -> Duty {
        let (cluster, node) = (&self.quorum.cluster, replica.log.node);
        let is_asked = is_promised && !group.members.is_empty();
        let is_member = is_asked && group.members.contains(&node);
        let is_stopped = is_asked && !is_member && cluster.stopped_in_order(group.key, node);
        Duty { is_member, is_stopped, may_delete: cluster.may_delete(group.key.0) }
    }

    /// Goes through a log; looks for what was acknowledged if there is something to look for.
    fn walk(
        &self,
        log: &Log,
        presence: &mut Option<Presence<'_>>,
        report: &mut Report,
    ) -> Result<Extent, Unreadable> {
        let mut sequences = Sequences::default();
        let start = log.start();
        log.walk(self.question.lost, report, &mut |stored, report| {
            sequences.take(log.node, start, stored, report);
            if let Some(presence) = presence {
                presence.take(stored, report);
            }
        })
    }
}

/// Of two copies of a log on one node the one in use last is the log.
fn newest(logs: &mut Vec<(&Directory, &Log)>, report: &mut Report) {
    logs.sort_by_key(|(directory, _)| (directory.node, Reverse(directory.used_under)));
    let mut nodes = BTreeSet::new();
    logs.retain(|(directory, log)| {
        let is_first = nodes.insert(directory.node);
        if !is_first {
            let what = "another directory of the node has the log, too, and was in use later".to_owned();
            report.note(log.place(), "older copy of a log", what);
        }
        is_first
    });
}
