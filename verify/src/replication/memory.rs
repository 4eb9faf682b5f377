//! What was worked out once: equal parts are one.
//!
//! A state is a handful of parts, and far fewer brokers than states differ. So a step is mostly a lookup: of what this
//! broker made of this message before, which is remembered with the part.

use std::fmt;
use std::hash::{Hash, Hasher as _};
use std::sync::{Mutex, PoisonError};

use highwater_model::replication::PartitionView;
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::cluster::Cluster;
use super::network::Envelope;
use super::part::{Kind, Part};
use super::state::{Broker, Ledger};

/// Number of tables that a kind of value is spread over, so that threads rarely meet.
const SHARDS: usize = 32;

/// The parts of a world's states.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) brokers: Pool<Broker>,
    pub(super) clusters: Pool<Cluster>,
    pub(super) envelopes: Pool<Envelope>,
    pub(super) views: Pool<PartitionView>,
    pub(super) ledgers: Pool<Ledger>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

/// Parts with the same hash.
type Alike<T> = SmallVec<[Part<T>; 1]>;

/// Equal values are kept once.
pub(super) struct Pool<T: Kind> {
    shards: [Mutex<FxHashMap<u64, Alike<T>>>; SHARDS],
}

impl<T: Kind> Default for Pool<T> {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl<T: Kind + Hash + PartialEq> Pool<T> {
    /// The part that is equal to `value`.
    pub(super) fn share(&self, value: T) -> Part<T> {
        let mut hasher = FxHasher::default();
        value.hash(&mut hasher);
        let hash = hasher.finish();
        let at = usize::try_from(hash >> 59).expect("five bits");
        let shard = self.shards.get(at).expect("there is a table for every value of five bits");
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = shard.entry(hash).or_default();
        if let Some(part) = alike.iter().find(|part| ***part == value) {
            return *part;
        }
        let part = Part::keep(value);
        alike.push(part);
        part
    }
}
