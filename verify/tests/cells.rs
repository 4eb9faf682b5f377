//! Every order in which threads can meet at a cell that they share without a lock, tried by loom.
//!
//! The cells are the checker's own source files; what they are made of is loom's here (`crate::sync`). It is a program of its
//! own and no unit test, so that the unit tests in those files are left out: `cargo test -p highwater-verify --test cells`.
#![expect(dead_code, reason = "the cells have more to them than what threads share")]
#![expect(clippy::print_stdout, reason = "a program that is its own test harness tells what it tried")]

#[path = "../src/replication/fates.rs"]
mod fates;
#[path = "../src/quorum/number.rs"]
mod number;
#[expect(unused_imports, reason = "those of unit tests, which are left out")]
#[path = "../src/engine/recent.rs"]
mod recent;
#[expect(unused_imports, reason = "those of unit tests, which are left out")]
#[path = "../src/engine/visited.rs"]
mod visited;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

use fates::Fates;
use number::Number;
use recent::Recent;
use visited::Visited;

mod sync {
    pub(crate) use loom::sync::{Mutex, RwLock, RwLockReadGuard, atomic};

    /// The standard library's, of which loom has none: a value that is put there once, under a lock.
    pub(crate) struct OnceLock<T: 'static>(Mutex<Option<&'static T>>);

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self(Mutex::new(None))
        }

        pub(crate) fn get(&self) -> Option<&T> {
            *self.0.lock().expect("no thread panics")
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let mut place = self.0.lock().expect("no thread panics");
            place.get_or_insert_with(|| Box::leak(Box::new(make())))
        }
    }

    impl<T> Default for OnceLock<T> {
        fn default() -> Self {
            Self::new()
        }
    }
}

/// Runs `act` on two threads.
fn twice<T: Send + 'static>(act: impl Fn() -> T + Send + Sync + 'static) -> [T; 2] {
    let act = Arc::new(act);
    let other = thread::spawn({
        let act = Arc::clone(&act);
        move || act()
    });
    let own = act();
    [own, other.join().expect("no thread panics")]
}

/// Of two threads that visit the same states exactly one is told that a state is new, also where their fingerprints want the
/// same place.
fn a_state_is_new_to_one_thread() {
    let visited = Arc::new(Visited::with_room(8, None));
    // Of 16 places both want the second.
    let new = twice(move || {
        [1, 17].map(|fingerprint| u32::from(visited.table(0).expect("no limit").insert(fingerprint)))
    });

    let [[one, two], [other_one, other_two]] = new;
    assert_eq!((one + other_one, two + other_two), (1, 1));
}

/// The same while the table grows, which it does as soon as a thread looks at it that knows of more states than it has room
/// for: nothing is lost that was in it.
fn a_state_is_new_to_one_thread_while_the_table_grows() {
    let visited = Arc::new(Visited::with_room(2, None));
    let known = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&known);
    twice(move || {
        for fingerprint in [1, 5, 9, 13] {
            let table = visited.table(counted.load(Ordering::Relaxed)).expect("no limit");
            if table.insert(fingerprint) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });

    assert_eq!(known.load(Ordering::Relaxed), 4);
}

/// A state that a thread takes for known is one that some thread takes for new: that one visits it. Nothing is known that nobody
/// met.
fn what_is_known_is_visited_by_somebody() {
    let recent = Arc::new(Recent::with_sets(1));
    let shared = Arc::clone(&recent);
    let known = twice(move || [3, 5].map(|identity| shared.has(identity)));

    let [one, other] = known;
    let by_both = one.into_iter().zip(other).any(|(one, other)| one && other);
    assert!(!by_both, "each of the two believes that the other visits it");
    assert!(!recent.has(9));
}

/// Whoever asks for a number gets the one that follows from the value, never a 0 that stands for none.
fn a_number_is_the_one_that_follows() {
    let number = Arc::new(Number::default());
    let got = twice(move || [7, 7].map(|made| number.get_or_make(|| made)));

    assert_eq!(got, [[7, 7], [7, 7]]);
}

