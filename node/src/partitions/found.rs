//! Finding the logs that a broker has on its disks when it starts. Which of several copies is the log is for `strays`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_model::id::{DirectoryId, Offset, TopicPartition};
use highwater_model::metadata::DirectoryFacts;
use highwater_transport::env::Env;

use super::strays;
use crate::disk::Fault;
use crate::driver::quorum::LOG_DIRECTORY;
use crate::kept::{LogDirectories, LogDirectory};
use crate::log::{Hints, LogConfig, PartitionLog, Recovered, Stop, parse_directory, topic_id_of};

/// A log as it was found, and where.
#[derive(Debug)]
pub(crate) struct FoundLog {
    pub(crate) directory: DirectoryId,
    pub(crate) log: PartitionLog,
    pub(crate) recovered: Recovered,
}

/// Every log found, and which directories could not be used.
#[derive(Debug, Default)]
pub(crate) struct FoundLogs {
    pub(crate) logs: BTreeMap<TopicPartition, FoundLog>,
    /// Logs of which less was found than had been counted, by directory.
    pub(crate) damaged: BTreeMap<DirectoryId, Vec<TopicPartition>>,
    /// Logs that are gone though they had been synced, by name, with their directories.
    pub(crate) missing: Vec<(DirectoryId, String)>,
    /// Directories that failed.
    pub(crate) failed: Vec<DirectoryId>,
}

impl FoundLogs {
    /// Opens and recovers every log. A directory that fails is left out: the broker goes on where it can.
    pub(crate) async fn find(env: &Env, directories: &LogDirectories) -> Self {
        let mut found = Self::default();
        for (directory, fault) in strays::set_aside(env, directories).await {
            tracing::error!(%directory, %fault, "log directory failed while copies of logs were looked for");
            found.failed.push(directory);
        }
        let failed = found.failed.clone();
        for directory in directories.iter().filter(|directory| !failed.contains(&directory.id())) {
            let mut opened = found.find_in(directory).await;
            if opened.is_ok() {
                opened = directory.note_recovered().await;
            }
            if let Err(fault) = opened {
                tracing::error!(directory = %directory.id(), %fault, "log directory failed while its logs were opened");
                found.logs.retain(|_, log| log.directory != directory.id());
                found.failed.push(directory.id());
            }
        }
        found
    }

    /// What can be said of each directory; nothing can of one that failed.
    pub(crate) fn facts(&mut self, directories: &LogDirectories) -> Vec<DirectoryFacts> {
        let usable = directories.iter().filter(|directory| !self.failed.contains(&directory.id()));
        let facts = |directory: &LogDirectory| {
            let is_incomplete = self.missing.iter().any(|(missing, _)| *missing == directory.id());
            directory.facts(self.damaged.remove(&directory.id()).unwrap_or_default(), is_incomplete)
        };
        usable.map(facts).collect()
    }

    async fn find_in(&mut self, directory: &LogDirectory) -> Result<(), Fault> {
        let entries = directory.disk.list("")?;
        for log in directory.recovery_points.logs() {
            if !entries.iter().any(|entry| entry.is_directory && entry.name == log) {
                tracing::error!(log, "a log is gone");
                self.missing.push((directory.id(), log));
            }
        }
        for entry in entries {
            let Some((_, index)) = parse_directory(&entry.name) else { continue };
            if !entry.is_directory || entry.name == LOG_DIRECTORY {
                continue;
            }
            let Some(topic) = topic_id_of(directory.disk.as_ref(), &entry.name)? else {
                let synced = directory.recovery_points.offset_of(&entry.name).unwrap_or_default();
                if synced > Offset::ZERO {
                    let what = format!("its partition.metadata is gone, but it was synced up to {synced}");
                    return Err(Fault::Malformed { path: entry.name, what });
                }
                tracing::warn!(log = entry.name, "removed a log that names no topic: it was never used");
                directory.disk.remove_dir(&entry.name)?;
                continue;
            };
            let partition = TopicPartition { topic, partition: index };
            let log = open(directory, &entry.name, partition, LogConfig::default()).await?;
            if let Some(cut) = &log.recovered.cut {
                tracing::warn!(log = entry.name, end = %cut.end, bytes = cut.bytes, reason = ?cut.reason,
                    damage = cut.is_damage, "cut the end of a log");
                if cut.is_damage {
                    self.damaged.entry(directory.id()).or_default().push(partition);
                }
            }
            self.logs.insert(partition, log);
        }
        Ok(())
    }
}

/// Opens a log, or creates it.
pub(super) async fn open(
    directory: &LogDirectory,
    name: &str,
    partition: TopicPartition,
    config: LogConfig,
) -> Result<FoundLog, Fault> {
    let hints = Hints { stop: directory.stop, ..Hints::default() };
    open_with(directory, name, partition, (config, hints)).await
}

/// Closes a log, which waits for all that is under way in it, and opens it again in the same process. It has been closed
/// in order: nothing of it may be missing, and no registration would state it if something were.
pub(super) async fn reopen(
    directory: &LogDirectory,
    partition: TopicPartition,
    log: PartitionLog,
) -> Result<FoundLog, Fault> {
    let (name, config, log_start) = (log.directory().to_owned(), log.config(), log.start());
    log.close().await?;
    let hints = Hints { log_start, stop: Stop::Clean, ..Hints::default() };
    let found = open_with(directory, &name, partition, (config, hints)).await?;
    match found.recovered.cut {
        None => Ok(found),
        Some(cut) => {
            let what = format!("it was closed in order and is cut at {} ({:?})", cut.end, cut.reason);
            Err(Fault::Malformed { path: name, what })
        }
    }
}

async fn open_with(
    directory: &LogDirectory,
    name: &str,
    partition: TopicPartition,
    (config, hints): (LogConfig, Hints),
) -> Result<FoundLog, Fault> {
    let (disk, points) = (Arc::clone(&directory.disk), Arc::clone(&directory.recovery_points));
    let opened = PartitionLog::open_checkpointed(disk, name, Some(partition.topic), config, hints, points);
    let (log, recovered) = opened.await?;
    Ok(FoundLog { directory: directory.id(), log, recovered })
}
