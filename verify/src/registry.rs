//! The worlds that the command line knows, with their types forgotten.

use std::marker::PhantomData;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use highwater_model::fault::Bug;

use crate::bounds::Bounds as _;
use crate::clock::Stopwatch;
use crate::engine::{Engine as _, EngineName, Limits, Plan, Progress, Verdict, Walked, search, walk};
use crate::recovery::Recovering;
use crate::replay::{self, ReplayError, Replayed};
use crate::report::{Conclusion, MutantRow, Run, Sweep, Walks};
use crate::story::file::Recorded;
use crate::world::{Always, Checked, Mutant};

/// Every world, in the order in which `all` checks them.
#[must_use]
pub fn worlds() -> Vec<Box<dyn World>> {
    vec![of::<crate::quorum::World>(), of::<crate::metadata::World>(), of::<crate::replication::World>()]
}

/// Every world with the claims of its recovery runs, in the same order.
#[must_use]
pub fn recoveries() -> Vec<Box<dyn World>> {
    vec![
        of::<Recovering<crate::quorum::World>>(),
        of::<Recovering<crate::metadata::World>>(),
        of::<Recovering<crate::replication::World>>(),
    ]
}

/// Name and rule of every claim of every world.
#[must_use]
pub fn claims() -> Vec<(&'static str, &'static str)> {
    worlds()
        .iter()
        .chain(&recoveries())
        .flat_map(|world| world.claims())
        .map(|claim| (claim.name, claim.rule))
        .collect()
}

mod apart;
mod asked;
mod child;
mod lanes;
pub mod shard;
mod slices;

use asked::asked;
pub use asked::{Request, USUAL, WALK};
use child::Beyond;
pub use child::with_parent;
use lanes::{lanes, swept};
use shard::Listed;
use slices::Sliced;

/// A claim, for a list of them.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// `machine/claim_in_the_present_tense`.
    pub name: &'static str,
    /// Its id in the protocol rules.
    pub rule: &'static str,
    /// Of what it is a claim: `state`, `step`, or `end` of a recovery run.
    pub evaluated: &'static str,
    /// What shows that it was put to the test.
    pub exercised_by: &'static str,
}

impl Claim {
    fn of<W: Checked>(claim: &Always<W>) -> Self {
        let of_state = if claim.holds.is_some() { "state" } else { "step" };
        let evaluated = if claim.name.starts_with("liveness/") { "end" } else { of_state };
        Self { name: claim.name, rule: claim.rule, evaluated, exercised_by: claim.exercised_by }
    }
}

/// Where a command shows what it is doing.
pub trait Screen: Send {
    /// A search begins.
    fn begin(&mut self, model: &str, bounds: &str);
    /// Where it stands.
    fn progress(&mut self, at: Progress);
    /// What a process of its own says of a search, for people.
    fn said(&mut self, line: &str);
    /// It ended.
    fn end(&mut self, run: &Run);
}

/// A world whose types are forgotten.
pub trait World {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Key and meaning of its bounds.
    fn fields(&self) -> &'static [(&'static str, &'static str)];

    /// A profile of it, as shards need to know it.
    fn listed(&self, profile: &str) -> Listed;

    /// Explores a bound, only to see how long it takes.
    ///
    /// # Errors
    /// When the bounds cannot be read.
    fn time(&self, bounds: &[String], engine: EngineName, limits: Limits) -> anyhow::Result<Timing>;

    /// Whether [`Self::check`] would do what `request` asks for.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn accept(&self, request: &Request) -> anyhow::Result<()>;

    /// Checks what `request` asks for.
    ///
    /// # Errors
    /// When what is asked for makes no sense: the bounds cannot be read, there is no such profile, or the planted bug is none of this world's.
    fn check(&self, request: &Request, screen: &mut dyn Screen) -> anyhow::Result<Sweep>;

    /// Every claim about states, steps and ends.
    fn claims(&self) -> Vec<Claim>;

