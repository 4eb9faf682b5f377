//! What was met lately: most steps lead to a state that was just met, and to know that is cheaper than to encode it.

use std::hint::black_box;

use crate::sync::atomic::{AtomicU64, Ordering};

/// Places for an identity: they share a cache line.
const WAYS: usize = 2;

/// Number of sets of places at first, and at most: powers of two.
const SETS: (usize, usize) = (1 << 11, 1 << 23);

/// The identities that were met last. Shared by the threads of a search: what one has met, it visits.
pub(super) struct Recent {
    sets: Box<[[AtomicU64; WAYS]]>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self::with_sets(SETS.0)
    }

    pub(super) fn with_sets(sets: usize) -> Self {
        let set = || std::array::from_fn(|_| AtomicU64::new(0));
        Self { sets: std::iter::repeat_with(set).take(sets).collect() }
    }

    /// Makes room for what the expansion of a level of so many states meets. It forgets everything when it grows.
    pub(super) fn fit(&mut self, states: usize) {
        let sets = (states * 4).next_power_of_two().min(SETS.1);
        if sets > self.sets.len() {
            *self = Self::with_sets(sets);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        size_of_val(&*self.sets) as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits choose a set")]
    fn set(&self, identity: u64) -> &[AtomicU64; WAYS] {
        self.sets.get(identity as usize & (self.sets.len() - 1)).expect("a mask is within")
    }

    /// Brings the places of an identity near, which takes time while others are brought near, too.
    pub(super) fn approach(&self, identity: u64) {
        let [newer, _] = self.set(identity);
        black_box(newer.load(Ordering::Relaxed));
    }

    /// Whether this identity is known; from here on it is.
    pub(super) fn has(&self, identity: u64) -> bool {
        let [newer, older] = self.set(identity);
        let last = newer.load(Ordering::Relaxed);
        if last == identity || older.load(Ordering::Relaxed) == identity {
            return true;
        }
        older.store(last, Ordering::Relaxed);
        newer.store(identity, Ordering::Relaxed);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_known_until_others_take_its_places() {
        let recent = Recent::new();
        let rivals = [1, 2].map(|n| 7 + n * SETS.0 as u64);
        let met = [7, 7, rivals[0], 7, rivals[1], 7].map(|identity| recent.has(identity));

        assert_eq!(met, [false, true, false, true, false, false]);
    }

    #[test]
    fn with_more_room_identities_no_longer_share_their_places() {
        let mut recent = Recent::new();
        recent.fit(SETS.0);
        let more = [0, 1, 2].map(|n| 7 + n * SETS.0 as u64);

        assert!(more.iter().all(|identity| !recent.has(*identity)));
        assert!(more.iter().all(|identity| recent.has(*identity)));
    }
}
