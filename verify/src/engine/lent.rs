//! Threads that this process is lent while it searches: by another search of the same sweep, which has come to its end.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many; a search looks at it before each level.
static LENT: AtomicUsize = AtomicUsize::new(0);

/// Lends so many threads to the search of this process, until it ends.
pub fn lend(threads: usize) {
    LENT.fetch_add(threads, Ordering::Relaxed);
}

/// How many threads the search of this process was lent.
pub(super) fn lent() -> usize {
    LENT.load(Ordering::Relaxed)
}
