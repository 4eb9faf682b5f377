//! Level after level, on several threads, within limits.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::expand::{Chunk, Shared, Worker};
use super::lent::lent;
use super::outcome::{Limits, Outcome, Progress, Verdict};
use super::trace::counterexample;
use crate::clock::Stopwatch;
use crate::world::Checked;

/// How often the limits are looked at, and progress is told.
const TICK: Duration = Duration::from_millis(100);

/// Levels shorter than this, in chunks, are expanded on the calling thread: there is no gain in sharing them, and little to tell of.
const SHARED_FROM: usize = 4;

type Chunks<W> = Vec<Chunk<W>>;

/// A search under way.
struct Search<'w, W: Checked> {
    shared: Shared<'w, W>,
    limits: Limits,
    clock: Stopwatch,
    depth: u32,
    taken: Vec<u64>,
    /// States of the level that is being expanded, and unique states when it began.
    level: (u64, u64),
    /// The most memory so far, in bytes.
    memory: u64,
    cut: bool,
}

/// Visits every state of `world` that is reachable within `limits`; `progress` is told where the search stands, every
/// tenth of a second.
pub fn search<W: Checked>(world: &W, limits: Limits, progress: &mut dyn FnMut(Progress)) -> Outcome<W> {
    let clock = Stopwatch::start();
    let taken = vec![0; W::KINDS.len()];
    let mut search = Search {
        shared: Shared::new(world, limits),
        limits,
        clock,
        depth: 0,
        taken,
        level: (0, 0),
        memory: 0,
        cut: false,
    };
    let mut worker = Worker::new(&search.shared);
    world.init_states().into_iter().for_each(|state| worker.begin(state));
    let (_, mut frontier) = worker.finish();
    while !frontier.is_empty() && !search.ended() {
        frontier = search.level(frontier, progress);
        search.depth += u32::from(!frontier.is_empty());
    }
    search.outcome()
}

impl<W: Checked> Search<'_, W> {
    fn ended(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    fn progress(&self) -> Progress {
        standing(&self.shared, self.depth, self.level, self.clock)
    }

    /// Expands a whole level and gives the next one.
    fn level(&mut self, frontier: Chunks<W>, progress: &mut dyn FnMut(Progress)) -> Chunks<W> {
        let most = self.limits.threads + lent();
        self.shared.make_room(&frontier, most);
        let states: usize = frontier.iter().map(Vec::len).sum();
        self.level = (states as u64, self.shared.unique.load(Ordering::Relaxed));
        let is_short = frontier.len() < SHARED_FROM;
        let queue = Mutex::new(frontier);
        let parts = if is_short {
            vec![drain(&self.shared, &queue, || self.limits.reached(&self.progress()))]
        } else {
            self.on_threads(most, &queue, progress)
        };
        let mut next = Vec::new();
        for (taken, part) in parts {
            for (sum, more) in self.taken.iter_mut().zip(&taken) {
                *sum += more;
            }
            next.extend(part);
        }
        let at = self.progress();
        self.memory = self.memory.max(at.memory);
        self.cut = self.limits.reached(&at) || self.shared.full.load(Ordering::Relaxed);
        if self.cut {
            self.shared.stop.store(true, Ordering::Relaxed);
        }
        next
    }

    fn on_threads(
        &self,
        threads: usize,
        queue: &Mutex<Chunks<W>>,
        progress: &mut dyn FnMut(Progress),
    ) -> Vec<(Vec<u64>, Chunks<W>)> {
        let (done, finished) = mpsc::channel();
        let shared = &self.shared;
        let mut parts = Vec::new();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let done = done.clone();
                scope.spawn(move || done.send(drain(shared, queue, || false)));
            }
            drop(done);
            loop {
                match finished.recv_timeout(TICK) {
                    Ok(part) => parts.push(part),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {}
                }
                let at = standing(shared, self.depth, self.level, self.clock);
                if self.limits.reached(&at) {
                    shared.stop.store(true, Ordering::Relaxed);
                }
                progress(at);
            }
        });
        parts
    }

    fn outcome(self) -> Outcome<W> {
        let Progress { unique, generated, depth, elapsed, .. } = self.progress();
        let memory = self.memory;
        let seen = self.shared.seen.load(Ordering::Relaxed);
        let found = self.shared.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let verdict = match found {
            Some(found) => {
                let example = counterexample(self.shared.world, &self.shared.visited, found);
                Verdict::Violated(Box::new(example))
            }
            None if self.cut => Verdict::OutOfBudget,
            None => Verdict::Holds,
        };
        let seen = (0..W::sometimes().len()).map(|at| seen & (1 << at) != 0).collect();
        Outcome { verdict, unique, generated, depth, elapsed, memory, taken: self.taken, seen }
    }
}

/// Where a search stands.
fn standing<W: Checked>(
    shared: &Shared<'_, W>,
    depth: u32,
    (level, before): (u64, u64),
    clock: Stopwatch,
) -> Progress {
    let unique = shared.unique.load(Ordering::Relaxed);
    // A level is kept until the next one is there.
    let frontier = (level + unique.saturating_sub(before)) * size_of::<(u64, W::State)>() as u64;
    Progress {
        unique,
        memory: frontier + shared.visited.bytes() + shared.bytes(),
        generated: shared.generated.load(Ordering::Relaxed),
        depth,
        walks: None,
        elapsed: clock.elapsed(),
    }
}

/// Expands chunks until there are none left, or the search has `enough`; gives what was taken, and the next level.
fn drain<W: Checked>(
    shared: &Shared<'_, W>,
    queue: &Mutex<Chunks<W>>,
    enough: impl Fn() -> bool,
) -> (Vec<u64>, Chunks<W>) {
    let mut worker = Worker::new(shared);
    loop {
        let chunk = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match chunk {
            Some(chunk) if !shared.stop.load(Ordering::Relaxed) && !enough() => worker.expand(chunk),
            _ => return worker.finish(),
        }
    }
}
