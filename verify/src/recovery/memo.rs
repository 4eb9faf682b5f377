//! Where recovery runs have succeeded: shared by the threads of a search, and only ever added to.

use std::sync::{Mutex, PoisonError};

use rustc_hash::FxHashSet;

/// Number of tables, so that threads rarely meet.
const SHARDS: usize = 64;

/// Pairs of a state and a turn, each as a number, from which a run is known to succeed.
pub(super) struct Memo {
    shards: [Mutex<FxHashSet<u64>>; SHARDS],
}

impl Memo {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, key: u64) -> &Mutex<FxHashSet<u64>> {
        self.shards.get((key >> 58) as usize).expect("there is a table for every value of six bits")
    }

    pub(super) fn has(&self, key: u64) -> bool {
        self.shard(key).lock().unwrap_or_else(PoisonError::into_inner).contains(&key)
    }

    pub(super) fn add(&self, keys: &[u64]) {
        for key in keys {
            self.shard(*key).lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
        }
    }
}
