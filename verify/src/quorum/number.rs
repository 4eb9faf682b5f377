//! A number that follows from a value, worked out when it is first asked for.

use crate::sync::atomic::{AtomicU64, Ordering};

/// The number; 0 until it was asked for. Two threads may work it out at once: they come to the same.
#[derive(Default)]
pub(super) struct Number(AtomicU64);

impl Number {
    /// The number, which `make` makes the first time.
    pub(super) fn get_or_make(&self, make: impl FnOnce() -> u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            0 => {
                let made = make().max(1);
                self.0.store(made, Ordering::Relaxed);
                made
            }
            known => known,
        }
    }
}
