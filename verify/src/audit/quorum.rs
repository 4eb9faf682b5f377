//! The metadata log of each node: sound, agreeing, complete by snapshots, and not ahead of the epoch that its voter has stored.
//! Gives the newest metadata of all.

use std::collections::BTreeSet;

use super::Lost;
use super::agreement::{Bound, Copy, compare, epochs_begin_alike};
use super::directory::{Directory, Log};
use super::findings::{Place, Report};
use super::fold::fold;
use super::image::Cluster;
use super::log::{Extent, Stored};
use super::record::{Control, Metadata, control, decision, vote};
use super::segment::Unreadable;
use super::snapshot::{self, Snapshot};

/// The metadata, as the directories have it.
#[derive(Debug, Default)]
pub(super) struct Quorum {
    /// The newest metadata that any of them has.
    pub(super) cluster: Cluster,
    /// Whether everything committed is in it: a majority of the voters is there, and whoever of a majority has the log with the highest
    /// (epoch, end) has all that was committed (QI4). What is in it beyond that was decided and may not be committed. That does no
    /// harm: whom an undecided state counts in the ISR has been waited for since it was proposed (R44), and any other change of it only
    /// takes members away.
    pub(super) is_current: bool,
}

/// The metadata log of one node.
#[derive(Debug)]
pub(super) struct Member<'a> {
    directory: &'a Directory,
    pub(super) log: &'a Log,
    pub(super) extent: Extent,
    /// By end.
    pub(super) snapshots: Vec<Snapshot>,
    /// The last voters that the log or a snapshot names.
    voters: Option<Vec<(u32, u128)>>,
}

/// Judges the metadata logs, and folds the newest.
pub(super) fn judge(
    directories: &[Directory],
    lost: Lost,
    report: &mut Report,
) -> Result<Quorum, Unreadable> {
    let mut members = Vec::new();
    for directory in directories {
        for log in directory.logs.iter().filter(|log| log.is_metadata()) {
            members.push(member(directory, log, lost, report)?);
        }
    }
    for (at, one) in members.iter().enumerate() {
        for other in members.iter().skip(at + 1) {
            let (one, other) = (one.copy(), other.copy());
            compare(one, other, &Bound::default(), report)?;
            epochs_begin_alike(one, other, report);
        }
    }
    let Some(best) = members.iter().max_by_key(|member| member.reached()) else {
        report.gap(
            "there is no metadata log: nothing is known of topics, leaders and in-sync replicas".to_owned(),
        );
        return Ok(Quorum::default());
    };
    let initial = || best.directory.initial_voters.clone();
    let voters = best.voters.clone().unwrap_or_else(initial);
    let here: BTreeSet<(u32, u128)> = members.iter().map(Member::key).collect();
    let count = voters.iter().filter(|voter| here.contains(voter)).count();
    let is_current = 2 * count > voters.len();
    if !is_current {
        let voters = voters.len();
        report.gap(format!(
            "the metadata logs of {count} of {voters} voters are there, which is no majority: the newest state of the partitions may not be among them"
        ));
    }
    held_by_a_majority(&voters, &members, report);
    let cluster = fold(best, &members, report)?;
    Ok(Quorum { cluster, is_current })
}

impl Member<'_> {
    /// By what a voter is known.
    fn key(&self) -> (u32, u128) {
        (self.directory.node, self.directory.id)
    }

    /// Whether it holds what a snapshot stands for.
    fn has(&self, snapshot: &Snapshot) -> bool {
        let last = snapshot.end.checked_sub(1).and_then(|last| self.extent.epoch_at(last));
        last == Some(snapshot.epoch) || self.snapshots.iter().any(|own| own.end >= snapshot.end)
    }

    fn copy(&self) -> Copy<'_> {
        Copy { log: self.log, extent: &self.extent }
    }

    /// How far its metadata reaches: last epoch and end, of the log or of a snapshot that it has fetched.
    fn reached(&self) -> (u32, u64) {
        let log = (self.extent.epochs.last().map_or(0, |(epoch, _)| *epoch), self.extent.end);
        self.snapshots.last().map_or(log, |last| log.max((last.epoch, last.end)))
    }
}

