//! What an audit says: findings, notes, what could not be judged, and how much was looked at.

use core::fmt;
use std::path::Path;

use serde::Serialize;

/// So many findings are kept, and as many notes; of more only the number is.
const KEPT_MAX: usize = 10_000;

/// Names of files and topics come from outside, and go to a terminal: characters that would steer it are written as escapes.
fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let each = text.chars().map(|one| match one.is_control() {
        true => one.escape_unicode().to_string(),
        false => one.to_string(),
    });
    each.collect()
}

/// Where something is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The node whose directory it is in, if it is in one.
    pub node: Option<u32>,
    /// The file or the directory, as it was given.
    pub file: String,
    /// Where in the file, in bytes from its beginning.
    pub position: Option<u64>,
    /// The offset of the record, or of the first one concerned.
    pub offset: Option<u64>,
}

/// Something that is wrong, or worth knowing, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// Which rule is broken, in few words.
    pub rule: &'static str,
    /// What was seen, against what was expected.
    pub what: String,
}

/// How much was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Log directories.
    pub directories: u64,
    /// Logs in them, the metadata logs among them.
    pub logs: u64,
    /// Segment files.
    pub segments: u64,
    /// Batches whose bytes and place are right.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Snapshots of the metadata.
    pub snapshots: u64,
    /// Pairs of replicas held against each other.
    pub pairs: u64,
    /// Batches that both of such a pair have.
    pub compared: u64,
    /// Records that the history says were acknowledged at acks=all.
    pub acknowledged: u64,
    /// Of those, how often one was found where it belongs: once in each replica that must have it.
    pub found: u64,
    /// Findings beyond those that are kept.
    pub more_findings: u64,
    /// Notes beyond those that are kept.
    pub more_notes: u64,
}

/// How many acknowledged records of its partition a log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The node.
    pub node: u32,
    /// The log's directory.
    pub log: String,
    /// The partition.
    pub partition: u32,
    /// Whether it must have all of them.
    pub must: bool,
    /// So many were acknowledged.
    pub acknowledged: u64,
    /// So many of those are where they belong.
    pub held: u64,
    /// So many lie below where the log begins.
    pub below_start: u64,
}

/// What came of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is as it may be, and worth knowing.
    pub notes: Vec<Finding>,
    /// What was asked and could not be judged.
    pub gaps: Vec<String>,
    /// How many acknowledged records each log of the history's topic holds.
    pub held: Vec<Held>,
    /// How much was looked at.
    pub judged: Tally,
}

impl Report {
    /// Something is wrong.
    pub(super) fn finding(&mut self, place: Place, rule: &'static str, what: String) {
        let what = printable(what);
        keep(&mut self.findings, &mut self.judged.more_findings, Finding { place, rule, what });
    }

    /// Something is worth knowing.
    pub(super) fn note(&mut self, place: Place, rule: &'static str, what: String) {
        let what = printable(what);
        keep(&mut self.notes, &mut self.judged.more_notes, Finding { place, rule, what });
    }

    /// Something could not be judged.
    pub(super) fn gap(&mut self, what: String) {
        if self.gaps.len() < KEPT_MAX {
            self.gaps.push(printable(what));
        }
    }
}

fn keep(kept: &mut Vec<Finding>, more: &mut u64, finding: Finding) {
    if kept.len() < KEPT_MAX {
        kept.push(finding);
    } else {
        *more += 1;
    }
}

impl Place {
    /// A file or directory of a node.
    pub(super) fn of(node: u32, file: &Path) -> Self {
        Self { node: Some(node), file: printable(file.display().to_string()), position: None, offset: None }
    }

    /// This byte of the file.
    pub(super) fn at(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    /// This record.
    pub(super) fn offset(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = self.node {
            write!(f, "node {node}, ")?;
        }
        f.write_str(&self.file)?;
        if let Some(position) = self.position {
            write!(f, ", byte {position}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, rule, what } = self;
        write!(f, "{place}: {rule}\n  {what}")
    }
}
