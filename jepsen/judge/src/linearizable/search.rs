//! The search of Wing and Gong with Lowe's memory: place one operation after the other, and go back where that fails.
//!
//! What remains is a list of beginnings and ends in the order of the history. Any operation that begins before the first end
//! that remains may come next. Reaching an end means that its operation should have been placed by then: the last choice is
//! undone. A set of placed operations together with a value is tried once; it is remembered by a hash of 128 bits, so that two
//! would have to collide among some 2⁶⁴ for a wrong answer.

use std::collections::BTreeSet;

use super::Effect;

/// An operation to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Index of the event in which it began.
    pub(super) invoked: u64,
    /// Index of the event in which it ended; none if it need never take effect.
    pub(super) completed: Option<u64>,
    pub(super) effect: Effect,
}

/// Whether there is an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    Yes,
    /// There is none.
    No {
        /// Operations in the longest order that was found.
        placed: usize,
        /// The first that cannot follow it.
        blocking: Attempt,
    },
    /// It was not found out in the steps allowed.
    GivenUp,
}

/// A beginning or an end in the list. Links are places in the list; 0 is before the first, the last is after all.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: usize,
    after: usize,
    /// The operation; for a beginning, the place of its end too, if it has one.
    of: usize,
    end: Option<usize>,
    is_begin: bool,
}

struct Search {
    attempts: Vec<Attempt>,
    links: Vec<Link>,
    /// Operations that must be placed and are not.
    left: usize,
    /// The beginnings placed so far, each with the value before it.
    placed: Vec<(usize, Option<u64>)>,
    value: Option<u64>,
    /// Hash of the set of those placed.
    set: u128,
    tried: BTreeSet<(u128, Option<u64>)>,
    longest: (usize, Option<usize>),
}

/// Says whether the attempts on one register, which begins unwritten, have an order, and after how many steps that was known.
pub(super) fn search(attempts: Vec<Attempt>, steps_max: u64) -> (Fits, u64) {
    let mut search = Search::new(attempts);
    let mut steps = 0;
    let mut at = search.first();
    while search.left > 0 {
        if steps == steps_max {
            return (Fits::GivenUp, steps);
        }
        steps += 1;
        let next = match search.links.get(at) {
            Some(link) if link.is_begin => search.try_next(at, *link),
            _ => search.undo(at),
        };
        match next {
            Some(next) => at = next,
            None => return (search.failure(), steps),
        }
    }
    (Fits::Yes, steps)
}

impl Search {
    fn new(attempts: Vec<Attempt>) -> Self {
        let mut events: Vec<(u64, usize, bool)> = Vec::new();
        for (of, attempt) in attempts.iter().enumerate() {
            events.push((attempt.invoked, of, true));
            events.extend(attempt.completed.map(|completed| (completed, of, false)));
        }
        events.sort_unstable();
        let mut end_of = vec![None; attempts.len()];
        for (place, (_, of, is_begin)) in (1..).zip(&events) {
            if let Some(end) = end_of.get_mut(*of).filter(|_| !is_begin) {
                *end = Some(place);
            }
        }
        let link = |(place, (_, of, is_begin)): (usize, &(u64, usize, bool))| Link {
            before: place - 1,
            after: place + 1,
            of: *of,
            end: end_of.get(*of).copied().flatten(),
            is_begin: *is_begin,
        };
        let edge = Link { before: 0, after: 1, of: usize::MAX, end: None, is_begin: false };
        let mut links = vec![edge];
        links.extend((1..).zip(&events).map(link));
        links.push(Link { before: events.len(), after: events.len() + 1, ..edge });
        let left = attempts.iter().filter(|attempt| attempt.completed.is_some()).count();
        Self {
            attempts,
            links,
            left,
            placed: Vec::new(),
            value: None,
            set: 0,
            tried: BTreeSet::new(),
            longest: (0, None),
        }
    }

    /// What remains first.
    fn first(&self) -> usize {
        self.links.first().map_or(0, |edge| edge.after)
    }

    /// Places the operation that begins here, if it can be and that has not been tried; gives where to go on.
    fn try_next(&mut self, at: usize, link: Link) -> Option<usize> {
        let effect = self.attempts.get(link.of)?.effect;
        let set = self.set ^ scatter(link.of);
        match effect.on(self.value) {
            Some(value) if self.tried.insert((set, value)) => {
                self.placed.push((at, self.value));
                (self.value, self.set) = (value, set);
                self.left -= usize::from(link.end.is_some());
                self.unlink(at);
                link.end.into_iter().for_each(|end| self.unlink(end));
                Some(self.first())
            }
            _ => Some(link.after),
        }
    }

    /// An end was reached whose operation is not placed: the last placed one cannot be where it is. Gives where to go on.
    fn undo(&mut self, at: usize) -> Option<usize> {
        if self.placed.len() >= self.longest.0 {
            let blocking = self.links.get(at).map(|link| link.of).filter(|of| *of < self.attempts.len());
            self.longest = (self.placed.len(), blocking.or(self.longest.1));
        }
        let (begin, value) = self.placed.pop()?;
        let link = *self.links.get(begin)?;
        link.end.into_iter().for_each(|end| self.relink(end));
        self.relink(begin);
        self.left += usize::from(link.end.is_some());
        self.value = value;
        self.set ^= scatter(link.of);
        Some(link.after)
    }

    fn failure(&self) -> Fits {
        let (placed, blocking) = self.longest;
        let blocking = blocking.and_then(|of| self.attempts.get(of)).copied();
        let blocking =
            blocking.or_else(|| self.attempts.iter().copied().find(|attempt| attempt.completed.is_some()));
        blocking.map_or(Fits::GivenUp, |blocking| Fits::No { placed, blocking })
    }

    fn unlink(&mut self, at: usize) {
        let Some(Link { before, after, .. }) = self.links.get(at).copied() else { return };
        self.links.get_mut(before).into_iter().for_each(|link| link.after = after);
        self.links.get_mut(after).into_iter().for_each(|link| link.before = before);
    }

    fn relink(&mut self, at: usize) {
        let Some(Link { before, after, .. }) = self.links.get(at).copied() else { return };
        self.links.get_mut(before).into_iter().for_each(|link| link.after = at);
        self.links.get_mut(after).into_iter().for_each(|link| link.before = at);
    }
}

/// A number of 128 bits that depends on every bit of `of` (SplitMix64, twice).
fn scatter(of: usize) -> u128 {
    let mix = |seed: u64| {
        let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let low = mix(of as u64);
    (u128::from(mix(low ^ 0x5851_f42d_4c95_7f2d)) << 64) | u128::from(low)
}
