//! What a search is given, what it shows while it runs, and what it finds.

use std::time::Duration;

use super::process::resident_bytes;
use super::trace::Counterexample;
use crate::world::Checked;

/// What a search may spend.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Worker threads, at least one.
    pub threads: usize,
    /// Time after which the search stops with an honest "not exhausted".
    pub timeout: Option<Duration>,
    /// Unique states after which it stops likewise.
    pub states: Option<u64>,
    /// Bytes that the process holds (where the system does not tell: that the search itself keeps), after which it stops
    /// likewise; it stops before its table would outgrow them.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self { threads, timeout: None, states: None, memory: None }
    }
}

impl Limits {
    /// Whether a search that stands there has spent what it may.
    #[must_use]
    pub fn reached(&self, at: &Progress) -> bool {
        let late = self.timeout.is_some_and(|timeout| at.elapsed >= timeout);
        late || self.states.is_some_and(|states| at.unique >= states)
            || self.memory.is_some_and(|most| at.memory.max(resident_bytes().unwrap_or(0)) >= most)
    }
}

/// Where a search stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Unique states visited.
    pub unique: u64,
    /// Steps taken.
    pub generated: u64,
    /// Length of the level that is being expanded, in steps from an initial state.
    pub depth: u32,
    /// Bytes of what the search itself keeps.
    pub memory: u64,
    /// Walks begun, where it is walks.
    pub walks: Option<u64>,
    /// Time since the start.
    pub elapsed: Duration,
}

/// How a search ended.
pub enum Verdict<W: Checked> {
    /// Every reachable state was visited, and every always-claim holds in it.
    Holds,
    /// A claim is broken.
    Violated(Box<Counterexample<W>>),
    /// A limit was reached; nothing was found up to there.
    OutOfBudget,
}

/// What a search found.
pub struct Outcome<W: Checked> {
    /// How it ended.
    pub verdict: Verdict<W>,
    /// Unique states visited.
    pub unique: u64,
    /// Steps taken.
    pub generated: u64,
    /// Steps from an initial state to the furthest state visited.
    pub depth: u32,
    /// Time it took.
    pub elapsed: Duration,
    /// Bytes of what the search itself kept, at its fullest; 0 where that is not known.
    pub memory: u64,
    /// How often each kind of action was taken, by index of [`Checked::KINDS`].
    pub taken: Vec<u64>,
    /// Whether each sometimes-claim was met, by index of [`Checked::sometimes`].
    pub seen: Vec<bool>,
}

impl<W: Checked> Outcome<W> {
    /// Unique states per second.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a rate is far below 2^64")]
    pub fn rate(&self) -> u64 {
        (u128::from(self.unique) * 1_000_000 / self.elapsed.as_micros().max(1)) as u64
    }

    /// Steps per second.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a rate is far below 2^64")]
    pub fn step_rate(&self) -> u64 {
        (u128::from(self.generated) * 1_000_000 / self.elapsed.as_micros().max(1)) as u64
    }
}

impl<W: Checked> std::fmt::Debug for Verdict<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Holds => f.write_str("Holds"),
            Self::Violated(example) => f.debug_tuple("Violated").field(&example.broken).finish(),
            Self::OutOfBudget => f.write_str("OutOfBudget"),
        }
    }
}

impl<W: Checked> std::fmt::Debug for Outcome<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome")
            .field("verdict", &self.verdict)
            .field("unique", &self.unique)
            .field("generated", &self.generated)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}
