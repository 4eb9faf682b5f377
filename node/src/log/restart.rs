//! Beginning a log anew elsewhere (R16, Q43) so that it is begun wholly or not at all.
//!
//! The file of the segment that is to be the only one decides. While its name is none ([`NAMELESS`]) nothing has happened.
//! Once it is called [`NEXT`], durably, whatever else there is goes, if need be when the log is opened again. In the end it takes
//! its name. None of this needs room but for the file itself, which is empty.

use highwater_model::id::Offset;

use super::names::{
    LEADER_EPOCHS, LOG_START, NAMELESS, NEXT, SEGMENT_SUFFIXES, parse_log_file, parse_next, segment_file,
};
use crate::disk::{Disk, Fault, FileRef, Open, SyncSet};

/// The path of a file that can decide: an empty one that is made now, for which there may be no room; or that of a beginning that
/// did not come to its end.
pub(super) fn candidate(disk: &dyn Disk, directory: &str, start: Offset) -> Result<String, Fault> {
    if let Some(left) = decided(disk, directory)? {
        return Ok(segment_file(directory, left, NEXT));
    }
    nameless(disk, directory, start)
}

/// An empty file without a name.
fn nameless(disk: &dyn Disk, directory: &str, start: Offset) -> Result<String, Fault> {
    let path = segment_file(directory, start, NAMELESS);
    let file = disk.open(&path, Open::OrNew)?;
    if file.len_bytes() > 0 {
        disk.cut(&[], Some((&file, 0)))?;
    }
    Ok(path)
}

/// From here on the log begins at `start`, whatever happens.
pub(super) fn decide(disk: &dyn Disk, directory: &str, candidate: &str, start: Offset) -> Result<(), Fault> {
    let next = segment_file(directory, start, NEXT);
    if candidate != next {
        disk.rename(candidate, &next)?;
    }
    sync(disk, directory)
}

/// Removes everything else, durably, and gives the file its name.
pub(super) fn carry_out(disk: &dyn Disk, directory: &str, start: Offset) -> Result<FileRef, Fault> {
    let is_of_segment = |name: &str| {
        let base = SEGMENT_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix));
        base.is_some_and(|base| parse_log_file(&format!("{base}.log")).is_some())
    };
    let goes = |name: &str| is_of_segment(name) || [LEADER_EPOCHS, LOG_START].contains(&name);
    let entries = disk.list(directory)?;
    let gone = entries.iter().filter(|entry| goes(&entry.name));
    let gone: Vec<String> = gone.map(|entry| format!("{directory}/{}", entry.name)).collect();
    disk.cut(&gone, None)?;
    name(disk, directory, start, NEXT)
}

/// A log of one empty segment where there is no other.
pub(super) fn first(disk: &dyn Disk, directory: &str, start: Offset) -> Result<FileRef, Fault> {
    nameless(disk, directory, start)?;
    name(disk, directory, start, NAMELESS)
}

/// A beginning that was decided and did not come to its end comes to it.
pub(super) fn carry_out_what_is_decided(disk: &dyn Disk, directory: &str) -> Result<(), Fault> {
    let Some(start) = decided(disk, directory)? else { return Ok(()) };
    tracing::info!(log = directory, %start, "the log begins anew, as was decided before the process ended");
    carry_out(disk, directory, start).map(drop)
}

/// Where the log is to begin, if it is decided that it begins anew.
pub(super) fn decided(disk: &dyn Disk, directory: &str) -> Result<Option<Offset>, Fault> {
    Ok(disk.list(directory)?.iter().find_map(|entry| parse_next(&entry.name)))
}

fn name(disk: &dyn Disk, directory: &str, start: Offset, suffix: &str) -> Result<FileRef, Fault> {
    let path = segment_file(directory, start, ".log");
    disk.rename(&segment_file(directory, start, suffix), &path)?;
    sync(disk, directory)?;
    disk.open(&path, Open::Existing)
}

fn sync(disk: &dyn Disk, directory: &str) -> Result<(), Fault> {
    disk.sync_now(SyncSet { files: Vec::new(), directories: vec![directory.to_owned()] })
}
