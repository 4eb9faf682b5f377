//! Copies of one log in several log directories: which one is the log, and what becomes of the others.
//!
//! A directory that fails is left out by the next start, and the broker begins its logs again in the directories that are
//! left. When it comes back it brings an older copy of each. The copy in the directory that was in use under the newest
//! registration is the log; the others are set aside, unopened, and nothing is stated of them (R60).

use std::collections::BTreeMap;

use highwater_model::id::{DirectoryId, Offset, TopicPartition};
use highwater_transport::env::Env;

use crate::disk::{Fault, SyncSet};
use crate::driver::quorum::LOG_DIRECTORY;
use crate::kept::{LogDirectories, LogDirectory};
use crate::log::{Hints, parse_directory, stray_of, topic_id_of};

/// One of several copies.
struct Copy<'a> {
    directory: &'a LogDirectory,
    name: String,
}

/// Leaves one copy of each log under its name, in all directories together. Gives the directories that failed.
pub(super) async fn set_aside(env: &Env, directories: &LogDirectories) -> Vec<(DirectoryId, Fault)> {
    let mut failed = Vec::new();
    let mut copies: BTreeMap<TopicPartition, Vec<Copy<'_>>> = BTreeMap::new();
    for directory in directories.iter() {
        match logs_in(directory) {
            Ok(logs) => logs.into_iter().for_each(|(partition, name)| {
                copies.entry(partition).or_default().push(Copy { directory, name });
            }),
            Err(fault) => failed.push((directory.id(), fault)),
        }
    }
    for mut copies in copies.into_values().filter(|copies| copies.len() > 1) {
        copies.sort_by_key(Copy::rank);
        let Some(log) = copies.pop() else { continue };
        if let Err(fault) = log.doubt(&copies) {
            failed.push((log.directory.id(), fault));
            continue;
        }
        for copy in copies {
            if let Err(fault) = copy.set_aside(env, &log).await {
                failed.push((copy.directory.id(), fault));
            }
        }
    }
    failed
}

/// The logs that say which topic they are of; the others are looked at when they are opened.
fn logs_in(directory: &LogDirectory) -> Result<Vec<(TopicPartition, String)>, Fault> {
    let mut logs = Vec::new();
    for entry in directory.disk.list("")? {
        let Some((_, partition)) = parse_directory(&entry.name) else { continue };
        if !entry.is_directory || entry.name == LOG_DIRECTORY {
            continue;
        }
        if let Some(topic) = topic_id_of(directory.disk.as_ref(), &entry.name)? {
            logs.push((TopicPartition { topic, partition }, entry.name));
        }
    }
    Ok(logs)
}

impl Copy<'_> {
    /// The log is the last in this order.
    fn rank(&self) -> impl Ord + use<> {
        let synced = self.directory.recovery_points.offset_of(&self.name).unwrap_or_default();
        (self.directory.used_under, synced, self.directory.id())
    }

    /// If another copy's directory was in use under the same registration, nobody knows which one is the log, and this one
    /// must not pass for what was counted.
    fn doubt(&self, others: &[Self]) -> Result<(), Fault> {
        if others.iter().all(|other| other.directory.used_under != self.directory.used_under) {
            return Ok(());
        }
        tracing::error!(log = self.name, "log directories that were in use together have copies of this log");
        self.directory.recovery_points.raise(&self.name, Hints::NEVER_REACHED)
    }

    /// Renames it away, durably. That it held something is forgotten first, or it would be missed by the next start.
    async fn set_aside(&self, env: &Env, log: &Copy<'_>) -> Result<(), Fault> {
        let disk = &self.directory.disk;
        let aside = stray_of(&self.name, env.random_u128());
        tracing::warn!(
            log = self.name, stray = %disk.name(), %aside, taken = %log.directory.disk.name(),
            stray_used_under = ?self.directory.used_under, taken_used_under = ?log.directory.used_under,
            "two log directories have a copy of this log; set the older one aside, which may be removed",
        );
        self.directory.recovery_points.lower(&self.name, Offset::ZERO)?;
        self.directory.recovery_points.forget(&self.name);
        disk.rename(&self.name, &aside)?;
        disk.sync(SyncSet { files: Vec::new(), directories: vec![String::new()] }).await
    }
}