fn member<'a>(
    directory: &'a Directory,
    log: &'a Log,
    lost: Lost,
    report: &mut Report,
) -> Result<Member<'a>, Unreadable> {
    let mut snapshots = Vec::new();
    let mut named: Vec<_> = log.snapshots.iter().collect();
    named.sort();
    for (end, epoch, path) in named {
        snapshots.extend(snapshot::read(log.node, (*end, *epoch, path), report)?);
    }
    let mut voters = None;
    let extent = log.walk(lost, report, &mut |stored, report| {
        if let Some(set) = understood(log.node, stored, report) {
            voters = Some((stored.header.base_offset, set));
        }
    })?;
    let beyond = snapshots.last().filter(|last| voters.as_ref().is_none_or(|(at, _)| *at < last.end));
    let voters = beyond.map(|last| last.voters.clone()).or_else(|| voters.map(|(_, set)| set));
    let member = Member { directory, log, extent, snapshots, voters };
    member.beginning(report);
    member.stored_epoch(report);
    Ok(member)
}

/// Insists that a batch can be understood; gives the voters, if it names them.
fn understood(node: u32, stored: &Stored<'_>, report: &mut Report) -> Option<Vec<(u32, u128)>> {
    let unreadable = if stored.header.is_control() {
        match control(stored.header, stored.bytes) {
            Ok(Control::Voters(set)) => return Some(set),
            Ok(Control::LeaderChange) => return None,
            Ok(Control::SnapshotHeader | Control::SnapshotFooter) => {
                "a part of a snapshot in a log".to_owned()
            }
            Err(what) => what,
        }
    } else {
        match decision(stored.header, stored.bytes) {
            Ok(records) => records.iter().find_map(Metadata::impossible)?,
            Err(fault) => fault.to_string(),
        }
    };
    report.finding(stored.place(node), "metadata cannot be read", unreadable);
    None
}

impl Member<'_> {
    /// QI10: what the log does not have, a snapshot has. And a snapshot is of this log.
    fn beginning(&self, report: &mut Report) {
        let start = self.extent.start;
        if start > 0 && !self.snapshots.iter().any(|snapshot| snapshot.end >= start) {
            let what = format!("the log begins at {start}, and no snapshot stands for what was before");
            report.finding(self.log.place().offset(start), "log start has no snapshot", what);
        }
        for snapshot in &self.snapshots {
            let epoch = snapshot.end.checked_sub(1).and_then(|last| self.extent.epoch_at(last));
            if let Some(epoch) = epoch.filter(|epoch| *epoch != snapshot.epoch) {
                let what =
                    format!("it says epoch {}, and the log has epoch {epoch} before its end", snapshot.epoch);
                report.finding(snapshot.place.clone(), "snapshot is of another log", what);
            }
        }
    }

    /// Q2: no message of an epoch is sent, nor a record of it stored, before the epoch is.
    fn stored_epoch(&self, report: &mut Report) {
        let place = Place::of(self.directory.node, &self.directory.path.join("quorum-state"));
        let Some((last, start)) = self.extent.epochs.last() else { return };
        match self.directory.vote.as_deref().map(vote) {
            Some(Ok(vote)) if vote.epoch < *last => {
                let what = format!(
                    "it says epoch {}, and the log has records of {last} from {start} on",
                    vote.epoch
                );
                report.finding(place, "stored epoch is below the log's", what);
            }
            Some(Ok(_)) => {}
            Some(Err(what)) => report.finding(place, "vote cannot be read", what),
            None => {
                let what = format!("it is not there, and the log has records of epoch {last}");
                report.finding(place, "vote is missing", what);
            }
        }
    }
}

/// QI5: what a snapshot stands for was committed, and a majority of the voters has it, by their logs or by snapshots. Who is not there may
/// have it.
fn held_by_a_majority(voters: &[(u32, u128)], members: &[Member<'_>], report: &mut Report) {
    let Some(newest) = members.iter().flat_map(|member| &member.snapshots).max_by_key(|newest| newest.end)
    else {
        return;
    };
    let lacking = |voters: &[(u32, u128)]| -> Vec<&Member<'_>> {
        let of_voters = members.iter().filter(|member| voters.contains(&member.key()));
        of_voters.filter(|member| !member.has(newest)).collect()
    };
    // While a change of the voters is under way either set may be the one that committed (Q35).
    let may_be_held =
        |voters: &[(u32, u128)]| 2 * voters.len().saturating_sub(lacking(voters).len()) > voters.len();
    if may_be_held(voters) || may_be_held(&newest.voters) {
        return;
    }
    let lacking = lacking(voters);
    for member in lacking {
        let (end, path) = (newest.end, &newest.place.file);
        let what = format!(
            "it does not hold what {path} stands for, which was committed up to {end}, and so many voters do not that no majority can"
        );
        report.finding(member.log.place().offset(member.extent.end), "committed metadata is missing", what);
    }
}
