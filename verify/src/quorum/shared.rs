//! A value shared between states, with its hash beside it.
//!
//! A step changes one replica and a few messages; the others are the same values in the next state. Sharing them makes a
//! state a handful of pointers to copy, and hashing one a matter of the parts that changed.

use std::cmp::Ordering;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::engine::Encoder;

/// A shared value and its fingerprint.
#[derive(Clone)]
pub struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash> Shared<T> {
    /// Shares a value.
    #[must_use]
    pub fn new(value: T) -> Self {
        let mut encoder = Encoder::new();
        value.hash(&mut encoder);
        Self(Arc::new((encoder.fingerprint(), value)))
    }
}

impl<T: Hash + Clone> Shared<T> {
    /// Changes the value, wherever else it is shared.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.0.1.clone();
        let result = change(&mut value);
        *self = Self::new(value);
        result
    }
}

impl<T> Shared<T> {
    /// The value's fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint());
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.fingerprint() == other.fingerprint() && **self == **other)
    }
}
impl<T: Eq> Eq for Shared<T> {}

impl<T: Ord> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.fingerprint().cmp(&other.fingerprint()).then_with(|| (**self).cmp(&**other))
    }
}

impl<T: Debug> Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
