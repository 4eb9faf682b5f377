//! A value shared between states, with its hash beside it once that was asked for.
//!
//! A step changes one replica and a few messages; the others are the same values in the next state. Sharing them makes a
//! state a handful of pointers to copy, and hashing one a matter of the parts that changed.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::naming::{NAMINGS, Naming};
use super::number::Number;
use crate::engine::Encoder;

/// A shared value and its fingerprint.
#[derive(Clone)]
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    fingerprint: OnceLock<u64>,
    /// What tells it whatever the replicas' names are, and under each naming, at the place where it is: equal parts of two places are
    /// never one.
    traits: Number,
    named: [Number; NAMINGS],
    /// Set once a pool keeps it.
    kept: OnceLock<()>,
    value: T,
}

impl<T> Inner<T> {
    fn new(value: T) -> Self {
        let (traits, named) = (Number::default(), Default::default());
        Self { fingerprint: OnceLock::new(), traits, named, kept: OnceLock::new(), value }
    }
}

/// A copy is made to be changed: it knows nothing of itself yet.
impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self::new(self.value.clone())
    }
}

impl<T> Shared<T> {
    /// Shares a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(Inner::new(value)))
    }

    /// What `tell` tells of it whatever the replicas' names are.
    pub(super) fn traits(&self, tell: impl FnOnce(&T) -> u64) -> u64 {
        self.0.traits.get_or_make(|| tell(&self.0.value))
    }

    /// What `tell` tells of it with the replicas named so.
    pub(super) fn named(&self, naming: Naming, tell: impl FnOnce(&T, Naming) -> u64) -> u64 {
        let place = self.0.named.get(naming.number()).expect("a naming has a number below their count");
        place.get_or_make(|| tell(&self.0.value, naming))
    }
}

impl<T> Shared<T> {
    /// Whether a pool keeps it, as it is.
    pub(super) fn is_kept(&self) -> bool {
        self.0.kept.get().is_some()
    }

    /// Notes that a pool keeps it.
    pub(super) fn note_kept(&self) {
        self.0.kept.get_or_init(|| ());
    }

    /// Whether both are one value in memory.
    pub(super) fn is_one_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T: Clone> Shared<T> {
    /// Changes the value here, and not wherever else it is shared.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let inner = Arc::make_mut(&mut self.0);
        inner.fingerprint = OnceLock::new();
        inner.traits = Number::default();
        inner.named = Default::default();
        inner.kept = OnceLock::new();
        change(&mut inner.value)
    }
}

impl<T: Hash> Shared<T> {
    /// The value's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        *self.0.fingerprint.get_or_init(|| {
            let mut encoder = Encoder::new();
            self.0.value.hash(&mut encoder);
            encoder.fingerprint()
        })
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint());
    }
}

impl<T: Hash + PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_one_with(other) || (self.fingerprint() == other.fingerprint() && **self == **other)
    }
}
impl<T: Hash + Eq> Eq for Shared<T> {}

impl<T: Hash + Ord> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Hash + Ord> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.fingerprint().cmp(&other.fingerprint()).then_with(|| (**self).cmp(&**other))
    }
}

impl<T: Debug> Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_here_alone_and_changes_the_fingerprint() {
        let mut one = Shared::new(1_u64);
        let other = one.clone();
        let before = one.fingerprint();

        one.change(|value| *value = 2);

        assert_eq!((*one, *other), (2, 1));
        assert_ne!(one.fingerprint(), before);
        assert_eq!(other.fingerprint(), before);
    }
}
