//! The timers that a core has armed, by name.
//!
//! How long a timer runs is the driver's to say; what its expiry means is the core's.

use std::collections::{BTreeMap, BTreeSet};

/// Armed timers and when they expire. A timer that is armed again starts anew.
#[derive(Debug)]
pub(crate) struct Timers<T, I> {
    armed: BTreeMap<T, I>,
    order: BTreeSet<(I, T)>,
}

impl<T: Ord + Copy, I: Ord + Copy> Timers<T, I> {
    /// No timer is armed.
    pub(crate) const fn new() -> Self {
        Self { armed: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// Arms `timer` to expire at `at`.
    pub(crate) fn arm(&mut self, timer: T, at: I) {
        self.disarm(timer);
        self.armed.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Takes `timer` back; nothing happens if it is not armed.
    pub(crate) fn disarm(&mut self, timer: T) {
        if let Some(at) = self.armed.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Whether `timer` is armed.
    pub(crate) fn is_armed(&self, timer: T) -> bool {
        self.armed.contains_key(&timer)
    }

    /// The timers that are armed, in the order of their names.
    pub(crate) fn armed(&self) -> impl Iterator<Item = T> + '_ {
        self.armed.keys().copied()
    }

    /// When the next timer expires.
    pub(crate) fn next(&self) -> Option<I> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out one timer that has expired by `now`, the earliest first.
    pub(crate) fn expired(&mut self, now: I) -> Option<T> {
        let (at, timer) = self.order.first().copied()?;
        if at > now {
            return None;
        }
        self.disarm(timer);
        Some(timer)
    }
}

/// Lets messages that have come pass before a timer that has run out: a task that was held up for a while would
/// otherwise take a peer for silent whose words lie in its inbox. Only so many pass.
#[derive(Debug, Default)]
pub(crate) struct Deferral {
    passed: u32,
}

impl Deferral {
    /// How many messages pass before one timer at most.
    const MESSAGES_MAX: u32 = 64;

    /// Whether a timer is to be taken in this turn.
    pub(crate) fn is_due(&mut self, has_expired: bool, is_inbox_empty: bool) -> bool {
        let is_due = has_expired && (is_inbox_empty || self.passed >= Self::MESSAGES_MAX);
        self.passed = if has_expired && !is_due { self.passed + 1 } else { 0 };
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_in_the_order_of_their_deadlines_and_once() {
        let mut timers = Timers::new();
        timers.arm("late", 9);
        timers.arm("early", 3);
        timers.arm("gone", 1);
        timers.disarm("gone");

        assert_eq!(timers.next(), Some(3));
        assert_eq!(timers.expired(2), None);
        assert_eq!(timers.expired(9), Some("early"));
        assert_eq!(timers.expired(9), Some("late"));
        assert_eq!(timers.expired(9), None);
    }

    #[test]
    fn messages_pass_before_a_timer_but_not_for_ever() {
        let mut deferral = Deferral::default();

        assert!(!deferral.is_due(false, false));
        assert!(deferral.is_due(true, true));
        let passed = (0..).take_while(|_| !deferral.is_due(true, false)).count();
        assert_eq!(passed, 64);
        assert!(!deferral.is_due(true, false));
    }

    #[test]
    fn arming_again_starts_anew() {
        let mut timers = Timers::new();
        timers.arm("timer", 3);
        timers.arm("timer", 7);

        assert_eq!(timers.expired(5), None);
        assert!(timers.is_armed("timer"));
        assert_eq!(timers.expired(7), Some("timer"));
        assert!(!timers.is_armed("timer"));
    }
}