    /// Each planted bug with the claims of which one must break.
    fn expected(&self) -> Vec<(Bug, &'static [&'static str])>;

    /// Replays a counterexample of this world on the code of this build, with its planted bug unless `sound`.
    ///
    /// # Errors
    /// When the file names bounds, a bug, a claim or an action that there is not.
    fn replay(&self, recorded: &Recorded, sound: bool) -> Result<Replayed, ReplayError>;

    /// Whether this world has a mutant for the bug.
    fn catches(&self, bug: Bug) -> bool;

    /// Searches for each planted bug, or for `only` one; each in a process of its own, if `program` is this one and may run itself:
    /// so each has all the memory of its limits.
    fn mutants(
        &self,
        only: Option<Bug>,
        program: Option<&Path>,
        limits: Limits,
        screen: &mut dyn Screen,
    ) -> Vec<MutantRow>;

    /// Serves stateright's Explorer on the loopback interface, until the process ends.
    ///
    /// # Errors
    /// When the bounds cannot be read, or the port is taken.
    fn explore(&self, bounds: &[String], port: u16) -> anyhow::Result<()>;
}

/// The world `W`, registered.
struct Of<W>(PhantomData<W>);

/// Registers a world.
#[must_use]
pub fn of<W: Checked>() -> Box<dyn World> {
    Box::new(Of::<W>(PhantomData))
}

/// The limits less what was spent.
fn left(limits: Limits, clock: Stopwatch) -> Limits {
    Limits { timeout: limits.timeout.map(|timeout| timeout.saturating_sub(clock.elapsed())), ..limits }
}

fn mutant_of<W: Checked>(bug: Bug) -> Option<Mutant<W::Bounds>> {
    W::mutants().into_iter().find(|mutant| mutant.bug == bug)
}

/// How long an engine took, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Unique states.
    pub unique: u64,
    /// Steps taken.
    pub generated: u64,
    /// Seconds.
    pub seconds: f64,
    /// Whether every state was visited.
    pub exhausted: bool,
}

fn run<W: Checked>(
    bounds: W::Bounds,
    planted: Option<Bug>,
    engine: EngineName,
    limits: Limits,
    screen: &mut dyn Screen,
) -> Run {
    screen.begin(W::NAME, &bounds.line());
    let world = W::new(bounds.clone(), planted);
    let outcome = match engine {
        EngineName::Own => search(&world, limits, &mut |at| screen.progress(at)),
        EngineName::StaterightBfs | EngineName::StaterightDfs => {
            engine.explore(&|| W::new(bounds.clone(), planted), limits, &mut |at| screen.progress(at))
        }
    };
    let run = Run::new(&world, planted, &outcome);
    screen.end(&run);
    run
}

/// The part of a plan, and of the limits, that one of so many bounds may have.
fn share_of(plan: Plan, limits: Limits, bounds: usize) -> (Plan, Limits) {
    let bounds = u32::try_from(bounds.max(1)).expect("a sweep is short");
    let steps = plan.steps.map(|steps| steps.div_ceil(u64::from(bounds)));
    let timeout = limits.timeout.map(|timeout| timeout / bounds);
    (Plan { steps, ..plan }, Limits { timeout, ..limits })
}

/// Walks within each of these bounds, until one shows a violation.
fn walks<W: Checked>(
    sweep: Vec<W::Bounds>,
    request: &Request,
    plan: Plan,
    screen: &mut dyn Screen,
) -> Vec<Run> {
    let clock = Stopwatch::start();
    let mut runs: Vec<Run> = Vec::new();
    let (share, _) = share_of(plan, request.limits, sweep.len());
    for (at, bounds) in sweep.iter().enumerate() {
        let (_, limits) = share_of(plan, left(request.limits, clock), sweep.len() - at);
        screen.begin(W::NAME, &bounds.line());
        let world = W::new(bounds.clone(), request.planted);
        let (walked, beyond) = take_walks(&world, request, share, limits, screen);
        let mut run = Run::new(&world, request.planted, &walked.outcome);
        if let Some(beyond) = beyond {
            beyond.tell(&mut run);
        }
        run.walked(Walks::new::<W>(share, &walked, bounds, request.planted));
        screen.end(&run);
        runs.push(run);
        if runs.last().is_some_and(|run| run.conclusion == Conclusion::Violated) {
            break;
        }
    }
    runs
}

