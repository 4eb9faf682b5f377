//! Whether registers behaved like one copy: every operation takes effect at one moment between its beginning and its end.
//!
//! Registers are independent of one another, so each is searched by itself ([`search`](self)). What nobody knows the end of may
//! take effect at any time after its beginning, or never.

mod search;

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Operation, Phase, What};
use crate::verdict::{Case, Cases, Verdict};

use self::search::{Attempt, Fits, search};

/// The name of the only anomaly.
pub const NONLINEARIZABLE: &str = "nonlinearizable";

/// Judges reads, writes and conditional writes of registers.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    attempts: BTreeMap<u32, Vec<Attempt>>,
    counts: BTreeMap<String, u64>,
}

/// What an operation did to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Read(Option<u64>),
    Write(Option<u64>),
    CompareAndSet(Option<u64>, u64),
}

impl Effect {
    /// The value of the register afterwards; none if it cannot happen to a register of this value.
    fn on(self, value: Option<u64>) -> Option<Option<u64>> {
        match self {
            Self::Read(seen) => (seen == value).then_some(value),
            Self::Write(written) => Some(written),
            Self::CompareAndSet(expected, written) => (expected == value).then_some(Some(written)),
        }
    }

    /// What it requires the register to hold.
    fn observes(self) -> Option<Option<u64>> {
        match self {
            Self::Read(seen) => Some(seen),
            Self::Write(_) => None,
            Self::CompareAndSet(expected, _) => Some(expected),
        }
    }

    /// What it leaves in the register.
    fn leaves(self) -> Option<Option<u64>> {
        match self {
            Self::Read(_) => None,
            Self::Write(written) => Some(written),
            Self::CompareAndSet(_, written) => Some(Some(written)),
        }
    }
}

impl Checker {
    /// Takes the next operation, in any order.
    pub fn take(&mut self, operation: &Operation) {
        let (key, effect) = match &operation.what {
            What::Read(read) => (read.key, Effect::Read(read.value)),
            What::Write(write) => (write.key, Effect::Write(write.value)),
            What::CompareAndSet(cas) => (cas.key, Effect::CompareAndSet(cas.expected, cas.value)),
            What::Send(_)
            | What::Poll(_)
            | What::Assign(_)
            | What::End(_)
            | What::Drained(_)
            | What::Crash
            | What::Fault(_) => return,
        };
        let name = match operation.outcome {
            Phase::Ok => "done",
            Phase::Fail => "failed",
            Phase::Invoke | Phase::Info => "unknown",
        };
        *self.counts.entry(name.to_owned()).or_default() += 1;
        let of_kind = match (&effect, operation.outcome) {
            (Effect::Read(_), Phase::Ok) => Some("reads done"),
            (Effect::Write(_), Phase::Ok) => Some("writes done"),
            (Effect::CompareAndSet(..), Phase::Ok) => Some("compare-and-sets done"),
            _ => None,
        };
        of_kind.into_iter().for_each(|name| *self.counts.entry(name.to_owned()).or_default() += 1);
        let is_known = operation.outcome == Phase::Ok;
        // What failed did nothing, and a read that nobody was told the value of says nothing.
        if operation.outcome == Phase::Fail || (!is_known && matches!(effect, Effect::Read(_))) {
            return;
        }
        let completed = is_known.then_some(operation.completed);
        let attempt = Attempt { invoked: operation.invoked, completed, effect };
        self.attempts.entry(key).or_default().push(attempt);
    }

    /// Judges everything that was taken; gives up on a register after so many steps of the search.
    #[must_use]
    pub fn finish(mut self, steps_max: u64) -> Verdict {
        let (mut cases, mut given_up, mut steps) = (Cases::default(), Vec::new(), 0);
        self.counts.insert("registers".to_owned(), self.attempts.len() as u64);
        for (key, attempts) in self.attempts {
            let (fits, taken) = search(without_unobserved(attempts), steps_max);
            steps += taken;
            match fits {
                Fits::Yes => {}
                Fits::GivenUp => given_up.push(key),
                Fits::No { placed, blocking } => cases.add(|| Case {
                    key,
                    words: format!(
                        "{:?} fits nowhere between events {} and {} after the {placed} operations that do",
                        blocking.effect,
                        blocking.invoked,
                        blocking.completed.unwrap_or(u64::MAX),
                    ),
                    events: [blocking.invoked].into_iter().chain(blocking.completed).collect(),
                }),
            }
        }
        self.counts.insert("steps".to_owned(), steps);
        let unknown = (!given_up.is_empty())
            .then(|| format!("the search of registers {given_up:?} was given up after {steps_max} steps"));
        let anomalies =
            [(NONLINEARIZABLE.to_owned(), cases)].into_iter().filter(|(_, cases)| cases.count > 0);
        Verdict::of(anomalies.collect(), BTreeMap::new(), unknown, self.counts)
    }
}

/// Leaves out writes of unknown outcome whose value nobody needs: an order with one of them is also one without it, since
/// no operation between it and the next write needs what it left.
fn without_unobserved(attempts: Vec<Attempt>) -> Vec<Attempt> {
    let observed: BTreeSet<Option<u64>> =
        attempts.iter().filter_map(|attempt| attempt.effect.observes()).collect();
    let is_needed = |attempt: &Attempt| {
        attempt.completed.is_some() || attempt.effect.leaves().is_some_and(|left| observed.contains(&left))
    };
    attempts.into_iter().filter(is_needed).collect()
}

#[cfg(test)]
mod tests;
