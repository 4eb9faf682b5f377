//! `verify replay`: takes recorded steps on the code of this build.
//!
//! What a file is, its content tells, not its name: so every kind of recording has one command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::keep::Places;
use super::shown;
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
    show(asked, &mut io::stdout().lock())
}

fn show(asked: &Replay, out: &mut dyn io::Write) -> anyhow::Result<u8> {
    let page = Places::page(asked.html.as_deref())?;
    let replayed = match recording(&asked.recording)? {
        Recording::Counterexample(recorded) => counterexample(asked, &recorded, out)?,
        Recording::Trace if asked.html.is_some() || asked.sound || asked.verbose => {
            bail!("--html, --sound and --verbose are for counterexamples; this is what brokers recorded")
        }
        Recording::Trace => return replay_recordings(std::slice::from_ref(&asked.recording), asked.json),
    };
    page.keep(&replayed.story)?;
    Ok(replayed.exit_code())
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

fn counterexample(asked: &Replay, recorded: &Recorded, out: &mut dyn io::Write) -> anyhow::Result<Replayed> {
    let name = || asked.recording.display().to_string();
    let world = world(&recorded.model).with_context(name)?;
    let replayed = world.replay(recorded, asked.sound).with_context(name)?;
    if asked.json {
        shown(writeln!(out, "{}", document(recorded, &replayed)))?;
        return Ok(replayed);
    }
    shown(in_words(asked, recorded, &replayed, out))?;
    Ok(replayed)
}

fn in_words(
    asked: &Replay,
    recorded: &Recorded,
    replayed: &Replayed,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let planted = replayed.story.planted.map(|bug| format!(" planted {}", bug.id)).unwrap_or_default();
    writeln!(out, "{}{planted}  {}\n", recorded.model, replayed.story.bounds_line())?;
    text::steps(out, &replayed.story, asked.verbose)?;
    verdict(out, recorded, replayed)
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
        "is_followed": replayed.is_followed,
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
            let said = if replayed.is_followed { "no longer broken" } else { "not followed" };
            writeln!(out, "{said}: all {all} steps are possible, and every claim holds")?;
        }
        End::NoLongerPossible(step) => {
            let words = recorded.steps.get(step - 1).map(|step| step.words.as_str()).unwrap_or_default();
            let said = if replayed.is_followed { "no longer broken" } else { "not followed" };
            writeln!(out, "{said}: the action of step {step} of {all} is not enabled")?;
            writeln!(out, "  {step}. {words}")?;
        }
    }
    if !replayed.differs.is_empty() {
        let steps: Vec<String> = replayed.differs.iter().map(ToString::to_string).collect();
        writeln!(out, "what these steps change is told differently in the file: {}", steps.join(", "))?;
    }
    if replayed.exit_code() == 5 {
        writeln!(
            out,
            "whether it is still broken is not known: this code does not take the steps of the file"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::tests::found;

    /// What the command says of a file with this text, and its exit code.
    fn said(text: &str, sound: bool) -> (String, u8) {
        let folder = tempfile::tempdir().expect("a folder");
        let recording = folder.path().join("found");
        fs::write(&recording, text).expect("a file");
        let asked = Replay { recording, sound, verbose: true, html: None, json: false };
        let mut out = Vec::new();
        match show(&asked, &mut out) {
            Ok(code) => (String::from_utf8(out).expect("text"), code),
            Err(error) => (format!("{error:#}"), 2),
        }
    }

    #[test]
    fn the_end_of_a_replay_is_told_in_words_and_by_the_exit_code() {
        let file = serde_json::to_string(&found("metadata", "B-13d")).expect("a story can be written");

        let (still, code) = said(&file, false);
        assert!(still.ends_with("\nstill broken, at step 8\n"), "{still}");
        assert!(still.contains("   2. broker 1 starts\n"), "{still}");
        assert!(still.contains("in flight, broker 1 -> controller: register run 2"), "{still}");
        assert!(still.contains("  broken: metadata/lost_replica_is_excluded (RI13)\n"), "{still}");
        assert_eq!(code, 4);

        let (sound, code) = said(&file, true);
        assert!(
            sound.contains("no longer broken: all 8 steps are possible, and every claim holds"),
            "{sound}"
        );
        assert_eq!(code, 0);

        let (moved, code) = said(&file.replace("\"start\":1}", "\"stop\":1}"), false);
        assert!(moved.contains("not followed: the action of step 2 of 8 is not enabled"), "{moved}");
        assert!(moved.contains("whether it is still broken is not known"), "{moved}");
        assert_eq!(code, 5);

        let other = file.replace(
            "\"name\":\"metadata/lost_replica_is_excluded\"",
            "\"name\":\"metadata/decision_is_whole\"",
        );
        let (other, code) = said(&other, false);
        assert!(
            other.contains("broken differently, at step 8: the file tells of metadata/decision_is_whole"),
            "{other}"
        );
        assert_eq!(code, 4);
    }

    #[test]
    fn what_is_no_recording_is_refused_with_its_name() {
        let (no_json, code) = said("once upon a time", false);
        assert!(no_json.contains("found: not JSON: "), "{no_json}");
        assert_eq!(code, 2);

        let unknown = r#"{"type":"highwater-counterexample","version":1,"model":"hens","bounds":{},"claim":{"name":"","values":""},"steps":[]}"#;
        assert!(said(unknown, false).0.ends_with("found: there is no model `hens`"));
    }
}
