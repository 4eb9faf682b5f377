//! `bench`: the own search beside stateright's checkers, on the same bounds in one run.
//!
//! Every engine takes its turn at a bound before any takes its next, so that what else the machine does falls on all alike.
//! Told are the median and the spread of several turns.

use std::io::{self, Write};

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::{Spend, named, shown};
use crate::engine::EngineName;
use crate::registry::Timing;
use crate::report::text::grouped;

/// Bounds that every engine exhausts within seconds.
const USUAL: &[(&str, &str)] = &[
    ("quorum", "elections=2 values=1 resends=1"),
    ("metadata", "fences=1 kills=1 in-flight=1"),
    ("replication", "brokers=3 elections=1 shrinks=1 flush=os writes=at-once"),
];

/// What to time.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// quorum, metadata, replication, or all at bounds of medium size
    #[arg(default_value = "all")]
    model: String,
    /// Bounds as key=value (see `verify list`)
    bounds: Vec<String>,
    /// How often each engine takes its turn
    #[arg(long, value_name = "K", default_value_t = 3)]
    repeat: u16,
    #[command(flatten)]
    spend: Spend,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// Several turns of one engine at one bound.
#[derive(Debug, Serialize)]
struct Row {
    model: &'static str,
    bounds: String,
    engine: &'static str,
    unique: u64,
    generated: u64,
    exhausted: bool,
    /// Median, least and most.
    seconds: [f64; 3],
    steps_per_second: u64,
    states_per_second: u64,
    /// Steps per second of the own search, by those of this engine.
    own_is_faster_by: f64,
}

/// Times what is asked for; gives the exit code.
pub(super) fn bench(asked: &Bench) -> anyhow::Result<u8> {
    if asked.model == "all" && !asked.bounds.is_empty() {
        bail!("bounds belong to one model; name it instead of `all`");
    }
    if asked.spend.memory.is_some() {
        bail!("stateright's checkers keep no limit of memory; use --timeout");
    }
    let mut rows = Vec::new();
    for world in named(&asked.model)? {
        let usual = USUAL.iter().filter(|(model, _)| *model == world.name());
        let bounds: Vec<String> = match usual.map(|(_, bounds)| bounds).next() {
            Some(usual) if asked.bounds.is_empty() => usual.split(' ').map(str::to_owned).collect(),
            _ => asked.bounds.clone(),
        };
        let mut turns = EngineName::ALL.map(|engine| (engine, Vec::new()));
        for _ in 0..asked.repeat.max(1) {
            for (engine, timings) in &mut turns {
                timings.push(world.time(&bounds, *engine, asked.spend.limits())?);
            }
        }
        rows.extend(compared(world.name(), &bounds.join(" "), &turns));
    }
    let mut out = io::stdout().lock();
    let threads = asked.spend.limits().threads;
    shown(if asked.json {
        writeln!(out, "{}", serde_json::json!({ "threads": threads, "repeat": asked.repeat, "rows": rows }))
    } else {
        show(&mut out, &rows, threads)
    })?;
    let differ = rows.iter().filter(|row| row.exhausted).any(|row| {
        let same = |other: &&Row| other.exhausted && (other.model, &other.bounds) == (row.model, &row.bounds);
        rows.iter().filter(same).any(|other| other.unique != row.unique)
    });
    if differ {
        bail!("the engines count different states");
    }
    Ok(if rows.iter().all(|row| row.exhausted) { 0 } else { 5 })
}

fn compared(model: &'static str, bounds: &str, turns: &[(EngineName, Vec<Timing>)]) -> Vec<Row> {
    let row = |(engine, timings): &(EngineName, Vec<Timing>)| {
        let mut seconds: Vec<f64> = timings.iter().map(|timing| timing.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let (least, most) = (seconds.first().copied()?, seconds.last().copied()?);
        let median = seconds.get(seconds.len() / 2).copied()?;
        let last = timings.last()?;
        Some(Row {
            model,
            bounds: bounds.to_owned(),
            engine: engine.name(),
            unique: last.unique,
            generated: last.generated,
            exhausted: timings.iter().all(|timing| timing.exhausted),
            seconds: [median, least, most],
            steps_per_second: rate(last.generated, median),
            states_per_second: rate(last.unique, median),
            own_is_faster_by: 1.0,
        })
    };
    let mut rows: Vec<Row> = turns.iter().filter_map(row).collect();
    let own = rows.first().map_or(0, |row| row.steps_per_second);
    for row in &mut rows {
        row.own_is_faster_by = ratio(own, row.steps_per_second);
    }
    rows
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people to read"
)]
fn rate(count: u64, seconds: f64) -> u64 {
    (count as f64 / seconds.max(1e-9)) as u64
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people to read")]
fn ratio(one: u64, other: u64) -> f64 {
    (one as f64 * 100.0 / other.max(1) as f64).round() / 100.0
}

fn show(out: &mut dyn Write, rows: &[Row], threads: usize) -> io::Result<()> {
    let mut before = "";
    for row in rows {
        if row.bounds != before {
            writeln!(out, "{} {} ({threads} threads)", row.model, row.bounds)?;
            before = &row.bounds;
        }
        let [median, least, most] = row.seconds;
        let ended = if row.exhausted { "" } else { ", NOT exhausted" };
        writeln!(
            out,
            "  {:<15} {:>12} states {:>14} steps/s {:>12} states/s  {median:.2} s ({least:.2} to {most:.2})  \
             own/this {:.2}{ended}",
            row.engine,
            grouped(row.unique),
            grouped(row.steps_per_second),
            grouped(row.states_per_second),
            row.own_is_faster_by
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(seconds: f64) -> Timing {
        Timing { unique: 10, generated: 600, seconds, exhausted: true }
    }

    #[test]
    fn the_median_turn_counts_and_the_own_search_is_held_against_the_others() {
        let own = (EngineName::Own, vec![timing(3.0), timing(1.0), timing(2.0)]);
        let theirs = (EngineName::StaterightDfs, vec![timing(4.0)]);
        let rows = compared("jugs", "large=5", &[own, theirs]);

        assert_eq!(rows[0].seconds, [2.0, 1.0, 3.0]);
        assert_eq!((rows[0].steps_per_second, rows[1].steps_per_second), (300, 150));
        assert_eq!((rows[0].own_is_faster_by, rows[1].own_is_faster_by), (1.0, 2.0));
    }
}
