//! Runtime monitors: the checker's predicates over one node, evaluated while it runs, and counted.
//!
//! A driver holds its core against them after steps; what is evaluated when is said in docs/OPERATIONS.md. A violation is
//! counted, kept with its values, and logged; nothing else happens. What the predicates say is `model`'s.

#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use highwater_model::api::{MonitorCount, MonitorFinding, MonitorPlace};
use highwater_model::id::TopicPartition;
use highwater_model::invariant::{Monitor, Violation};
use highwater_transport::env::{Env, Instant};

/// How often violations of one property in one place are logged at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// So many places are kept apart for each property; what is beyond is one more.
const PLACES_MAX: usize = 64;

/// So many bytes of the values of a violation are kept and logged.
const VALUES_BYTES_MAX: usize = 4 << 10;

/// The counts of a node's monitors. A cheap handle; the default evaluates nothing.
#[derive(Clone, Default)]
pub struct Monitors {
    shared: Option<Arc<Shared>>,
}

/// What the tasks share.
struct Shared {
    interval: NonZeroU32,
    /// By [`Monitor::index`].
    counters: Box<[Counter]>,
}

/// The counts of one monitor.
#[derive(Default)]
struct Counter {
    evaluated: AtomicU64,
    violated: AtomicU64,
    found: Mutex<Found>,
}

/// What a monitor found.
#[derive(Default)]
struct Found {
    first: Option<MonitorFinding>,
    last: Option<MonitorFinding>,
    /// In the order in which they were found; at most [`PLACES_MAX`].
    places: Vec<(Place, Tally)>,
    /// Of all other places.
    elsewhere: Tally,
}

/// Violations in one place, and when that was last told.
#[derive(Default)]
struct Tally {
    violated: u64,
    logged_at: Option<Instant>,
    /// Violations since then.
    unlogged: u64,
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monitors").field(&self.interval()).finish()
    }
}

impl Monitors {
    /// Monitors that look at the whole of a core once in `interval` of its steps.
    #[must_use]
    pub fn every(interval: NonZeroU32) -> Self {
        let counters = Monitor::ALL.iter().map(|_| Counter::default()).collect();
        Self { shared: Some(Arc::new(Shared { interval, counters })) }
    }

    /// Once in how many steps of a core the whole of it is looked at; `None` if nothing is evaluated.
    #[must_use]
    pub fn interval(&self) -> Option<NonZeroU32> {
        self.shared.as_ref().map(|shared| shared.interval)
    }

    /// The counts so far, a row for each monitor, whether it has evaluated anything or not.
    #[must_use]
    pub fn counts(&self) -> Vec<MonitorCount> {
        let row = |shared: &Shared, monitor: &Monitor| {
            let counter = shared.counter(*monitor);
            let found = counter.locked();
            MonitorCount {
                name: monitor.name().to_owned(),
                evaluated: counter.evaluated.load(Ordering::Relaxed),
                violated: counter.violated.load(Ordering::Relaxed),
                first: found.first.clone(),
                last: found.last.clone(),
                places: found.places.iter().map(|(place, tally)| tally.at(*place)).collect(),
                elsewhere: found.elsewhere.violated,
            }
        };
        let rows = self.shared.iter().flat_map(|shared| Monitor::ALL.iter().map(|at| row(shared, at)));
        rows.collect()
    }

    /// For the driver of one core.
    pub(crate) fn core(&self, env: &Env, place: Place) -> CoreMonitor {
        let left = self.interval().map_or(0, NonZeroU32::get);
        CoreMonitor { shared: self.shared.clone(), env: env.clone(), place, left }
    }
}

impl Shared {
    fn counter(&self, monitor: Monitor) -> &Counter {
        self.counters.get(monitor.index()).expect("there is a counter for each monitor")
    }
}

impl Counter {
    fn locked(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn tally_at(&mut self, place: Place) -> &mut Tally {
        let known = self.places.iter().position(|(at, _)| *at == place);
        let at = known.unwrap_or(self.places.len());
        if known.is_none() && at < PLACES_MAX {
            self.places.push((place, Tally::default()));
        }
        self.places.get_mut(at).map_or(&mut self.elsewhere, |(_, tally)| tally)
    }
}

impl Tally {
    fn at(&self, place: Place) -> MonitorPlace {
        MonitorPlace { place: place.to_string(), violated: self.violated }
    }

    /// Counts a violation now, and tells how many were left out of the log before it, if it is to be logged.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.violated += 1;
        if self.logged_at.is_some_and(|at| now < at + LOG_INTERVAL) {
            self.unlogged += 1;
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

/// Where a core is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This partition's replica here.
    Partition(TopicPartition),
    /// The member of the metadata quorum.
    Quorum,
    /// The metadata, as this node has applied it, and the controller upon it.
    Metadata,
    /// The broker's standing in the cluster.
    Broker,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(partition) => write!(f, "partition {partition}"),
            Self::Quorum => f.write_str("metadata quorum"),
            Self::Metadata => f.write_str("metadata"),
            Self::Broker => f.write_str("broker"),
        }
    }
}

/// The monitors of one core. A cheap handle; the driver has one, and so may what acts for it aside.
#[derive(Clone)]
pub(crate) struct CoreMonitor {
    shared: Option<Arc<Shared>>,
    env: Env,
    place: Place,
    /// Steps until the whole of the core is looked at again.
    left: u32,
}

impl fmt::Debug for CoreMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreMonitor").field("place", &self.place).finish_non_exhaustive()
    }
}

impl CoreMonitor {
    /// Whether anything is evaluated.
    pub(crate) fn is_on(&self) -> bool {
        self.shared.is_some()
    }

    /// Counts a step, and tells whether the whole of the core is to be looked at after it: always if it `changed` what is
    /// rarely changed, else once in a while.
    pub(crate) fn is_due(&mut self, changed: bool) -> bool {
        let Some(shared) = &self.shared else { return false };
        self.left = self.left.saturating_sub(1);
        let is_due = changed || self.left == 0;
        if is_due {
            self.left = shared.interval.get();
        }
        is_due
    }

    /// Evaluates a predicate, and counts what comes of it.
    pub(crate) fn check(&self, monitor: Monitor, holds: impl FnOnce() -> Result<(), Violation>) {
        let Some(shared) = &self.shared else { return };
        let counter = shared.counter(monitor);
        counter.evaluated.fetch_add(1, Ordering::Relaxed);
        if let Err(violation) = holds() {
            debug_assert_eq!(violation.property, monitor.name(), "a predicate is counted under its name");
            counter.violated.fetch_add(1, Ordering::Relaxed);
            self.keep(counter, violation);
        }
    }

    fn keep(&self, counter: &Counter, Violation { property, details }: Violation) {
        let values = bounded(details);
        let finding = MonitorFinding { at_ms: self.env.wall_ms(), place: self.place.to_string(), values };
        let mut found = counter.locked();
        if let Some(more) = found.tally_at(self.place).count(self.env.now()) {
            let (at, values) = (&finding.place, &finding.values);
            tracing::error!(property, %at, %values, more, "an invariant does not hold on this node");
        }
        found.first.get_or_insert_with(|| finding.clone());
        found.last = Some(finding);
    }
}

/// What is kept of these values: an answer with those of all properties must fit a frame.
fn bounded(mut values: String) -> String {
    let kept = values.floor_char_boundary(VALUES_BYTES_MAX);
    let left_out = values.len() - kept;
    if left_out > 0 {
        values.truncate(kept);
        values.push_str(&format!(" ... and {left_out} bytes more"));
    }
    values
}
