//! What a run leaves: a directory with its history, its results and how to run it again.
//!
//! `history.jsonl` (events, a line each), `run.json` (what was run), `results.json` (what was found), `nodes/` (the brokers'
//! files) and `traces/` (what they recorded). `jepsen check` needs the first two alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jepsen_judge::availability::Availability;
use jepsen_judge::verdict::{Validity, Verdict};
use serde::{Deserialize, Serialize};

use crate::evidence::{Conclusion, Evidence};
use crate::simulation::Finished;

/// The version of what is written; another one cannot be read.
pub const SCHEMA: &str = "highwater.jepsen/v1";

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The workload.
    pub workload: String,
    /// The kind of cluster.
    pub on: String,
    /// The seed.
    pub seed: u64,
    /// The one line that runs it again.
    pub rerun: String,
    /// Anomalies that break no promise here, each with the reason.
    pub allowed: BTreeMap<String, String>,
    /// How often each kind of fault was injected.
    pub faults: BTreeMap<String, u64>,
    /// Kinds that were asked for and could not be injected, with the reason.
    pub skipped: BTreeMap<String, String>,
    /// Why the run did not go as it must, whatever the history says.
    pub failures: Vec<String>,
    /// What `verify` said of what the brokers left, by its command.
    #[serde(default)]
    pub evidence: BTreeMap<String, Evidence>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultsFile {
    /// [`SCHEMA`].
    pub schema: String,
    /// The conclusion over everything.
    pub validity: Validity,
    /// What each checker found, by its name.
    pub checkers: BTreeMap<String, Verdict>,
    /// What clients had of the cluster.
    pub availability: Availability,
    /// Why the run did not go as it must.
    pub failures: Vec<String>,
    /// What it did not try, or what could not be told of it, without which it is not to be called valid.
    #[serde(default)]
    pub unknown_because: Vec<String>,
    /// What `verify` concluded from what the brokers left, by its command.
    pub evidence: BTreeMap<String, Conclusion>,
}

/// Why a run cannot be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// A file's content.
    #[error("{path} is not a run's: {what}; name a directory that `jepsen run` made")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Something is there already.
    #[error("{path} is there already and not empty: name another directory with --store")]
    Exists {
        /// Where.
        path: PathBuf,
    },
}

/// A run's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Makes a directory for a new run.
    ///
    /// # Errors
    /// If it cannot be made, or holds something.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        let file = |error| StoreError::File { path: dir.to_owned(), error };
        std::fs::create_dir_all(dir).map_err(file)?;
        let mut entries = std::fs::read_dir(dir).map_err(file)?;
        if entries.next().is_some() {
            return Err(StoreError::Exists { path: dir.to_owned() });
        }
        let dir = dir.canonicalize().map_err(file)?;
        Ok(Self { dir })
    }

    /// Makes a directory for a run, or takes one in which there is no history yet.
    ///
    /// # Errors
    /// If it cannot be made, or holds a history.
    pub fn create_or_open(dir: &Path) -> Result<Self, StoreError> {
        let file = |error| StoreError::File { path: dir.to_owned(), error };
        std::fs::create_dir_all(dir).map_err(file)?;
        let store = Self { dir: dir.canonicalize().map_err(file)? };
        if store.history().exists() { Err(StoreError::Exists { path: dir.to_owned() }) } else { Ok(store) }
    }

    /// The directory of a run that was made before.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where the brokers' files are.
    #[must_use]
    pub fn nodes(&self) -> PathBuf {
        self.dir.join("nodes")
    }

    /// Where the brokers record what they do.
    #[must_use]
    pub fn traces(&self) -> PathBuf {
        self.dir.join("traces")
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the history is.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    /// Begins the history.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new_history(&self) -> Result<File, StoreError> {
        let path = self.history();
        File::create_new(&path).map_err(|error| StoreError::File { path, error })
    }

    /// Writes what was run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_run(&self, run: &RunFile) -> Result<(), StoreError> {
        self.write_json("run.json", run)
    }

    /// Reads what was run.
    ///
    /// # Errors
    /// If there is no such file, or it is another's.
    pub fn run(&self) -> Result<RunFile, StoreError> {
        let path = self.dir.join("run.json");
        let text =
            std::fs::read_to_string(&path).map_err(|error| StoreError::File { path: path.clone(), error })?;
        let content = |what: String| StoreError::Content { path: path.clone(), what };
        let run: RunFile = serde_json::from_str(&text).map_err(|error| content(error.to_string()))?;
        match run.schema.as_str() {
            SCHEMA => Ok(run),
            other => Err(content(format!("its schema is {other:?}, not {SCHEMA:?}"))),
        }
    }

    /// Writes what was found.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_results(&self, results: &ResultsFile) -> Result<(), StoreError> {
        self.write_json("results.json", results)
    }

    /// Writes all that a simulated run leaves.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, finished: &Finished) -> Result<(), StoreError> {
        let path = self.history();
        let written = self.new_history()?.write_all(&finished.history);
        written.map_err(|error| StoreError::File { path, error })?;
        self.write_run(&finished.run)?;
        self.write_results(&finished.results)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let (path, partial) = (self.dir.join(name), self.dir.join(format!("{name}.tmp")));
        let file = |error| StoreError::File { path: path.clone(), error };
        let mut text = serde_json::to_string_pretty(value).map_err(|error| file(error.into()))?;
        text.push('\n');
        std::fs::write(&partial, text).map_err(file)?;
        std::fs::rename(&partial, &path).map_err(file)
    }
}
