//! What a check found, as data: printed for people by [`text`], and as one JSON document for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_model::fault::Bug;
use serde::{Deserialize, Serialize};

use crate::bounds::Bounds as _;
use crate::engine::{Counterexample, EngineName, Outcome, Verdict};
use crate::story::Story;
use crate::world::{Checked, Mutant};

pub mod html;
pub mod properties;
pub mod text;
mod walks;

pub use walks::Walks;

/// How a check ended. The worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every space was exhausted, and every claim holds.
    Holds,
    /// A limit was reached before a space was exhausted.
    OutOfBudget,
    /// A part of the check failed, so that nothing is concluded of it.
    Failed,
    /// A sweep in which something that must be possible never happened: the claims were not put to the test.
    Vacuous,
    /// A claim is broken.
    Violated,
}

impl Conclusion {
    /// The exit code of a command that concludes so.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Holds => 0,
            Self::Vacuous | Self::Violated => 4,
            Self::OutOfBudget | Self::Failed => 5,
        }
    }
}

/// A broken claim and the way to it.
#[derive(Clone, Debug, Serialize)]
pub struct Violation {
    /// The claim.
    pub claim: &'static str,
    /// Its id in the protocol rules.
    pub rule: &'static str,
    /// The values that break it.
    pub values: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// All of it, for a file or a page.
    #[serde(skip)]
    pub story: Story,
}

/// A step of a violation.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What was done.
    pub action: String,
    /// What it changed.
    pub changes: Vec<String>,
}

