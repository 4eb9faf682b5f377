//! The set of visited states, and from which state each was first reached.
//!
//! The set is an open-addressed table of fingerprints, into which every thread writes without a lock; it grows between two
//! chunks of a frontier. Whence a state was reached is only asked of a violation, so it is merely written down.

use std::hint::black_box;
use std::sync::PoisonError;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, RwLock, RwLockReadGuard};

/// Places kept free for what a thread adds before it looks again: more than the steps from all states of a chunk.
const ROOM: usize = 1 << 14;

/// A table of fingerprints; 0 marks a free place.
pub(super) struct Table {
    places: Box<[AtomicU64]>,
}

impl Table {
    /// A table of so many places, a power of two.
    fn new(places: usize) -> Self {
        Self { places: std::iter::repeat_with(AtomicU64::default).take(places).collect() }
    }

    /// The places where a fingerprint may be, in order.
    #[expect(clippy::cast_possible_truncation, reason = "the low bits choose a place")]
    fn places(&self, fingerprint: u64) -> impl Iterator<Item = &AtomicU64> {
        let (before, from) = self.places.split_at(fingerprint as usize & (self.places.len() - 1));
        from.iter().chain(before)
    }

    /// Brings the place of a fingerprint near, which takes time while others are brought near, too.
    pub(super) fn approach(&self, fingerprint: u64) {
        let place = self.places(fingerprint).next();
        black_box(place.map(|place| place.load(Ordering::Relaxed)));
    }

    /// Adds a fingerprint. `false` when it was known.
    pub(super) fn insert(&self, fingerprint: u64) -> bool {
        for place in self.places(fingerprint) {
            let mut there = place.load(Ordering::Relaxed);
            if there == 0 {
                match place.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return true,
                    Err(faster) => there = faster,
                }
            }
            if there == fingerprint {
                return false;
            }
        }
        panic!("the table has room for what the threads add before they look again");
    }

    fn grow(&mut self) {
        let more = Self::new(self.places.len() * 2);
        for place in &self.places {
            let fingerprint = place.load(Ordering::Relaxed);
            if fingerprint != 0 {
                more.insert(fingerprint);
            }
        }
        *self = more;
    }
}

/// The fingerprint of a state, and of the state it was first reached from (0 for an initial state).
pub(super) type Way = (u64, u64);

/// The visited states. Shared by the threads of a search.
pub(super) struct Visited {
    table: RwLock<Table>,
    /// Places to keep free for the threads.
    room: usize,
    /// Bytes that it may take, at the moment when it grows included.
    most: u64,
    /// Bytes that the process holds, whatever for: with what the table takes more they count, too.
    held: fn() -> u64,
    /// Those of a level come after those of the levels before it.
    ways: Mutex<Vec<Box<[Way]>>>,
    /// How many there are.
    ways_written: AtomicU64,
}

impl Visited {
    /// An empty set for so many threads, and with room for no more than `most` bytes if there is a limit, beside what the
    /// process has `held` for anything before it grows.
    pub(super) fn new(threads: usize, most: Option<u64>, held: fn() -> u64) -> Self {
        Self { held, ..Self::with_room(ROOM * threads.max(1), most) }
    }

    /// Keeps room for what so many threads add before they look again.
    pub(super) fn keep_room(&mut self, threads: usize) {
        self.room = self.room.max(ROOM * threads);
    }

    /// An empty set that keeps so many places free for all threads together.
    pub(super) fn with_room(room: usize, most: Option<u64>) -> Self {
        let table = Table::new((room * 2).next_power_of_two());
        let most = most.unwrap_or(u64::MAX);
        let (ways, ways_written) = (Mutex::default(), AtomicU64::new(0));
        Self { table: RwLock::new(table), room, most, held: || 0, ways, ways_written }
    }

