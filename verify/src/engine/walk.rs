//! Random walks: far past the bounds that can be exhausted, one state at a time.
//!
//! A walk begins in an initial state and takes enabled actions by chance until there is none left, or it is long enough.
//! Nothing is remembered but the way back, so nothing is encoded and no reduction is needed. The walks are numbered, and
//! each draws its chances from the seed and its own number: threads merely take numbers, and what they bring back is added up
//! in the order of the numbers. So a seed and a number of steps stand for the same walks on any number of threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::outcome::{Limits, Outcome, Progress, Verdict};
use super::trace::{Counterexample, aftermath, in_words};
use crate::clock::Stopwatch;
use crate::world::{Broken, Checked};

mod dice;
mod shorten;
mod stroll;

use shorten::shorten;
use stroll::{Stroll, Walker};

#[cfg(test)]
mod tests;

/// How often the limits are looked at, and progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Which walks to take.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What all chances are drawn from.
    pub seed: u64,
    /// Number of the first walk.
    pub first: u64,
    /// Steps of all walks together; the walk that reaches them is the last. `None`: until the time is over.
    pub steps: Option<u64>,
    /// Steps after which a walk ends, even if it could go on.
    pub length_max: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, first: 0, steps: Some(1_000_000), length_max: 1_000 }
    }
}

/// What walks found.
#[derive(Debug)]
pub struct Walked<W: Checked> {
    /// As of a search: `generated` are the steps, `depth` is the longest walk, and no state is counted as unique. `Holds` is
    /// that all the steps were taken and broke nothing; that nothing can break is more than walks ever show.
    pub outcome: Outcome<W>,
    /// Walks begun.
    pub walks: u64,
    /// Where the violation was met.
    pub sighting: Option<Sighting>,
}

/// Where walks met a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Number of the walk.
    pub walk: u64,
    /// Steps taken until then, in all walks up to this one.
    pub steps: u64,
    /// Steps of this walk, before it was shortened.
    pub length: u32,
}

/// Walks through `world` as planned; `progress` is told where the walks stand, every tenth of a second.
pub fn walk<W: Checked>(
    world: &W,
    plan: Plan,
    limits: Limits,
    progress: &mut dyn FnMut(Progress),
) -> Walked<W> {
    let clock = Stopwatch::start();
    let shared = Shared::new(world, plan);
    let (done, finished) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        for _ in 0..limits.threads.max(1) {
            let (done, shared) = (done.clone(), &shared);
            scope.spawn(move || {
                shared.work();
                drop(done);
            });
        }
        drop(done);
        while finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            let at = shared.standing(clock);
            if limits.timeout.is_some_and(|timeout| at.elapsed >= timeout) {
                shared.late.store(true, Ordering::Relaxed);
            }
            progress(at);
        }
    });
    shared.walked(clock)
}

/// What a walk brings back.
struct Finding<W: Checked> {
    steps: u32,
    /// How often each kind of action was taken.
    taken: Vec<u64>,
    /// Bit per sometimes-claim that was met.
    seen: u64,
    broken: Option<Sight<W>>,
}

/// A broken claim, and the whole way to it.
struct Sight<W: Checked> {
    broken: Broken,
    start: W::State,
    actions: Vec<W::Action>,
}

/// The walks so far, added up in the order of their numbers.
struct Sum<W: Checked> {
    /// Number of the walk that is added next.
    next: u64,
    /// Walks that wait for one before them.
    waiting: BTreeMap<u64, Finding<W>>,
    steps: u64,
    longest: u32,
    taken: Vec<u64>,
    seen: u64,
    found: Option<(Sighting, Sight<W>)>,
}

impl<W: Checked> Sum<W> {
    fn add(&mut self, finding: Finding<W>) {
        let Finding { steps, taken, seen, broken } = finding;
        self.steps += u64::from(steps);
        self.longest = self.longest.max(steps);
        self.seen |= seen;
        self.taken.iter_mut().zip(&taken).for_each(|(sum, more)| *sum += more);
        if let Some(sight) = broken {
            let sighting = Sighting { walk: self.next, steps: self.steps, length: steps };
            self.found = Some((sighting, sight));
        }
        self.next += 1;
    }

    /// Adds what waits for walks that were never handed in, for they were given up: what was met in one of them counts as much.
    fn settle(&mut self, plan: &Plan) {
        while let Some((number, finding)) = self.waiting.pop_first() {
            if self.is_done(plan) {
                return;
            }
            self.next = number;
            self.add(finding);
        }
    }

