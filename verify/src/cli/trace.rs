//! `verify trace` and `verify replay` of recordings: reads, judges, shows.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::trace::read::recordings;
use crate::trace::recording::replay;
use crate::trace::{Finding, Tally, cluster};

/// How many findings are shown in words.
const SHOWN_MAX: usize = 20;

/// What is to be judged together.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// Directories and files with the recordings of all brokers (`trace.dir`)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// All brokers together.
pub(super) fn trace(asked: &Trace) -> anyhow::Result<u8> {
    let recordings = recordings(&asked.paths)?;
    let (findings, tally) = quietly(|| cluster::judge(recordings));
    conclude(asked.json, &findings, &tally)
}

/// Each run by itself.
pub(super) fn replay_recordings(paths: &[PathBuf], json: bool) -> anyhow::Result<u8> {
    let (mut findings, mut tally) = (Vec::new(), Tally::default());
    for recording in recordings(paths)? {
        let (found, judged) = quietly(|| replay(recording));
        findings.extend(found);
        tally.add(&judged);
    }
    conclude(json, &findings, &tally)
}

/// A core that panics is a finding, and needs no words of its own.
fn quietly<T>(judge: impl FnOnce() -> T) -> T {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let judged = judge();
    std::panic::set_hook(usual);
    judged
}

fn conclude(json: bool, findings: &[Finding], tally: &Tally) -> anyhow::Result<u8> {
    let (code, conclusion) = match (findings.is_empty(), tally.is_partial()) {
        (false, _) => (4, "violation"),
        (true, true) => (5, "unknown"),
        (true, false) => (0, "clean"),
    };
    let mut out = io::stdout().lock();
    if json {
        let document = json!({ "conclusion": conclusion, "findings": findings, "judged": tally });
        writeln!(out, "{document}")?;
        return Ok(code);
    }
    for finding in findings.iter().take(SHOWN_MAX) {
        writeln!(out, "{finding}")?;
    }
    if findings.len() > SHOWN_MAX {
        writeln!(out, "and {} more", findings.len() - SHOWN_MAX)?;
    }
    let Tally { runs, cores, steps, acts, messages, .. } = tally;
    writeln!(
        out,
        "{conclusion}: {} findings in {runs} runs, {cores} lives of cores, {steps} steps, {acts} acts, {messages} messages",
        findings.len()
    )?;
    if tally.has_gaps() {
        let Tally { missing, unjudged, unrecorded, .. } = tally;
        writeln!(out, "{missing} records are missing, and {unjudged} can not be judged for it")?;
        if *unrecorded > 0 {
            let what = "that others have heard of are not among the recordings";
            writeln!(out, "{unrecorded} runs {what}: give those of all brokers")?;
        }
    }
    if tally.cut_short > 0 {
        let Tally { cut_short, torn_bytes, .. } = tally;
        writeln!(out, "{cut_short} runs end without saying so, with {torn_bytes} bytes that cannot be read")?;
    }
    if tally.void > 0 {
        let what = "after lost tails or an unclean election nothing was promised any more, nor judged";
        writeln!(out, "of the records of {} partitions {what}", tally.void)?;
    }
    if tally.unordered > 0 {
        let what = "what several nodes held at one moment was not judged to the end";
        writeln!(out, "of {} partitions (the quorum counts as one) {what}", tally.unordered)?;
    }
    if tally.messages_from_the_cut > 0 {
        let messages = tally.messages_from_the_cut;
        writeln!(out, "{messages} messages are from moments that were not recorded, and are believed")?;
    }
    Ok(code)
}