    /// The table, with room for what comes of a chunk; nothing if it may not grow so far. So many states are `known` to be in it.
    pub(super) fn table(&self, known: u64) -> Option<RwLockReadGuard<'_, Table>> {
        let known = usize::try_from(known).expect("they are in memory");
        let has_room = |table: &Table| {
            let free = table.places.len().saturating_sub(known);
            free >= self.room.max(table.places.len() / 4)
        };
        loop {
            let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
            if has_room(&table) {
                return Some(table);
            }
            drop(table);
            let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
            if !has_room(&table) {
                if !self.may_grow(table.places.len()) {
                    return None;
                }
                table.grow();
            }
        }
    }

    /// Whether it may grow to twice so many places. While it does, those of before are there beside them.
    fn may_grow(&self, places: usize) -> bool {
        let more = places as u64 * 2 * size_of::<AtomicU64>() as u64;
        let unlimited = self.most == u64::MAX;
        unlimited || self.bytes_of(places).max((self.held)()) + more <= self.most
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        let places = self.table.read().unwrap_or_else(PoisonError::into_inner).places.len();
        self.bytes_of(places)
    }

    /// Bytes that it takes with so many places.
    fn bytes_of(&self, places: usize) -> u64 {
        let ways = self.ways_written.load(Ordering::Relaxed);
        places as u64 * size_of::<AtomicU64>() as u64 + ways * size_of::<Way>() as u64
    }

    /// Writes down how states of a level were reached.
    pub(super) fn reached(&self, ways: &[Way]) {
        self.ways_written.fetch_add(ways.len() as u64, Ordering::Relaxed);
        self.ways.lock().unwrap_or_else(PoisonError::into_inner).push(ways.into());
    }

    /// The fingerprints from an initial state to this one.
    pub(super) fn path_to(&self, fingerprint: u64) -> Vec<u64> {
        let mut path = vec![fingerprint];
        let mut at = fingerprint;
        let ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        for (reached, parent) in ways.iter().rev().flatten() {
            if *reached == at && *parent != 0 {
                path.push(*parent);
                at = *parent;
            }
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1)
    }

    #[test]
    fn a_state_is_new_once_however_much_the_table_grows() {
        let visited = Visited::new(1, None, || 0);
        let all = || (1..200_000).map(|n| (n, spread(n)));
        let add = |known, fingerprint| visited.table(known).expect("no limit").insert(fingerprint);

        assert!(all().all(|(n, fingerprint)| add(n, fingerprint)));
        assert!(all().all(|(_, fingerprint)| !add(200_000, fingerprint)));
    }

    #[test]
    fn a_table_does_not_grow_past_what_it_may_take_with_the_old_one_beside_it() {
        let (places, bytes) = (2 * ROOM as u64, 8);
        let grows = |most| Visited::new(1, Some(most), || 0).table(places).is_some();
        let grows_beside = |most| Visited::new(1, Some(most), || 1 << 30).table(places).is_some();

        assert!(Visited::new(1, Some(1), || 0).table(0).is_some(), "it need not grow");
        assert!(!grows(3 * places * bytes - 1));
        assert!(grows(3 * places * bytes));
        assert!(!grows_beside((1 << 30) + 2 * places * bytes - 1), "what the process holds counts");
        assert!(grows_beside((1 << 30) + 2 * places * bytes));
    }

    #[test]
    fn there_is_room_for_threads_that_come_later() {
        let mut visited = Visited::new(1, None, || 0);
        let places = |visited: &Visited| visited.table(0).expect("no limit").places.len();

        visited.keep_room(16);
        assert!(places(&visited) >= 16 * ROOM);
        visited.keep_room(1);
        assert!(places(&visited) >= 16 * ROOM);
    }

    #[test]
    fn two_threads_agree_on_who_was_first() {
        let visited = Visited::new(2, None, || 0);
        let table = || visited.table(0).expect("no limit");
        let add = || (1..20_000).filter(|n| table().insert(spread(*n))).count();
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(add);
            (add(), other.join().expect("it adds"))
        });

        assert_eq!(one + other, 19_999);
    }

    #[test]
    fn the_way_to_a_state_is_found_level_by_level() {
        let visited = Visited::new(1, None, || 0);
        [vec![(1, 0)], vec![(2, 1), (3, 1)], vec![(5, 2)], vec![(6, 3)]]
            .into_iter()
            .for_each(|ways| visited.reached(&ways));

        assert_eq!(visited.path_to(5), [1, 2, 5]);
        assert_eq!(visited.path_to(1), [1]);
    }
}
