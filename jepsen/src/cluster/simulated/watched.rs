//! What the brokers' runtime monitors have found, over all starts of all of them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use highwater_model::id::NodeId;
use highwater_node::monitor::Monitors;

/// Once in how many steps the whole of a core is looked at: often, since a run is short.
const MONITOR_STEPS: NonZeroU32 = NonZeroU32::new(16).expect("it is not zero");

/// What one runtime monitor has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// How often it was evaluated.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violated: u64,
    /// The first violation, in words.
    pub first: Option<String>,
}

/// Where the monitors of every start count. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Watching(Arc<Mutex<Vec<(NodeId, Monitors)>>>);

impl Watching {
    /// Where the monitors of a broker that starts count.
    pub(super) fn begin(&self, node: NodeId) -> Monitors {
        let monitors = Monitors::every(MONITOR_STEPS);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((node, monitors.clone()));
        monitors
    }

    /// What all have counted together, by property.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<String, Watched> {
        let mut totals: BTreeMap<String, Watched> = BTreeMap::new();
        let started = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (node, monitors) in started.iter() {
            for count in monitors.counts() {
                let total = totals.entry(count.name).or_default();
                total.evaluated += count.evaluated;
                total.violated += count.violated;
                let first =
                    || count.first.map(|found| format!("broker {node}, {}: {}", found.place, found.values));
                total.first = total.first.take().or_else(first);
            }
        }
        totals
    }
}
