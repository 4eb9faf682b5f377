//! `verify replay`: takes recorded steps on the code of this build.
//!
//! What a file is, its content tells, not its name: so every kind of recording has one command.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use super::keep::Places;
use super::trace::replay_recordings;
use crate::registry::{World, recoveries, worlds};
use crate::replay::{End, ReplayError, Replayed};
use crate::report::text;
use crate::story::file::{self, Recorded};
use crate::trace::read::is_trace;

/// What `verify replay` is asked.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A counterexample that `verify check --out` wrote; or what a broker recorded of itself: a file or a directory
    recording: PathBuf,
    /// Leaves the planted bug out: does the sound code go the same way?
    #[arg(long)]
    sound: bool,
    /// Shows what is in flight after each step
    #[arg(long, short)]
    verbose: bool,
    /// Writes the steps as they go today as one page of HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// A recording, by what it is of.
enum Recording {
    /// A way through a model that broke a claim.
    Counterexample(Recorded),
    /// What a broker recorded of itself.
    Trace,
}

/// Replays what was recorded; gives the exit code.
pub(super) fn replay(asked: &Replay) -> anyhow::Result<u8> {
    let page = Places::page(asked.html.as_deref())?;
    match recording(&asked.recording)? {
        Recording::Counterexample(recorded) => counterexample(asked, &recorded, &page),
        Recording::Trace => replay_recordings(std::slice::from_ref(&asked.recording), asked.json),
    }
}

fn recording(path: &Path) -> anyhow::Result<Recording> {
    let name = || path.display().to_string();
    if path.is_dir() || is_trace(path) {
        return Ok(Recording::Trace);
    }
    let text = fs::read_to_string(path).with_context(name)?;
    file::read(&text).map(Recording::Counterexample).with_context(name)
}

fn world(model: &str) -> Result<Box<dyn World>, ReplayError> {
    let mut all = worlds().into_iter().chain(recoveries());
    all.find(|world| world.name() == model).ok_or_else(|| ReplayError::UnknownModel(model.to_owned()))
}

fn counterexample(asked: &Replay, recorded: &Recorded, page: &Places) -> anyhow::Result<u8> {
    let name = || asked.recording.display().to_string();
    let world = world(&recorded.model).with_context(name)?;
    let replayed = world.replay(recorded, asked.sound).with_context(name)?;
    let mut out = io::stdout().lock();
    if asked.json {
        writeln!(out, "{}", document(recorded, &replayed))?;
    } else {
        let planted = replayed.story.planted.map(|bug| format!(" planted {}", bug.id)).unwrap_or_default();
        writeln!(out, "{}{planted}  {}\n", recorded.model, replayed.story.bounds_line())?;
        text::steps(&mut out, &replayed.story, asked.verbose)?;
        verdict(&mut out, recorded, &replayed)?;
    }
    drop(out);
    page.keep(&replayed.story)?;
    Ok(replayed.end.exit_code())
}

fn document(recorded: &Recorded, replayed: &Replayed) -> serde_json::Value {
    let (end, step) = match replayed.end {
        End::StillBroken => ("still_broken", replayed.story.steps.len()),
        End::BrokenDifferently => ("broken_differently", replayed.story.steps.len()),
        End::NoLongerBroken => ("no_longer_broken", replayed.story.steps.len()),
        End::NoLongerPossible(step) => ("no_longer_possible", step),
    };
    serde_json::json!({
        "end": end,
        "step": step,
        "recorded_claim": recorded.claim.name,
        "recorded_steps": replayed.recorded,
        "steps_that_differ": replayed.differs,
        "story": replayed.story,
    })
}

fn verdict(out: &mut dyn io::Write, recorded: &Recorded, replayed: &Replayed) -> io::Result<()> {
    let (taken, all) = (replayed.story.steps.len(), replayed.recorded);
    let step = if taken == all { format!("step {taken}") } else { format!("step {taken} of {all}") };
    match replayed.end {
        End::StillBroken => {
            text::broken(out, &replayed.story)?;
            writeln!(out, "still broken, at {step}")?;
        }
        End::BrokenDifferently => {
            text::broken(out, &replayed.story)?;
            writeln!(out, "broken differently, at {step}: the file tells of {}", recorded.claim.name)?;
        }
        End::NoLongerBroken => {
            writeln!(out, "no longer broken: all {all} steps are possible, and every claim holds")?;
        }
        End::NoLongerPossible(step) => {
            let words = recorded.steps.get(step - 1).map(|step| step.words.as_str()).unwrap_or_default();
            writeln!(out, "no longer broken: the action of step {step} of {all} is not enabled")?;
            writeln!(out, "  {step}. {words}")?;
        }
    }
    if !replayed.differs.is_empty() {
        let steps: Vec<String> = replayed.differs.iter().map(ToString::to_string).collect();
        writeln!(out, "what these steps change is told differently in the file: {}", steps.join(", "))?;
    }
    Ok(())
}
