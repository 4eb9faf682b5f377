//! What came of the events that happened to a part: a list that only grows, and is read without a lock.

use crate::sync::OnceLock;

/// Number of events whose fates are kept in one place.
const TOGETHER: usize = 6;

/// What came of the events that happened to a part. It only grows, so that it is read without a lock.
pub(super) struct Fates<F: 'static> {
    first: [OnceLock<(u64, &'static F)>; TOGETHER],
    more: OnceLock<Box<Self>>,
}

impl<F> Fates<F> {
    pub(super) fn new() -> Self {
        Self { first: Default::default(), more: OnceLock::new() }
    }

    pub(super) fn find(&self, key: u64) -> Option<&'static F> {
        for place in &self.first {
            let (known, fate) = place.get()?;
            if *known == key {
                return Some(fate);
            }
        }
        self.more.get()?.find(key)
    }

    /// Adds a fate, unless another thread was faster; gives the one that is there now.
    pub(super) fn add(&self, key: u64, made: &'static F) -> &'static F {
        for place in &self.first {
            let (known, fate) = place.get_or_init(|| (key, made));
            if *known == key {
                return fate;
            }
        }
        self.more.get_or_init(|| Box::new(Self::new())).add(key, made)
    }
}
