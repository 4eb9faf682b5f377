//! `verify audit`: is what a stopped cluster has on its disks consistent, and is everything there that was acknowledged?
//!
//! Reads log directories with a reader of its own, written from docs/FORMAT.md: the broker's would share the broker's faults. Nothing
//! is written, and a directory in use is refused. docs/AUDIT.md says what is checked, and what cannot be told.

mod agreement;
mod batch;
mod directory;
mod findings;
mod fold;
mod history;
mod image;
mod inventory;
mod log;
mod partitions;
mod quorum;
mod record;
mod replicas;
mod segment;
mod sequences;
mod snapshot;
mod starts;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

pub use directory::AuditError;
pub use findings::{Finding, Held, Place, Report, Tally};
pub use segment::Unreadable;

use history::Acknowledged;
use image::{Cluster, PartitionView};
use partitions::Partitions;
use quorum::Quorum;

/// What the processes lost when they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// Nothing that was written: they stopped or were killed.
    #[default]
    Nothing,
    /// What was not synced: power was lost.
    Power,
}

/// What is to be audited.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Log directories, or directories with some in them.
    pub places: Vec<PathBuf>,
    /// What clients were told.
    pub history: Option<PathBuf>,
    /// The topic that the history is of; by default the only one that is not internal.
    pub topic: Option<String>,
    /// What may be missing of the ends of logs.
    pub lost: Lost,
    /// Whether the cluster is known to have been level when it stopped: every replica in sync, everything fetched, and nothing written
    /// any more. Then every replica must hold everything, whoever was in sync at the very end. Topics that brokers themselves write to,
    /// those that begin with `__`, are excepted.
    pub is_whole: bool,
}

/// A history, and the topic that it is of.
#[derive(Debug)]
struct Told {
    topic: u128,
    acknowledged: Acknowledged,
}

/// Audits what is in some directories.
///
/// # Errors
/// [`AuditError`], when they cannot be read, are in use, or are none.
pub fn audit(question: &Question) -> Result<Report, AuditError> {
    let mut report = Report::default();
    let directories = directory::find(&question.places)?;
    inventory::judge(&directories, &mut report)?;
    let lost = question.lost;
    let quorum = quorum::judge(&directories, lost, &mut report)?;
    let told = match &question.history {
        Some(history) => told(history, question.topic.as_deref(), &quorum.cluster, &mut report)?,
        None => None,
    };
    let audit = Partitions { directories: &directories, quorum: &quorum, told: told.as_ref(), question };
    audit.judge(&mut report)?;
    if let Some(told) = &told {
        unjudged(told, &quorum, lost, &mut report);
    }
    Ok(report)
}

/// The history, and which topic it is of; nothing if there is no metadata that names topics.
fn told(
    history: &Path,
    topic: Option<&str>,
    cluster: &Cluster,
    report: &mut Report,
) -> Result<Option<Told>, AuditError> {
    let acknowledged = Acknowledged::read(history, report)?;
    let mut names = cluster.topics.iter().filter(|(_, name)| match topic {
        Some(topic) => name.as_str() == topic,
        None => !name.starts_with("__"),
    });
    let found = (names.next(), names.next());
    let known: Vec<&str> = cluster.topics.values().map(String::as_str).collect();
    match (found, topic) {
        ((Some((id, _)), None), _) => Ok(Some(Told { topic: *id, acknowledged })),
        _ if known.is_empty() => {
            report.gap("the metadata names no topic that the history could be of".to_owned());
            Ok(None)
        }
        (_, Some(topic)) => {
            Err(AuditError::Topic(format!("there is no `{topic}`; there are {}", known.join(", "))))
        }
        (_, None) => Err(AuditError::Topic(format!("name one with --topic; there are {}", known.join(", ")))),
    }
}

/// Says of which partitions with acknowledged records nobody can be asked for them.
fn unjudged(told: &Told, quorum: &Quorum, lost: Lost, report: &mut Report) {
    for partition in told.acknowledged.partitions() {
        let view = quorum.cluster.partitions.get(&(told.topic, partition));
        match view {
            None if quorum.is_current => {
                let what = format!(
                    "records of partition {partition} were acknowledged, and the metadata knows of none"
                );
                report.finding(Place::default(), "partition is missing", what);
            }
            Some(PartitionView { void: Some(why), .. }) if quorum.is_current => {
                report.gap(format!("nothing is promised of partition {partition}: {why}"));
            }
            Some(view) if view.members(lost).is_empty() => {
                report.gap(format!("no replica must have all of partition {partition}"));
            }
            _ => {}
        }
    }
}