/// Two threads that work out what comes of the same event both go on with the one that is kept, and each event has its own,
/// also beyond the first place of the list.
fn a_fate_is_kept_once() {
    let fates = Arc::new(Fates::<u64>::new());
    (0..5).for_each(|key| assert_eq!(*fates.add(key, Box::leak(Box::new(key))), key));
    let kept = Arc::clone(&fates);
    let got = twice(move || {
        [5, 6].map(|key| kept.find(key).unwrap_or_else(|| kept.add(key, Box::leak(Box::new(key)))))
    });

    let [one, other] = got;
    assert_eq!(one, [&5, &6]);
    assert!(one.iter().zip(other).all(|(one, other)| std::ptr::eq(*one, other)), "each is kept once");
    assert!((0..7).all(|key| fates.find(key) == Some(&key)));
}

/// What an order that shows a broken cell ends with.
const SHOWN: &str = "two threads do not agree";

/// A copy of a place in the table of visited states, broken on purpose: it looks whether the place is free, and then takes it.
/// In between another thread may.
struct Careless(AtomicU64);

impl Careless {
    fn insert(&self, fingerprint: u64) -> bool {
        let is_free = self.0.load(Ordering::Relaxed) == 0;
        if is_free {
            self.0.store(fingerprint, Ordering::Relaxed);
        }
        is_free
    }
}

/// The same with the one step that it takes.
struct Careful(AtomicU64);

impl Careful {
    fn insert(&self, fingerprint: u64) -> bool {
        self.0.compare_exchange(0, fingerprint, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn a_place_is_taken_once_in_one_step() {
    let place = Arc::new(Careful(AtomicU64::new(0)));
    let [one, other] = twice(move || place.insert(7));
    assert!(one != other, "{SHOWN}");
}

fn a_place_is_taken_once_in_two_steps() {
    let place = Arc::new(Careless(AtomicU64::new(0)));
    let [one, other] = twice(move || place.insert(7));
    assert!(one != other, "{SHOWN}");
}

/// A copy of the number of a shared value, broken on purpose: that there is one is told apart from which it is, so that whoever
/// sees the one may see the other as it was before.
#[derive(Default)]
struct Halved {
    is_made: AtomicU64,
    made: AtomicU64,
}

impl Halved {
    fn get_or_make(&self, make: impl FnOnce() -> u64) -> u64 {
        if self.is_made.load(Ordering::Relaxed) == 0 {
            self.made.store(make(), Ordering::Relaxed);
            self.is_made.store(1, Ordering::Relaxed);
        }
        self.made.load(Ordering::Relaxed)
    }
}

fn a_number_in_two_halves_is_the_one_that_follows() {
    let number = Arc::new(Halved::default());
    let got = twice(move || number.get_or_make(|| 7));
    assert!(got == [7, 7], "{SHOWN}");
}

/// Its name, what is tried, and how often a thread may be interrupted in between; without a limit where that is in reach.
type Model = (&'static str, fn(), Option<usize>);

const TRIED: &[Model] = &[
    ("a state is new to one thread", a_state_is_new_to_one_thread, None),
    (
        "a state is new to one thread while the table grows",
        a_state_is_new_to_one_thread_while_the_table_grows,
        Some(3),
    ),
    ("what is known is visited by somebody", what_is_known_is_visited_by_somebody, None),
    ("a number is the one that follows", a_number_is_the_one_that_follows, None),
    ("a fate is kept once", a_fate_is_kept_once, Some(3)),
    ("a place is taken once in one step", a_place_is_taken_once_in_one_step, None),
];

/// Cells that are broken: of each an order must be found that shows it, or the others were put to no test.
const REFUTED: &[Model] = &[
    ("a place is taken once in two steps", a_place_is_taken_once_in_two_steps, None),
    ("a number in two halves is the one that follows", a_number_in_two_halves_is_the_one_that_follows, None),
];

fn check((_, model, interruptions): Model) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = interruptions;
    builder.check(model);
}

fn main() {
    for model in TRIED.iter().copied() {
        check(model);
        println!("{}: in every order", model.0);
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    // Each on a thread of its own: nothing of a model that panics is left to the next.
    let refuted = REFUTED.iter().copied().map(|model| std::thread::spawn(move || check(model)).join());
    let refuted: Vec<_> = refuted.collect();
    std::panic::set_hook(usual);
    for (refuted, (name, ..)) in refuted.into_iter().zip(REFUTED) {
        let why = refuted.err().and_then(|why| why.downcast::<String>().ok());
        assert!(why.is_some_and(|why| *why == SHOWN), "{name}: a broken cell, and no order shows it");
        println!("{name}: refuted, as it must be");
    }
}
