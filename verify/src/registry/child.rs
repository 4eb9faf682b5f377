//! A run of this very program, as a process of its own: what states share is kept until a process ends.
//!
//! What it is to do is told on its command line, what it found is read from its JSON document. It ends when whoever waits for
//! it has ended ([`with_parent`]).

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, Command, Stdio, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use highwater_model::fault::Bug;
use serde::Deserialize;
use serde_json::Value;

use crate::bounds::Bounds as _;
use crate::engine::{Limits, Outcome, Verdict, lend};
use crate::replay::{End, Replayed, replay};
use crate::report::{Conclusion, Run};
use crate::story::{Story, asked_as, file};
use crate::world::Checked;

/// The flag by which a process is told that another waits for it.
pub(super) const WITH_PARENT: &str = "--with-parent";

/// As many threads as a command line may ask for (`--threads`).
const THREADS_LENT_MAX: usize = 256;

/// Bytes of what a process said that are kept for when it fails.
const SAID_MAX: usize = 16 << 10;

/// The JSON document of a process, as far as it is read.
#[derive(Deserialize)]
struct Document {
    models: Vec<Model>,
    peak_rss: Option<u64>,
    story: Option<Value>,
}

#[derive(Deserialize)]
struct Model {
    runs: Vec<Told>,
}

/// What a process told of its run.
#[derive(Deserialize)]
pub(super) struct Told {
    pub(super) conclusion: Conclusion,
    pub(super) states: u64,
    pub(super) steps_taken: u64,
    pub(super) violation: Option<Found>,
    pub(super) depth: u32,
    pub(super) seconds: f64,
    pub(super) bytes_per_state: u64,
    pub(super) taken: BTreeMap<String, u64>,
    pub(super) met: Vec<String>,
    pub(super) walks: Option<Walks>,
    /// Bytes that the process held at most, where the system tells.
    #[serde(skip)]
    pub(super) peak_resident: Option<u64>,
    /// The way to what it found broken.
    #[serde(skip)]
    pub(super) story: Option<Value>,
}

/// What a process found broken.
#[derive(Deserialize)]
pub(super) struct Found {
    claim: String,
    values: String,
}

/// What a process told of its walks.
#[derive(Deserialize)]
pub(super) struct Walks {
    pub(super) walks: u64,
    pub(super) walk: Option<u64>,
    pub(super) steps_until_found: Option<u64>,
    pub(super) length: Option<u32>,
}

/// What came of a process, beside numbers.
#[derive(Debug)]
pub(super) enum Beyond {
    /// It came to no end of its own, so that nothing is concluded.
    Failed(String),
    /// It found a violation, and the way to it does not lead there here.
    Unconfirmed(String),
    /// It found a violation. This is the way to it, taken again here.
    Violated(Box<Story>),
}

impl Beyond {
    /// Makes it what a run comes to.
    pub(super) fn tell(self, run: &mut Run) {
        match self {
            Self::Failed(why) => run.fail(false, why),
            Self::Unconfirmed(why) => run.fail(true, why),
            Self::Violated(story) => run.violated(*story),
        }
    }
}

/// What is to be run, and by which program.
#[derive(Clone, Copy)]
pub(super) struct Child<'a, W: Checked> {
    pub(super) program: &'a Path,
    pub(super) world: &'a W,
    pub(super) planted: Option<Bug>,
    pub(super) limits: Limits,
    /// By what it can be ended before it has ended by itself.
    pub(super) leash: Option<&'a Leash>,
    /// Who is told each line that it says of its progress, as it says it; all it said is told if it fails.
    pub(super) heard: Option<&'a Hears<'a>>,
}

/// Who is told what a process says.
pub(super) type Hears<'a> = dyn Fn(&str) + Sync + 'a;

/// Holds the process that runs, so that another thread can end it, and keep others from beginning.
#[derive(Debug, Default)]
pub(super) struct Leash(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    is_over: bool,
    /// Threads that the process may have beside its own.
    lent: usize,
    /// A process ends when this end of its standard input is closed, and reads there how many threads it is lent.
    waiting: Option<ChildStdin>,
}

impl Leash {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the process that is held, and each that will be.
    pub(super) fn cut(&self) {
        *self.held() = Held { is_over: true, lent: 0, waiting: None };
    }

    /// Lends the process that is held, or that will be next, so many threads.
    pub(super) fn lend(&self, threads: usize) {
        let mut held = self.held();
        held.lent += threads;
        held.tell(threads);
    }

    /// Whether it was cut.
    pub(super) fn is_cut(&self) -> bool {
        self.held().is_over
    }

    fn hold(&self, waiting: Option<ChildStdin>) {
        let mut held = self.held();
        if !held.is_over {
            held.waiting = waiting;
            let lent = held.lent;
            held.tell(lent);
        }
    }
}

impl Held {
    fn tell(&mut self, threads: usize) {
        if let Some(process) = self.waiting.as_mut().filter(|_| threads > 0) {
            // One that has ended wants no more threads.
            let _ = writeln!(process, "{threads}");
        }
    }
}