    fn is_done(&self, plan: &Plan) -> bool {
        self.found.is_some() || plan.steps.is_some_and(|steps| self.steps >= steps)
    }
}

/// What the threads share.
struct Shared<'w, W: Checked> {
    world: &'w W,
    plan: Plan,
    /// The next number to take.
    number: AtomicU64,
    /// Least number of a walk that broke a claim: what comes after it is not needed.
    broke: AtomicU64,
    /// Whether the walks that were added are enough.
    done: AtomicBool,
    /// Whether the time is over.
    late: AtomicBool,
    /// Steps of finished walks, for the progress alone.
    steps: AtomicU64,
    sum: Mutex<Sum<W>>,
}

impl<'w, W: Checked> Shared<'w, W> {
    fn new(world: &'w W, plan: Plan) -> Self {
        let sum = Sum {
            next: plan.first,
            waiting: BTreeMap::new(),
            steps: 0,
            longest: 0,
            taken: vec![0; W::KINDS.len()],
            seen: 0,
            found: None,
        };
        Self {
            world,
            plan,
            number: AtomicU64::new(plan.first),
            broke: AtomicU64::new(u64::MAX),
            done: AtomicBool::new(false),
            late: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            sum: Mutex::new(sum),
        }
    }

    fn sum(&self) -> MutexGuard<'_, Sum<W>> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this walk is of no use any more.
    fn is_over(&self, number: u64) -> bool {
        let flag = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        flag(&self.late) || flag(&self.done) || number > self.broke.load(Ordering::Relaxed)
    }

    /// Takes walk after walk.
    fn work(&self) {
        let _others = EndsWithMe(&self.late);
        let mut walker = Walker::new(self.world);
        loop {
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            if self.is_over(number) {
                return;
            }
            let stroll = Stroll { seed: self.plan.seed, number, length_max: self.plan.length_max };
            let finding = walker.walk(stroll, &|| self.is_over(number));
            self.hand_in(number, finding);
        }
    }

    fn hand_in(&self, number: u64, finding: Finding<W>) {
        self.steps.fetch_add(u64::from(finding.steps), Ordering::Relaxed);
        if finding.broken.is_some() {
            self.broke.fetch_min(number, Ordering::Relaxed);
        }
        let mut sum = self.sum();
        sum.waiting.insert(number, finding);
        while !sum.is_done(&self.plan) {
            let next = sum.next;
            let Some(finding) = sum.waiting.remove(&next) else { return };
            sum.add(finding);
        }
        self.done.store(true, Ordering::Relaxed);
    }

    fn standing(&self, clock: Stopwatch) -> Progress {
        let generated = self.steps.load(Ordering::Relaxed);
        let walks = self.number.load(Ordering::Relaxed) - self.plan.first;
        Progress { generated, walks: Some(walks), elapsed: clock.elapsed(), ..Progress::default() }
    }

    fn walked(self, clock: Stopwatch) -> Walked<W> {
        let Self { world, plan, sum, .. } = self;
        let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        sum.settle(&plan);
        // Walks that may take any number of steps are enough whenever the time is over, but for none at all.
        let complete = sum.is_done(&plan) || (plan.steps.is_none() && sum.steps > 0);
        let (sighting, verdict) = match sum.found {
            Some((sighting, sight)) => (Some(sighting), Verdict::Violated(Box::new(example(world, sight)))),
            None if complete => (None, Verdict::Holds),
            None => (None, Verdict::OutOfBudget),
        };
        let outcome = Outcome {
            verdict,
            unique: 0,
            generated: sum.steps,
            depth: sum.longest,
            elapsed: clock.elapsed(),
            memory: 0,
            taken: sum.taken,
            seen: (0..W::sometimes().len()).map(|at| sum.seen & (1 << at) != 0).collect(),
        };
        Walked { outcome, walks: sum.next - plan.first, sighting }
    }
}

/// A thread that panics never hands in its walk, and those after it would wait for it for ever: all come to their end.
struct EndsWithMe<'a>(&'a AtomicBool);

impl Drop for EndsWithMe<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn example<W: Checked>(world: &W, sight: Sight<W>) -> Counterexample<W> {
    let Sight { broken, start, actions } = shorten(world, sight);
    let (steps, end) = in_words(world, &start, &actions);
    Counterexample { broken, actions, start, steps, aftermath: aftermath(world, end) }
}
