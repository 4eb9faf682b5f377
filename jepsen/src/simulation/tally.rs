//! What happened in a run, or in many: counts by name, which add up.

use std::collections::BTreeMap;

use highwater_transport::env::sim::Counters;
use serde::{Deserialize, Serialize};

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// Adds to a count; nothing leaves a name that is there at 0.
    pub fn add(&mut self, name: &str, more: Option<u64>) {
        *self.0.entry(name.to_owned()).or_default() += more.unwrap_or_default();
    }

    /// Adds all of another.
    pub fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, count)| self.add(name, Some(*count)));
    }

    /// Adds what a simulated network did.
    pub fn add_datagrams(&mut self, counters: &Counters) {
        let dropped = counters.lost + counters.cut + counters.unreachable + counters.refused;
        self.add("datagrams sent", Some(counters.sent));
        self.add("datagrams dropped", Some(dropped));
        self.add("datagrams duplicated", Some(counters.duplicated));
        self.add("datagrams held back", Some(counters.held_back));
    }

    /// A count; 0 of what is not known.
    #[must_use]
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}
