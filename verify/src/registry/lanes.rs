//! The bounds of a sweep, each in a process of its own, in one lane or in two at once.
//!
//! Two searches on one thread each come further than one on two threads, which wait for one another. So one lane goes up from
//! the smallest bound, and the other down from the largest, which would else be left alone at the end. Once there are no more bounds
//! for one of them, the other has its threads, too.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::child::Leash;
use super::{Request, Screen, apart, left};
use crate::bounds::Bounds as _;
use crate::clock::Stopwatch;
use crate::engine::{Limits, search};
use crate::report::{Conclusion, Run};
use crate::world::Checked;

/// The profile whose bounds may each want all the memory that there is.
const ALONE: &str = "deep";

/// How many bounds of a sweep are searched at once.
pub(super) fn lanes(request: &Request) -> usize {
    let shares_memory = request.limits.memory.is_none() && request.profile() != ALONE;
    if shares_memory && request.limits.threads >= 2 { 2 } else { 1 }
}

/// A sweep under way.
struct Sweeping<'a, W: Checked> {
    program: &'a Path,
    sweep: &'a [W::Bounds],
    limits: Limits,
    clock: Stopwatch,
    /// The places of bounds that nobody has begun: from the first to before the second.
    open: Mutex<(usize, usize)>,
    /// Of each lane.
    leashes: Vec<Leash>,
    told: Mutex<Told<'a>>,
}

/// What was told so far, and to whom.
struct Told<'a> {
    screen: &'a mut dyn Screen,
    /// The searches that have ended, each with its place in the sweep.
    ended: Vec<(usize, Run)>,
}

/// Searches the bounds of a sweep in so many lanes, one or two, until one shows a violation; gives what was searched, in the order
/// of the sweep.
pub(super) fn swept<W: Checked>(
    program: &Path,
    sweep: &[W::Bounds],
    limits: Limits,
    lanes: usize,
    clock: Stopwatch,
    screen: &mut dyn Screen,
) -> Vec<Run> {
    let sweeping = Sweeping::<W>::new(program, sweep, limits, lanes, clock, screen);
    std::thread::scope(|scope| {
        for lane in 0..lanes {
            let sweeping = &sweeping;
            scope.spawn(move || sweeping.lane(lane));
        }
    });
    let Told { mut ended, .. } = sweeping.told.into_inner().unwrap_or_else(PoisonError::into_inner);
    ended.sort_by_key(|(at, _)| *at);
    ended.into_iter().map(|(_, run)| run).collect()
}

impl<'a, W: Checked> Sweeping<'a, W> {
    fn new(
        program: &'a Path,
        sweep: &'a [W::Bounds],
        limits: Limits,
        lanes: usize,
        clock: Stopwatch,
        screen: &'a mut dyn Screen,
    ) -> Self {
        // What one lane has no more use for goes to the other; an odd one is not worth the difference.
        let limits = Limits { threads: (limits.threads / lanes).max(1), ..limits };
        let leashes = (0..lanes).map(|_| Leash::default()).collect();
        let told = Mutex::new(Told { screen, ended: Vec::new() });
        Self { program, sweep, limits, clock, open: Mutex::new((0, sweep.len())), leashes, told }
    }

    fn told(&self) -> MutexGuard<'_, Told<'a>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next bound that nobody has begun, from the one end or from the other.
    fn next(&self, downwards: bool) -> Option<usize> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = *open;
        if from >= to {
            return None;
        }
        *open = if downwards { (from, to - 1) } else { (from + 1, to) };
        Some(if downwards { to - 1 } else { from })
    }

    /// Searches bound after bound, until the lanes are cut off or there is none left; then the other lane has the threads of this one.
    fn lane(&self, lane: usize) {
        let Some(leash) = self.leashes.get(lane) else { return };
        let _cut = CutInPanic(&self.leashes);
        self.take_bounds(lane, leash);
        let others = (0..).zip(&self.leashes).filter(|(other, _)| *other != lane);
        others.for_each(|(_, other)| other.lend(self.limits.threads));
    }

    fn take_bounds(&self, lane: usize, leash: &Leash) {
        while let Some(at) = self.next(lane > 0) {
            let Some(bounds) = self.sweep.get(at).filter(|_| !leash.is_cut()) else { return };
            let run = self.search(bounds, leash);
            let is_violated = run.conclusion == Conclusion::Violated;
            if leash.is_cut() && !is_violated {
                return;
            }
            let mut told = self.told();
            told.screen.end(&run);
            told.ended.push((at, run));
            if is_violated {
                self.leashes.iter().for_each(Leash::cut);
            }
        }
    }

    fn search(&self, bounds: &W::Bounds, leash: &Leash) -> Run {
        self.told().screen.begin(W::NAME, &bounds.line());
        let world = W::new(bounds.clone(), None);
        let limits = left(self.limits, self.clock);
        if limits.timeout == Some(Duration::ZERO) {
            // One for which no time is left is not worth a process.
            return Run::new(&world, None, &search(&world, limits, &mut |_| {}));
        }
        let hear = |line: &str| self.told().screen.said(line);
        apart::searched(self.program, &world, None, limits, Some(leash), &hear)
    }
}

