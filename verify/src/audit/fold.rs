//! Folds the newest metadata log, and holds every snapshot of anyone against what the log before its end makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::findings::Report;
use super::image::Cluster;
use super::log::{Cursor, Extent};
use super::quorum::Member;
use super::record::decision;
use super::segment::Unreadable;
use super::snapshot::Snapshot;

/// The metadata of `best`, which has the newest of all.
pub(super) fn fold(
    best: &Member<'_>,
    members: &[Member<'_>],
    report: &mut Report,
) -> Result<Cluster, Unreadable> {
    let newest = best.snapshots.last().filter(|last| last.end > best.extent.end);
    let oldest = best.snapshots.iter().find(|snapshot| snapshot.end >= best.extent.start);
    let first = newest.or_else(|| oldest.filter(|_| best.extent.start > 0));
    let mut cluster = first.map(|first| Cluster::of(&first.image)).unwrap_or_default();
    let from = first.map_or(best.extent.start, |first| first.end);
    let mut met = BTreeSet::from([from]);
    agree(&cluster, from, members, report);
    let mut cursor = Cursor::new(best.log);
    while let Some(stored) = cursor.next()? {
        if stored.header.base_offset < from {
            continue;
        }
        if !stored.header.is_control() {
            // What cannot be read has been reported.
            let records = decision(stored.header, stored.bytes).unwrap_or_default();
            records.into_iter().for_each(|record| cluster.take(record));
        }
        met.insert(stored.header.end_offset());
        agree(&cluster, stored.header.end_offset(), members, report);
    }
    let reached = newest.map_or(best.extent.end, |newest| newest.end);
    for snapshot in of_all(members).filter(|snapshot| snapshot.end >= from && !met.contains(&snapshot.end)) {
        unmet(snapshot, &best.extent, reached, &best.log.path, report);
    }
    earlier(members, from, report);
    Ok(cluster)
}

fn of_all<'a>(members: &'a [Member<'_>]) -> impl Iterator<Item = &'a Snapshot> {
    members.iter().flat_map(|member| &member.snapshots)
}

/// MI8, of the snapshots that end here.
fn agree(cluster: &Cluster, end: u64, members: &[Member<'_>], report: &mut Report) {
    for snapshot in of_all(members).filter(|snapshot| snapshot.end == end) {
        if !cluster.is_as(&snapshot.image) {
            let what = "its topics, partitions and brokers are not those that the log before its end makes"
                .to_owned();
            report.finding(snapshot.place.clone(), "snapshot is not what the log says", what);
        }
    }
}

/// A decision is one batch, and is taken whole; what a snapshot stands for was committed, and whoever has the newest log has that (QI4).
fn unmet(snapshot: &Snapshot, log: &Extent, reached: u64, path: &Path, report: &mut Report) {
    let (end, path) = (snapshot.end, path.display());
    if end > reached {
        let what =
            format!("it stands for the log up to {end}, and the newest one, {path}, ends at {reached}");
        report.finding(snapshot.place.clone(), "snapshot is of another log", what);
    } else if end <= log.end {
        let what = format!("it ends at {end}, where no decision of {path} does");
        report.finding(snapshot.place.clone(), "snapshot ends within a decision", what);
    }
}

/// Snapshots from before anything that the newest log has can be held against each other alone.
fn earlier(members: &[Member<'_>], from: u64, report: &mut Report) {
    let mut known: BTreeMap<(u64, u32), &Snapshot> = BTreeMap::new();
    for snapshot in of_all(members).filter(|snapshot| snapshot.end < from) {
        let first = known.entry((snapshot.end, snapshot.epoch)).or_insert(snapshot);
        if first.image != snapshot.image {
            let what = format!("{} stands for the same log and says something else", first.place.file);
            report.finding(snapshot.place.clone(), "snapshots of one end differ", what);
        }
    }
}
