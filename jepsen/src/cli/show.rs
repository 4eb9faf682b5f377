//! What the terminal shows of a run.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use jepsen_judge::verdict::Cases;

use crate::store::{ResultsFile, RunFile};

/// Shows results, for people or as JSON.
pub(super) fn results(run: &RunFile, results: &ResultsFile, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, results)?;
        return out.write_all(b"\n");
    }
    for (name, verdict) in &results.checkers {
        let counts: Vec<String> =
            verdict.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        writeln!(out, "{:<10} {:<8} {}", name, verdict.validity.to_string(), counts.join(", "))?;
        cases(&mut out, "INVALID", &verdict.anomalies)?;
        cases(&mut out, "allowed", &verdict.allowed)?;
        verdict.unknown_because.iter().try_for_each(|why| writeln!(out, "  unknown: {why}"))?;
    }
    let time = |ns: u64| format!("{:.1} s", Duration::from_nanos(ns).as_secs_f64());
    let recovered = results.availability.recovered_after_ns.map_or_else(|| "never".to_owned(), time);
    let gap = time(results.availability.longest_gap_ns);
    writeln!(out, "longest without success {gap}, recovered after {recovered}")?;
    let faults: Vec<String> = run.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "faults: {}", if faults.is_empty() { "none".to_owned() } else { faults.join(", ") })?;
    run.skipped.iter().try_for_each(|(name, why)| writeln!(out, "skipped {name}: {why}"))?;
    for (name, evidence) in &run.evidence {
        writeln!(
            out,
            "verify {name}: {:?}, {}",
            evidence.conclusion,
            evidence.said.last().map_or("", |line| line)
        )?;
    }
    results.unknown_because.iter().try_for_each(|why| writeln!(out, "unknown: {why}"))?;
    results.failures.iter().try_for_each(|failure| writeln!(out, "FAILED: {failure}"))?;
    writeln!(out, "{}", results.validity.to_string().to_uppercase())
}

fn cases(out: &mut impl Write, word: &str, anomalies: &BTreeMap<String, Cases>) -> io::Result<()> {
    for (name, found) in anomalies {
        writeln!(out, "  {word} {name}: {}", found.count)?;
        for case in found.examples.iter().take(3) {
            writeln!(out, "    log or register {}: {} (events {:?})", case.key, case.words, case.events)?;
        }
    }
    Ok(())
}