impl<W: Checked> Child<'_, W> {
    /// Runs it with these words more.
    ///
    /// # Errors
    /// When it does not start, or ends without having told what it found.
    pub(super) fn run(&self, more: &[String], what: &str) -> anyhow::Result<Told> {
        let mut command = Command::new(self.program);
        let (model, liveness) = asked_as(W::NAME);
        command.args(["check", model]).args(self.world.bounds().line().split(' ')).args(liveness);
        command.args(["--json", WITH_PARENT, "--threads", &self.limits.threads.to_string()]);
        if let Some(bug) = self.planted {
            command.args(["--mutant", bug.id()]);
        }
        if let Some(time) = self.limits.timeout {
            command.args(["--timeout", &format!("{}ms", time.as_millis().max(1))]);
        }
        if let Some(states) = self.limits.states {
            command.args(["--states", &states.to_string()]);
        }
        if let Some(bytes) = self.limits.memory {
            command.args(["--memory", &bytes.to_string()]);
        }
        command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{what} does not start"))?;
        // Kept open until the process has ended: it ends, too, when this one does.
        let usual = Leash::default();
        self.leash.unwrap_or(&usual).hold(child.stdin.take());
        let errors = child.stderr.take();
        let (output, said) = std::thread::scope(|scope| {
            let said = scope.spawn(|| errors.map(|errors| self.hear(errors)).unwrap_or_default());
            (child.wait_with_output(), said.join().unwrap_or_default())
        });
        let output = output.with_context(|| format!("{what} cannot be waited for"))?;
        let Ok(document) = serde_json::from_slice::<Document>(&output.stdout) else {
            bail!("{what} ended with {}{}{said}", output.status, if said.is_empty() { "" } else { ": " });
        };
        let Document { models, peak_rss, story } = document;
        let told = models.into_iter().flat_map(|model| model.runs).next();
        let told = told.with_context(|| format!("{what} tells nothing of what it did"))?;
        Ok(Told { peak_resident: peak_rss, story, ..told })
    }

    /// Tells what a process says, line by line, until it says no more; gives the end of it.
    fn hear(&self, errors: ChildStderr) -> String {
        let mut said = String::new();
        for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            self.heard.iter().for_each(|heard| heard(&line));
            if said.len() > SAID_MAX {
                said.clear();
            }
            said += &line;
            said.push('\n');
        }
        said
    }
}

impl Told {
    /// What it found broken, its steps taken again here: no second search, which might end before it comes there.
    pub(super) fn again<W: Checked>(&self) -> Beyond {
        let told = self.violation.as_ref().map(|found| format!("{}\n{}", found.claim, found.values));
        let told = told.unwrap_or_else(|| "it does not say what".to_owned());
        let unconfirmed =
            |why: String| Beyond::Unconfirmed(format!("{why}; in a process of its own it broke {told}"));
        let Some(story) = &self.story else { return unconfirmed("the way there is not told".to_owned()) };
        match file::recorded(story.clone()) {
            Err(error) => unconfirmed(format!("the way there cannot be read, {error}")),
            Ok(recorded) => match replay::<W>(&recorded, false) {
                Err(error) => unconfirmed(format!("the way there cannot be taken, {error}")),
                Ok(Replayed { end: End::StillBroken, story, .. }) => Beyond::Violated(Box::new(story)),
                Ok(Replayed { end: End::BrokenDifferently, .. }) => {
                    unconfirmed("the same steps break something else here".to_owned())
                }
                Ok(_) => unconfirmed("nothing is broken here after the same steps".to_owned()),
            },
        }
    }

    /// Adds what was done and seen to an outcome.
    pub(super) fn add_to<W: Checked>(&self, outcome: &mut Outcome<W>) {
        outcome.unique += self.states;
        outcome.generated += self.steps_taken;
        outcome.depth = outcome.depth.max(self.depth);
        outcome.memory = outcome.memory.max(self.bytes_per_state.saturating_mul(self.states));
        for (kind, count) in W::KINDS.iter().zip(&mut outcome.taken) {
            *count += self.taken.get(*kind).copied().unwrap_or(0);
        }
        for (claim, seen) in W::sometimes().iter().zip(&mut outcome.seen) {
            *seen |= self.met.iter().any(|met| met == claim.name);
        }
    }
}

/// An outcome to which what was done is to be added.
pub(super) fn nothing<W: Checked>() -> Outcome<W> {
    Outcome {
        verdict: Verdict::OutOfBudget,
        unique: 0,
        generated: 0,
        depth: 0,
        elapsed: Duration::ZERO,
        memory: 0,
        taken: vec![0; W::KINDS.len()],
        seen: vec![false; W::sometimes().len()],
    }
}

/// Ends this process, without a conclusion, as soon as the one that started it has ended; takes the threads that it lends.
pub fn with_parent() {
    std::thread::spawn(|| {
        for line in io::stdin().lines().map_while(Result::ok) {
            lend(line.trim().parse().unwrap_or(0).min(THREADS_LENT_MAX));
        }
        exit(i32::from(Conclusion::Failed.exit_code()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::{Bounds, World};

    #[test]
    fn a_process_is_told_what_it_is_lent_is_heard_and_ends_when_it_is_cut_off() {
        let program =
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/echoes-what-it-is-lent"));
        let world = World::new(Bounds::default().read(["voters=1"]).unwrap(), None);
        let (leash, lines) = (Leash::default(), Mutex::new(Vec::new()));
        let heard = |line: &str| {
            lines.lock().unwrap().push(line.to_owned());
            leash.cut();
        };
        leash.lend(3);
        let limits = Limits::default();
        let (leash, heard) = (Some(&leash), Some(&heard as &Hears<'_>));
        let child = Child { program, world: &world, planted: None, limits, leash, heard };

        let why = child.run(&[], "a search").map(drop).unwrap_err().to_string();

        assert_eq!(*lines.lock().unwrap(), ["3 lent"]);
        assert!(why.contains("3 lent"), "{why}");
    }
}
