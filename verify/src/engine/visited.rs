//! The set of visited states: fingerprint -> fingerprint of the state it was first reached from.
//!
//! Sixteen bytes an entry, in open-addressed tables of which each guards a slice of the fingerprints, so that
//! threads rarely meet.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of tables; the upper bits of a fingerprint choose one.
const SHARDS: usize = 64;

/// A table of (fingerprint, parent); 0 marks a free place.
struct Shard {
    slots: Vec<(u64, u64)>,
    len: usize,
}

impl Shard {
    fn new() -> Self {
        Self { slots: vec![(0, 0); 64], len: 0 }
    }

    /// Index of the fingerprint, or of the free place where it belongs.
    #[expect(clippy::cast_possible_truncation, reason = "only the low bits choose a place")]
    fn place(slots: &[(u64, u64)], fingerprint: u64) -> usize {
        let mask = slots.len() - 1;
        let mut at = fingerprint as usize & mask;
        while slots.get(at).is_some_and(|slot| slot.0 != 0 && slot.0 != fingerprint) {
            at = (at + 1) & mask;
        }
        at
    }

    fn insert(&mut self, fingerprint: u64, parent: u64) -> bool {
        if self.len * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let at = Self::place(&self.slots, fingerprint);
        let slot = self.slots.get_mut(at).expect("a place is within the table");
        if slot.0 == fingerprint {
            return false;
        }
        *slot = (fingerprint, parent);
        self.len += 1;
        true
    }

    fn grow(&mut self) {
        let mut slots = vec![(0, 0); self.slots.len() * 2];
        for slot in self.slots.iter().filter(|slot| slot.0 != 0) {
            let at = Self::place(&slots, slot.0);
            *slots.get_mut(at).expect("a place is within the table") = *slot;
        }
        self.slots = slots;
    }

    fn parent(&self, fingerprint: u64) -> Option<u64> {
        let slot = self.slots.get(Self::place(&self.slots, fingerprint))?;
        (slot.0 == fingerprint).then_some(slot.1)
    }
}

/// The visited states. Shared by the threads of a search.
pub(super) struct Visited {
    shards: Vec<Mutex<Shard>>,
}

impl Visited {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect() }
    }

    fn shard(&self, fingerprint: u64) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(fingerprint >> 58).expect("six bits");
        let shard = self.shards.get(at).expect("there is a shard for every value of six bits");
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the state, first reached from `parent` (0 for an initial state). `false` when it was known.
    pub(super) fn insert(&self, fingerprint: u64, parent: u64) -> bool {
        self.shard(fingerprint).insert(fingerprint, parent)
    }

    /// The fingerprints from an initial state to this one.
    pub(super) fn path_to(&self, fingerprint: u64) -> Vec<u64> {
        let mut path = vec![fingerprint];
        let mut at = fingerprint;
        while let Some(parent) = self.shard(at).parent(at).filter(|parent| *parent != 0) {
            path.push(parent);
            at = parent;
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_new_once_and_keeps_its_first_parent() {
        let visited = Visited::new();
        let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);

        assert!(visited.insert(spread(1), 0));
        assert!((2..20_000).all(|n| visited.insert(spread(n), spread(n / 2))));
        assert!((1..20_000).all(|n| !visited.insert(spread(n), 7)));
        assert_eq!(visited.path_to(spread(5)), [spread(1), spread(2), spread(5)]);
    }
}
