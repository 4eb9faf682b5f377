//! A part of a state, shared between the states that do not differ in it, with its encoding once that has been asked for.
//!
//! A step changes one broker, perhaps the controller, and a message or two; everything else is the state's before it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::encode::{Canon, Code};

/// A shared value.
pub struct Part<T>(Arc<Coded<T>>);

struct Coded<T> {
    value: T,
    codes: [OnceLock<Code>; 4],
}

impl<T> Part<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(Coded { value, codes: Default::default() }))
    }

    /// Where it is kept: equal for two parts only if they are one, as long as one of them lives.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether both are one.
    pub(super) fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The encoding, made by `write` the first time.
    pub(super) fn code(&self, write: impl FnOnce(&T, &mut Canon)) -> &Code {
        self.code_of(0, write)
    }

    /// Of two encodings the one, made by `write` the first time.
    pub(super) fn code_of(&self, which: usize, write: impl FnOnce(&T, &mut Canon)) -> &Code {
        self.0.codes.get(which).expect("one of the encodings").get_or_init(|| {
            let mut canon = Canon::default();
            write(&self.0.value, &mut canon);
            canon.into_code()
        })
    }
}

impl<T> Clone for Part<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: PartialEq> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl<T: Hash> Hash for Part<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
