//! `verify audit`: reads directories, judges, shows.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::shown;
use crate::audit::{AuditError, Finding, Held, Lost, Question, Report, audit as judge};

/// How many findings are shown in words, and how many notes.
const SHOWN_MAX: usize = 50;

/// What is to be audited.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Log directories of a stopped cluster, or directories that have some in them, of all nodes
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The history of a chaos run: every record that it says was acknowledged at acks=all must be there
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// The topic that the history is of; by default the only one that is not internal
    #[arg(long, value_name = "NAME", requires = "history")]
    topic: Option<String>,
    /// Power was lost: whatever is wrong above a recovery point is what that does
    #[arg(long)]
    power_lost: bool,
    /// The cluster was level when it stopped: all replicas in sync, and nothing written any more. Every one must hold everything
    #[arg(long)]
    whole: bool,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Audits, and shows what came of it; gives the exit code.
pub(super) fn audit(asked: &Audit) -> anyhow::Result<u8> {
    let lost = if asked.power_lost { Lost::Power } else { Lost::Nothing };
    let question = Question {
        places: asked.paths.clone(),
        history: asked.history.clone(),
        topic: asked.topic.clone(),
        lost,
        is_whole: asked.whole,
    };
    match judge(&question) {
        Ok(report) => conclude(asked.json, &report),
        Err(error @ AuditError::Topic(_)) => Err(error.into()),
        Err(error) => {
            if asked.json {
                let document = json!({ "conclusion": "unknown", "error": error.to_string() });
                shown(writeln!(io::stdout().lock(), "{document}"))?;
            }
            writeln!(io::stderr(), "verify: {error}")?;
            Ok(5)
        }
    }
}

fn conclude(json: bool, report: &Report) -> anyhow::Result<u8> {
    let (code, conclusion) = match (report.findings.is_empty(), report.gaps.is_empty()) {
        (false, _) => (4, "violation"),
        (true, false) => (5, "unknown"),
        (true, true) => (0, "clean"),
    };
    let mut out = io::stdout().lock();
    if json {
        let Report { findings, notes, gaps, held, judged } = report;
        let document = json!({
            "conclusion": conclusion, "findings": findings, "notes": notes, "gaps": gaps, "held": held,
            "judged": judged,
        });
        shown(writeln!(out, "{document}"))?;
    } else {
        shown(in_words(&mut out, conclusion, report))?;
    }
    Ok(code)
}

fn in_words(out: &mut dyn io::Write, conclusion: &str, report: &Report) -> io::Result<()> {
    let judged = &report.judged;
    listed(out, "", &report.findings, judged.more_findings)?;
    listed(out, "note: ", &report.notes, judged.more_notes)?;
    for gap in &report.gaps {
        writeln!(out, "not judged: {gap}")?;
    }
    for Held { node, log, must, acknowledged, held, below_start, .. } in &report.held {
        let owes = if *must { "and must hold all" } else { "and need not hold all" };
        write!(out, "node {node}, {log}: holds {held} of {acknowledged} acknowledged records, {owes}")?;
        let below = format!("; {below_start} lie below its start");
        writeln!(out, "{}", if *below_start > 0 { below.as_str() } else { "" })?;
    }
    let findings = report.findings.len() as u64 + judged.more_findings;
    writeln!(
        out,
        "{conclusion}: {findings} findings in {} directories, {} logs, {} batches, {} records, {} bytes",
        judged.directories, judged.logs, judged.batches, judged.records, judged.bytes
    )?;
    let compared = judged.compared;
    writeln!(out, "{} pairs of replicas have {compared} batches in common, byte by byte", judged.pairs)?;
    if judged.acknowledged > 0 {
        let (acknowledged, found) = (judged.acknowledged, judged.found);
        writeln!(
            out,
            "{acknowledged} records were acknowledged at acks=all; {found} were found in the replicas that must have them"
        )?;
    }
    Ok(())
}

fn listed(out: &mut dyn io::Write, title: &str, findings: &[Finding], more: u64) -> io::Result<()> {
    for finding in findings.iter().take(SHOWN_MAX) {
        writeln!(out, "{title}{finding}")?;
    }
    let more = findings.len().saturating_sub(SHOWN_MAX) as u64 + more;
    if more > 0 { writeln!(out, "{title}and {more} more") } else { Ok(()) }
}
