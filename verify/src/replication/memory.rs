//! What was worked out once: equal parts are one, and what a part makes of an event is looked up the second time.
//!
//! A state is a handful of parts, and far fewer brokers than states differ. So a step is mostly a lookup: of what this
//! broker made of this message before. Nothing is forgotten while the world lives, so that the address of a part is as
//! good as the part.

use std::fmt;
use std::hash::{Hash, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHasher};
use smallvec::SmallVec;

use super::cluster::{Cluster, Request, Ruling};
use super::network::Envelope;
use super::part::Part;
use super::state::Broker;
use super::turn::{Event, Turn};

/// Number of tables that a kind of value is spread over, so that threads rarely meet.
const SHARDS: usize = 32;

/// The parts of a world's states, and what was made of them.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) brokers: Pool<Broker>,
    pub(super) clusters: Pool<Cluster>,
    pub(super) envelopes: Pool<Envelope>,
    pub(super) turns: Table<Event, Turn>,
    pub(super) rulings: Table<Request, Ruling>,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

type Shards<V> = [Mutex<FxHashMap<u64, V>>; SHARDS];

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Looks at the entry of a hash, in the table that is meant for it.
fn with<V: Default, R>(shards: &Shards<V>, hash: u64, look: impl FnOnce(&mut V) -> R) -> R {
    let at = usize::try_from(hash >> 59).expect("five bits");
    let shard = shards.get(at).expect("there is a table for every value of five bits");
    look(shard.lock().unwrap_or_else(PoisonError::into_inner).entry(hash).or_default())
}

/// Equal values are kept once.
pub(super) struct Pool<T> {
    shards: Shards<SmallVec<[Part<T>; 1]>>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { shards: Shards::default() }
    }
}

impl<T: Hash + PartialEq> Pool<T> {
    /// The part that is equal to `value`.
    pub(super) fn share(&self, value: T) -> Part<T> {
        with(&self.shards, hash_of(&value), |known| {
            if let Some(part) = known.iter().find(|part| ***part == value) {
                return part.clone();
            }
            let part = Part::new(value);
            known.push(part.clone());
            part
        })
    }
}

/// A part by its address, what happened to it, and what came of that.
type Known<K, V> = (usize, K, Arc<V>);

/// What came of what happened to a part.
pub(super) struct Table<K, V> {
    shards: Shards<SmallVec<[Known<K, V>; 1]>>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { shards: Shards::default() }
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// What comes of `event` at the shared `part`; `make` works it out the first time, perhaps on two threads at once.
    pub(super) fn look_up<T>(&self, part: &Part<T>, event: K, make: impl FnOnce(&K) -> V) -> Arc<V> {
        let address = part.address();
        let hash = hash_of(&(address, &event));
        let find = |known: &SmallVec<[Known<K, V>; 1]>| {
            let same = known.iter().find(|(part, other, _)| *part == address && *other == event);
            same.map(|(_, _, made)| Arc::clone(made))
        };
        if let Some(made) = with(&self.shards, hash, |known| find(known)) {
            return made;
        }
        let made = Arc::new(make(&event));
        with(&self.shards, hash, |known| known.push((address, event, Arc::clone(&made))));
        made
    }
}