/// Lets no other lane go on when one panics: the panic is heard once all have ended.
struct CutInPanic<'a>(&'a [Leash]);

impl Drop for CutInPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.iter().for_each(Leash::cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Progress;
    use crate::quorum::{Bounds, World};

    /// Counts what begins, and keeps what is said.
    #[derive(Default)]
    struct Noted {
        begun: usize,
        said: Vec<String>,
    }

    impl Screen for Noted {
        fn begin(&mut self, _: &str, _: &str) {
            self.begun += 1;
        }
        fn progress(&mut self, _: Progress) {}
        fn said(&mut self, line: &str) {
            self.said.push(line.to_owned());
        }
        fn end(&mut self, _: &Run) {}
    }

    fn sweep(voters: &[u8]) -> Vec<Bounds> {
        let of = |voters: &u8| Bounds::default().read([format!("voters={voters}").as_str()]).expect("bounds");
        voters.iter().map(of).collect()
    }

    /// Sweeps bounds of so many voters with a program that stands in for a search.
    fn swept_by(program: &str, voters: &[u8]) -> (Vec<Conclusion>, Noted) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(program);
        let (limits, mut noted) = (Limits { threads: 2, ..Limits::default() }, Noted::default());
        let runs = swept::<World>(&program, &sweep(voters), limits, 2, Stopwatch::start(), &mut noted);
        (runs.iter().map(|run| run.conclusion).collect(), noted)
    }

    fn sweeping<'a>(sweep: &'a [Bounds], screen: &'a mut Noted) -> Sweeping<'a, World> {
        let limits = Limits { threads: 2, ..Limits::default() };
        Sweeping::new(Path::new("/bin/false"), sweep, limits, 2, Stopwatch::start(), screen)
    }

    #[test]
    fn two_lanes_meet_and_take_each_bound_once() {
        let (sweep, mut noted) = (sweep(&[1, 2, 3, 4, 5, 6]), Noted::default());
        let sweeping = sweeping(&sweep, &mut noted);

        let taken: Vec<_> = (0..9).map_while(|at| sweeping.next(at % 3 == 1)).collect();

        assert_eq!(taken, [0, 5, 1, 2, 4, 3]);
    }

    #[test]
    fn a_violation_in_either_lane_ends_the_other() {
        for voters in [[1, 2, 3], [3, 2, 1]] {
            let (concluded, noted) = swept_by("breaks-at-three-voters", &voters);

            assert_eq!((concluded, noted.begun), (vec![Conclusion::Violated], 2), "{voters:?}");
        }
    }

    #[test]
    fn the_lane_that_is_left_has_all_threads() {
        for voters in [[1, 2, 3], [3, 2, 1]] {
            let (concluded, noted) = swept_by("waits-for-threads-at-three-voters", &voters);

            assert_eq!((concluded, noted.said), (vec![Conclusion::Holds; 3], vec!["lent 1".to_owned()]));
        }
    }

    #[test]
    fn a_lane_that_is_cut_off_begins_nothing_more() {
        let (sweep, mut noted) = (sweep(&[1, 2]), Noted::default());
        let sweeping = sweeping(&sweep, &mut noted);
        sweeping.leashes.iter().for_each(Leash::cut);

        sweeping.lane(0);
        sweeping.lane(1);

        assert!(sweeping.told().ended.is_empty());
        assert_eq!(noted.begun, 0);
    }

    #[test]
    fn bounds_that_may_want_all_memory_are_searched_one_by_one() {
        let asked = |profile: &str, threads, memory| {
            let limits = Limits { threads, memory, ..Limits::default() };
            lanes(&Request { profile: Some(profile.to_owned()), limits, ..Request::default() })
        };

        assert_eq!(asked("standard", 2, None), 2);
        assert_eq!(
            [asked("deep", 2, None), asked("quick", 1, None), asked("quick", 2, Some(1 << 30))],
            [1; 3]
        );
    }
}
