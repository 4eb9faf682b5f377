//! What a checker says of a history.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The most cases of one anomaly that are kept in words.
pub const EXAMPLES_MAX: usize = 16;

/// Whether a history is as promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// It is.
    Valid,
    /// It cannot be told: the search was given up, or the history does not say enough.
    Unknown,
    /// It is not.
    Invalid,
}

/// One case of an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Case {
    /// The log or register.
    pub key: u32,
    /// What is wrong, with the values.
    pub words: String,
    /// Indexes of the events that show it, the first of which may come before all others.
    pub events: Vec<u64>,
}

/// All cases of one anomaly.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cases {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<Case>,
}

/// What one checker found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its conclusion.
    pub validity: Validity,
    /// Anomalies that break a promise, by name.
    pub anomalies: BTreeMap<String, Cases>,
    /// Anomalies that break none here, by name.
    pub allowed: BTreeMap<String, Cases>,
    /// Why it cannot be told, if it cannot.
    pub unknown_because: Option<String>,
    /// What was looked at, by name, so that one sees that it was something.
    pub counts: BTreeMap<String, u64>,
}

impl Cases {
    /// Adds a case.
    pub(crate) fn add(&mut self, case: impl FnOnce() -> Case) {
        self.count += 1;
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(case());
        }
    }
}

impl Verdict {
    /// The conclusion that follows: invalid with any anomaly, else unknown with a reason.
    #[must_use]
    pub fn of(
        anomalies: BTreeMap<String, Cases>,
        allowed: BTreeMap<String, Cases>,
        unknown_because: Option<String>,
        counts: BTreeMap<String, u64>,
    ) -> Self {
        let validity = match &unknown_because {
            _ if !anomalies.is_empty() => Validity::Invalid,
            Some(_) => Validity::Unknown,
            None => Validity::Valid,
        };
        Self { validity, anomalies, allowed, unknown_because, counts }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
        })
    }
}
