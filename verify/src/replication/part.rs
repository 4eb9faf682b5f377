//! A part of a state: kept once, shared by the states that do not differ in it, with what is known of it.
//!
//! A step changes one broker, perhaps the controller, and a message or two; everything else is the state's before it. So a
//! part is a reference to what is kept for the rest of the process: to count who still refers to it would take longer than
//! to work out what comes of it. The price is memory: at its end a sweep holds the parts of all its bounds.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::OnceLock;

use super::encode::{Canon, Code};
use super::fates::Fates;

/// A kind of part.
pub trait Kind: Sized + 'static {
    /// What may come of such a part.
    type Fate: Sync + 'static;
}

/// A key for events: of each kind a number below 2^56, which may be an address.
pub(super) fn key(kind: u8, what: u64) -> u64 {
    assert!(what < 1 << 56, "numbers of events are small, and addresses have 48 bits or so");
    u64::from(kind) << 56 | what
}

/// A value that is kept once.
pub struct Part<T: Kind>(&'static Kept<T>);

struct Kept<T: Kind> {
    value: T,
    codes: [OnceLock<Code>; 20],
    /// What came of the events that happened to it, each by its key.
    fates: Fates<T::Fate>,
}

impl<T: Kind> Part<T> {
    /// Keeps a value.
    pub(super) fn keep(value: T) -> Self {
        let codes = Default::default();
        Self(Box::leak(Box::new(Kept { value, codes, fates: Fates::new() })))
    }

    /// The value, for as long as the process runs.
    pub(super) fn get(self) -> &'static T {
        &self.0.value
    }

    /// Where it is kept: equal for two parts only if they are one.
    pub(super) fn address(self) -> u64 {
        std::ptr::from_ref(self.0).addr() as u64
    }

    /// Whether both are one.
    pub(super) fn is_shared_with(self, other: Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }

    /// Of several encodings the one, made by `write` the first time.
    pub(super) fn code_of(self, which: usize, write: impl FnOnce(&T, &mut Canon)) -> &'static Code {
        self.0.codes.get(which).expect("one of the encodings").get_or_init(|| {
            let mut canon = Canon::default();
            write(&self.0.value, &mut canon);
            canon.into_code()
        })
    }

    /// What comes of the event with this key; `make` works it out the first time, perhaps on two threads at once.
    pub(super) fn fate(self, key: u64, make: impl FnOnce() -> T::Fate) -> &'static T::Fate {
        let fates = &self.0.fates;
        fates.find(key).unwrap_or_else(|| fates.add(key, Box::leak(Box::new(make()))))
    }
}

impl<T: Kind> Clone for Part<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Kind> Copy for Part<T> {}

impl<T: Kind> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Kind + PartialEq> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(*other) || **self == **other
    }
}

impl<T: Kind + Eq> Eq for Part<T> {}

impl<T: Kind + Hash> Hash for Part<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: Kind + fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
