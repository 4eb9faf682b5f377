//! Engines to explore a world with: the own search, and stateright's checkers beside it.
//!
//! Both count unique states by the same encodings ([`Held`]), so that where both finish their counts must be equal: whatever a
//! reduction leaves out is left out by the world, not by an engine. What stateright's cannot do is said where it shows:
//! claims that only a step can break or meet are not evaluated ([`Seen::Step`], and always-claims without `holds`), kinds of
//! actions are not counted, a violation's trace need not be the shortest, and of the limits only time is kept.

use std::str::FromStr;
use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model as _, Path};

use super::PANIC;
use super::outcome::{Limits, Outcome, Progress, Verdict};
use super::quiet::quietly;
use super::search::search;
use super::trace::{Counterexample, aftermath, in_words};
use crate::clock::Stopwatch;
use crate::world::{Always, Broken, Checked, Seen, Sometimes};

mod held;

use held::{Act, Held, Position};

#[cfg(test)]
mod tests;

/// How often a checker of stateright's is asked where it stands.
const TICK: Duration = Duration::from_millis(5);

/// Something that explores a world within limits.
pub trait Engine {
    /// Explores the world that `make` makes; `progress` is told now and then where it stands.
    fn explore<W: Checked>(
        &self,
        make: &dyn Fn() -> W,
        limits: Limits,
        progress: &mut dyn FnMut(Progress),
    ) -> Outcome<W>;
}

/// The own search, breadth first.
#[derive(Clone, Copy, Debug)]
pub struct Own;

/// Stateright's checkers.
#[derive(Clone, Copy, Debug)]
pub struct Stateright {
    /// Whether depth first; else breadth first.
    pub depth_first: bool,
}

/// The engines that there are, by their names on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineName {
    /// `own`
    #[default]
    Own,
    /// `stateright-bfs`
    StaterightBfs,
    /// `stateright-dfs`
    StaterightDfs,
}

impl EngineName {
    /// Every engine.
    pub const ALL: [Self; 3] = [Self::Own, Self::StaterightDfs, Self::StaterightBfs];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::StaterightBfs => "stateright-bfs",
            Self::StaterightDfs => "stateright-dfs",
        }
    }

    /// Whether it evaluates every claim, counts what was taken, and keeps every limit.
    #[must_use]
    pub fn sees_steps(self) -> bool {
        self == Self::Own
    }

    /// Whether it evaluates this claim.
    #[must_use]
    pub fn judges<W: Checked>(self, claim: &Always<W>) -> bool {
        self.sees_steps() || claim.holds.is_some()
    }

    /// Whether it can tell that this was met.
    #[must_use]
    pub fn notices<W: Checked>(self, claim: &Sometimes<W>) -> bool {
        self.sees_steps() || matches!(claim.seen, Seen::State(_))
    }
}

impl FromStr for EngineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|engine| engine.name() == text);
        found.ok_or_else(|| format!("there is no engine `{text}`; there are {}", known()))
    }
}

impl Engine for EngineName {
    fn explore<W: Checked>(
        &self,
        make: &dyn Fn() -> W,
        limits: Limits,
        progress: &mut dyn FnMut(Progress),
    ) -> Outcome<W> {
        match self {
            Self::Own => Own.explore(make, limits, progress),
            Self::StaterightBfs => Stateright { depth_first: false }.explore(make, limits, progress),
            Self::StaterightDfs => Stateright { depth_first: true }.explore(make, limits, progress),
        }
    }
}

impl Engine for Own {
    fn explore<W: Checked>(
        &self,
        make: &dyn Fn() -> W,
        limits: Limits,
        progress: &mut dyn FnMut(Progress),
    ) -> Outcome<W> {
        search(&make(), limits, progress)
    }
}

impl Engine for Stateright {
    fn explore<W: Checked>(
        &self,
        make: &dyn Fn() -> W,
        limits: Limits,
        progress: &mut dyn FnMut(Progress),
    ) -> Outcome<W> {
        let held = Held(make());
        // As the own search's, the time runs once the world is made.
        let clock = Stopwatch::start();
        // With one thread stateright never looks at the time.
        let threads = if limits.timeout.is_some() { limits.threads.max(2) } else { limits.threads };
        let builder = held.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures);
        let builder = match limits.timeout {
            Some(timeout) => builder.timeout(timeout),
            None => builder,
        };
        if self.depth_first {
            wait(builder.spawn_dfs(), limits, clock, progress)
        } else {
            wait(builder.spawn_bfs(), limits, clock, progress)
        }
    }
}

/// Waits for a checker of stateright's, and turns what it found into an outcome.
fn wait<W: Checked>(
    checker: impl Checker<Held<W>>,
    limits: Limits,
    clock: Stopwatch,
    progress: &mut dyn FnMut(Progress),
) -> Outcome<W> {
    while !checker.is_done() {
        std::thread::sleep(TICK);
        progress(standing(&checker, clock));
    }
    let checker = checker.join();
    let Progress { unique, generated, depth, elapsed, .. } = standing(&checker, clock);
    let found = checker.discoveries();
    let claims = W::always().iter().map(|claim| claim.name).chain([PANIC]);
    let broken = claims.into_iter().find_map(|claim| found.get(claim).map(|path| (claim, path)));
    let late = limits.timeout.is_some_and(|timeout| elapsed >= timeout);
    let verdict = match broken {
        Some((claim, path)) => Verdict::Violated(Box::new(example(&checker.model().0, claim, path.clone()))),
        None if late => Verdict::OutOfBudget,
        None => Verdict::Holds,
    };
    let met = |claim: &Sometimes<W>| matches!(claim.seen, Seen::State(_)) && found.contains_key(claim.name);
    let seen = W::sometimes().iter().map(met).collect();
    Outcome { verdict, unique, generated, depth, elapsed, memory: 0, taken: vec![0; W::KINDS.len()], seen }
}

fn standing<W: Checked>(checker: &impl Checker<Held<W>>, clock: Stopwatch) -> Progress {
    let starts = checker.model().init_states().len();
    let number = |count: usize| u64::try_from(count).expect("a count of states");
    Progress {
        unique: number(checker.unique_state_count()),
        generated: number(checker.state_count().saturating_sub(starts)),
        depth: u32::try_from(checker.max_depth().saturating_sub(1)).unwrap_or(u32::MAX),
        elapsed: clock.elapsed(),
        ..Progress::default()
    }
}

fn example<W: Checked>(
    world: &W,
    claim: &'static str,
    path: Path<Position<W::State>, Act<W::Action>>,
) -> Counterexample<W> {
    let (mut states, mut actions, mut failed) = (Vec::new(), Vec::new(), None);
    for (position, act) in path.into_vec() {
        match position {
            Position::At(state, _) => states.push(state),
            Position::Failed(message) => failed = Some(message),
        }
        if let Some(Act::Take(action)) = act {
            actions.push(action);
        }
    }
    let last = states.last().expect("a path begins in a state");
    let broken = match failed.map_or_else(|| quietly(|| world.judge(last)), Err) {
        Err(values) => Broken { claim: PANIC, values },
        Ok(Err(broken)) if broken.claim == claim => broken,
        Ok(_) => Broken { claim, values: String::new() },
    };
    let start = states.swap_remove(0);
    let (steps, end) = in_words(world, &start, &actions);
    Counterexample { broken, actions, start, steps, aftermath: aftermath(world, end) }
}