/// One search.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The model's name.
    pub model: &'static str,
    /// Its bounds, in print order.
    #[serde(serialize_with = "as_map")]
    pub bounds: Vec<(&'static str, String)>,
    /// The planted bug's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planted: Option<&'static str>,
    /// How it ended.
    pub conclusion: Conclusion,
    /// Whether every reachable state was visited.
    pub exhausted: bool,
    /// Unique states.
    pub states: u64,
    /// Steps taken.
    pub steps_taken: u64,
    /// Steps from the start to the furthest state.
    pub depth: u32,
    /// Unique states per second.
    pub states_per_second: u64,
    /// Steps taken per second.
    pub steps_per_second: u64,
    /// Bytes per unique state of what the search itself keeps, at its fullest: the table of visited states, the ways to
    /// them, the frontier. What states share is beside it (`peak_rss` has all).
    pub bytes_per_state: u64,
    /// Bytes that the process held at most, if it was one of the search's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss: Option<u64>,
    /// Time it took, in seconds.
    pub seconds: f64,
    /// How often each kind of action was taken.
    #[serde(serialize_with = "as_map")]
    pub taken: Vec<(&'static str, u64)>,
    /// Sometimes-claims that were met.
    pub met: Vec<&'static str>,
    /// Of random walks: which they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walks: Option<Walks>,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation: Option<Violation>,
    /// Why there is no verdict, or no way to the violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

fn as_map<K: Serialize, V: Serialize, S: serde::Serializer>(
    pairs: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

impl Run {
    /// Turns the outcome of a search into words.
    pub fn new<W: Checked>(world: &W, planted: Option<Bug>, outcome: &Outcome<W>) -> Self {
        let (conclusion, violation) = match &outcome.verdict {
            Verdict::Holds => (Conclusion::Holds, None),
            Verdict::OutOfBudget => (Conclusion::OutOfBudget, None),
            Verdict::Violated(example) => (Conclusion::Violated, Some(violation(world, planted, example))),
        };
        let met = W::sometimes().iter().zip(&outcome.seen).filter(|(_, seen)| **seen);
        Self {
            model: W::NAME,
            bounds: world.bounds().pairs(),
            planted: planted.map(Bug::id),
            conclusion,
            exhausted: conclusion == Conclusion::Holds,
            states: outcome.unique,
            steps_taken: outcome.generated,
            depth: outcome.depth,
            states_per_second: outcome.rate(),
            steps_per_second: outcome.step_rate(),
            bytes_per_state: outcome.memory / outcome.unique.max(1),
            peak_rss: None,
            seconds: outcome.elapsed.as_secs_f64(),
            taken: W::KINDS.iter().copied().zip(outcome.taken.iter().copied()).collect(),
            met: met.map(|(claim, _)| claim.name).collect(),
            walks: None,
            violation,
            failure: None,
        }
    }

    /// Makes it one that failed; if a claim is broken all the same, that is what is concluded.
    pub fn fail(&mut self, is_violation: bool, why: String) {
        self.conclusion = if is_violation { Conclusion::Violated } else { Conclusion::Failed };
        self.exhausted = false;
        self.failure = Some(why);
    }

    /// Makes it one that found this.
    pub fn violated(&mut self, story: Story) {
        self.conclusion = Conclusion::Violated;
        self.exhausted = false;
        self.violation = Some(Violation::of(story));
    }

    /// Makes it one of walks, which exhaust nothing.
    pub fn walked(&mut self, walks: Walks) {
        self.exhausted = false;
        if let (Some(found), Some(again)) = (&mut self.violation, &walks.again) {
            found.story.again.clone_from(again);
        }
        self.walks = Some(walks);
    }

    /// The bounds on one line.
    #[must_use]
    pub fn bounds_line(&self) -> String {
        let words: Vec<String> = self.bounds.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words.join(" ")
    }
}

impl Violation {
    fn of(story: Story) -> Self {
        let steps = story.steps.iter().chain(&story.aftermath);
        let steps = steps.map(|step| Step { action: step.words.clone(), changes: step.changes.clone() });
        Self {
            claim: story.claim.name,
            rule: story.claim.rule,
            values: story.claim.values.clone(),
            steps: steps.collect(),
            story,
        }
    }
}

fn violation<W: Checked>(world: &W, planted: Option<Bug>, example: &Counterexample<W>) -> Violation {
    Violation::of(Story::of(world, planted, example))
}

/// The searches of one model.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// The model's name.
    pub model: &'static str,
    /// How it ended.
    pub conclusion: Conclusion,
    /// Time it took, in seconds.
    pub seconds: f64,
    /// Unique states of all searches.
    pub states: u64,
    /// The always-claims that were evaluated.
    pub claims: Vec<&'static str>,
    /// Sometimes-claims that no search met.
    pub never_met: Vec<&'static str>,
    /// Kinds of action that no search took.
    pub never_taken: Vec<&'static str>,
    /// The searches, in order.
    pub runs: Vec<Run>,
}

impl Sweep {
    /// Draws the conclusion from `runs`. In a whole profile's sweep everything that must be possible must have happened.
    /// Told is what `engine` evaluates.
    #[must_use]
    pub fn new<W: Checked>(runs: Vec<Run>, whole: bool, engine: EngineName, elapsed: Duration) -> Self {
        let met = |name: &str| runs.iter().any(|run| run.met.contains(&name));
        let noticed = W::sometimes().iter().filter(|claim| engine.notices(claim));
        let never_met: Vec<_> = noticed.map(|claim| claim.name).filter(|name| !met(name)).collect();
        let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, count) in runs.iter().flat_map(|run| &run.taken) {
            *taken.entry(kind).or_default() += count;
        }
        let counted = W::KINDS.iter().copied().filter(|_| engine.sees_steps());
        let never_taken = counted.filter(|kind| taken.get(kind).is_none_or(|count| *count == 0));
        let judged = W::always().iter().filter(|claim| engine.judges(claim));
        let worst = runs.iter().map(|run| run.conclusion).max().unwrap_or(Conclusion::Holds);
        let vacuous = whole && worst == Conclusion::Holds && !never_met.is_empty();
        Self {
            model: W::NAME,
            conclusion: if vacuous { Conclusion::Vacuous } else { worst },
            seconds: elapsed.as_secs_f64(),
            states: runs.iter().map(|run| run.states).sum(),
            claims: judged.map(|claim| claim.name).collect(),
            never_taken: never_taken.collect(),
            never_met,
            runs,
        }
    }
}

/// The search for one planted bug.
#[derive(Clone, Debug, Serialize)]
pub struct MutantRow {
    /// The bug's id in the catalogue.
    pub id: &'static str,
    /// What it does.
    pub what: &'static str,
    /// The system and issue that it comes from.
    pub source: &'static str,
    /// Whether a claim that it is expected to break was found broken.
    pub caught: bool,
    /// How the search for it ended: `holds` when it was caught, `violated` when it survives, or breaks nothing but what it is
    /// not expected to; else it is not known.
    pub conclusion: Conclusion,
    /// The claims of which one must break.
    pub expected: &'static [&'static str],
    /// The search.
    pub run: Run,
}

impl MutantRow {
    /// Judges the search for `mutant`.
    #[must_use]
    pub fn new<B>(mutant: &Mutant<B>, run: Run) -> Self {
        let broken = run.violation.as_ref().map(|violation| violation.claim);
        let caught = broken.is_some_and(|claim| mutant.breaks.contains(&claim));
        let conclusion = match run.conclusion {
            _ if caught => Conclusion::Holds,
            Conclusion::OutOfBudget | Conclusion::Failed => run.conclusion,
            Conclusion::Holds | Conclusion::Vacuous | Conclusion::Violated => Conclusion::Violated,
        };
        Self {
            id: mutant.bug.id(),
            what: mutant.bug.what(),
            source: mutant.source,
            caught,
            conclusion,
            expected: mutant.breaks,
            run,
        }
    }
}