fn take_walks<W: Checked>(
    world: &W,
    request: &Request,
    plan: Plan,
    limits: Limits,
    screen: &mut dyn Screen,
) -> (Walked<W>, Option<Beyond>) {
    let mut progress = |at| screen.progress(at);
    let is_long = |most: &u64| plan.steps.is_none_or(|steps| steps > *most);
    match (&request.program, W::WALK_STEPS_MAX.filter(is_long)) {
        (Some(program), Some(slice)) => {
            let planted = request.planted;
            Sliced { program, world, planted, plan, limits, slice }.walk(&mut progress)
        }
        _ => (walk(world, plan, limits, &mut progress), None),
    }
}

impl<W: Checked> World for Of<W> {
    fn name(&self) -> &'static str {
        W::NAME
    }

    fn fields(&self) -> &'static [(&'static str, &'static str)] {
        W::Bounds::FIELDS
    }

    fn accept(&self, request: &Request) -> anyhow::Result<()> {
        asked::<W>(request).map(drop)
    }

    fn check(&self, request: &Request, screen: &mut dyn Screen) -> anyhow::Result<Sweep> {
        let clock = Stopwatch::start();
        let (sweep, whole) = asked::<W>(request)?;
        if let Some(plan) = request.walk {
            let runs = walks::<W>(sweep, request, plan, screen);
            let whole = whole && request.planted.is_none();
            return Ok(Sweep::new::<W>(runs, whole, request.engine, clock.elapsed()));
        }
        // A search by itself is not worth a process.
        let is_apart = sweep.len() > 1 && request.engine == EngineName::Own;
        if let Some(program) = request.program.as_deref().filter(|_| is_apart) {
            let runs = swept::<W>(program, &sweep, request.limits, lanes(request), clock, screen);
            return Ok(Sweep::new::<W>(runs, whole, request.engine, clock.elapsed()));
        }
        let mut runs: Vec<Run> = Vec::new();
        for bounds in sweep {
            let limits = left(request.limits, clock);
            runs.push(run::<W>(bounds, request.planted, request.engine, limits, screen));
            if runs.last().is_some_and(|run| run.conclusion == Conclusion::Violated) {
                break;
            }
        }
        Ok(Sweep::new::<W>(runs, whole, request.engine, clock.elapsed()))
    }

    fn listed(&self, profile: &str) -> Listed {
        let owned = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect();
        Listed {
            model: W::NAME.to_owned(),
            bounds: W::profile(profile).iter().map(|bounds| bounds.line()).collect(),
            sometimes: owned(&mut W::sometimes().iter().map(|claim| claim.name)),
            kinds: owned(&mut W::KINDS.iter().copied()),
        }
    }

    fn time(&self, bounds: &[String], engine: EngineName, limits: Limits) -> anyhow::Result<Timing> {
        let bounds = W::Bounds::default().read(bounds.iter().map(String::as_str))?;
        let outcome = engine.explore(&|| W::new(bounds.clone(), None), limits, &mut |_| {});
        let exhausted = matches!(outcome.verdict, Verdict::Holds);
        let seconds = outcome.elapsed.as_secs_f64();
        Ok(Timing { unique: outcome.unique, generated: outcome.generated, seconds, exhausted })
    }

    fn claims(&self) -> Vec<Claim> {
        W::always().iter().map(Claim::of).collect()
    }

    fn expected(&self) -> Vec<(Bug, &'static [&'static str])> {
        W::mutants().into_iter().map(|mutant| (mutant.bug, mutant.breaks)).collect()
    }

    fn replay(&self, recorded: &Recorded, sound: bool) -> Result<Replayed, ReplayError> {
        replay::replay::<W>(recorded, sound)
    }

    fn catches(&self, bug: Bug) -> bool {
        mutant_of::<W>(bug).is_some()
    }

    fn mutants(
        &self,
        only: Option<Bug>,
        program: Option<&Path>,
        limits: Limits,
        screen: &mut dyn Screen,
    ) -> Vec<MutantRow> {
        let search_for = |mutant: Mutant<W::Bounds>| {
            let (bounds, planted) = (mutant.bounds.clone(), Some(mutant.bug));
            let run = match program {
                Some(program) => {
                    let world = W::new(bounds, planted);
                    let shown = Mutex::new(&mut *screen);
                    let hear = |line: &str| shown.lock().unwrap_or_else(PoisonError::into_inner).said(line);
                    let run = apart::searched(program, &world, planted, limits, None, &hear);
                    screen.end(&run);
                    run
                }
                None => run::<W>(bounds, planted, EngineName::Own, limits, &mut *screen),
            };
            MutantRow::new(&mutant, run)
        };
        let asked_for = |mutant: &Mutant<W::Bounds>| only.is_none_or(|bug| mutant.bug == bug);
        W::mutants().into_iter().filter(asked_for).map(search_for).collect()
    }

    fn explore(&self, bounds: &[String], port: u16) -> anyhow::Result<()> {
        let bounds = W::Bounds::default().read(bounds.iter().map(String::as_str))?;
        let address = ("127.0.0.1", port);
        // The Explorer itself would panic on a port that is taken.
        drop(TcpListener::bind(address).with_context(|| format!("port {port} of the loopback interface"))?);
        W::new(bounds, None).checker().serve(address);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_profiles<W: Checked>(names: &[&str]) {
        for name in names {
            assert!(!W::profile(name).is_empty(), "{} has a profile `{name}`", W::NAME);
        }
    }

    /// Bounds at which a bug is shown and the sound cores break a claim, too, within some thousand states.
    fn unsound<W: Checked>() -> Vec<String> {
        let limits = Limits { threads: 1, states: Some(3000), ..Limits::default() };
        let broken = |mutant: Mutant<W::Bounds>| {
            let outcome = search(&W::new(mutant.bounds.clone(), None), limits, &mut |_| {});
            let Verdict::Violated(example) = outcome.verdict else { return None };
            Some(format!("{} at {}: {:?}", mutant.bug.id(), mutant.bounds.line(), example.broken))
        };
        W::mutants().into_iter().filter_map(broken).collect()
    }

    #[test]
    fn what_a_planted_bug_breaks_holds_without_it() {
        assert_eq!(unsound::<crate::quorum::World>(), [""; 0]);
        assert_eq!(unsound::<crate::metadata::World>(), [""; 0]);
        assert_eq!(unsound::<crate::replication::World>(), [""; 0]);
        assert_eq!(unsound::<Recovering<crate::quorum::World>>(), [""; 0]);
        assert_eq!(unsound::<Recovering<crate::metadata::World>>(), [""; 0]);
        assert_eq!(unsound::<Recovering<crate::replication::World>>(), [""; 0]);
    }

    /// So that what PROPERTIES says of a claim and a bug is what a search has shown.
    #[test]
    fn each_bound_of_a_planted_bug_breaks_one_claim() {
        let all = worlds().into_iter().chain(recoveries());
        let of_several = |world: Box<dyn World>| {
            let several = world.expected().into_iter().filter(|(_, breaks)| breaks.len() != 1);
            several.map(|(bug, _)| bug.id()).collect::<Vec<_>>()
        };
        assert_eq!(all.flat_map(of_several).collect::<Vec<_>>(), [""; 0]);
    }

    #[test]
    fn every_profile_that_all_models_have_can_be_read() {
        let names = ["small", "quick"];

        has_profiles::<crate::quorum::World>(&names);
        has_profiles::<crate::metadata::World>(&names);
        has_profiles::<crate::replication::World>(&names);
    }
}
