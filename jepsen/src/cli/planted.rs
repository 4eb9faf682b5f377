//! `jepsen planted`: whether the harness finds what is planted in simulated brokers.

use std::io::{self, Write as _};

use clap::Args;
use jepsen_judge::verdict::Validity;

use super::Misuse;
use crate::planted::{ALL, Planted};

/// What to look for.
#[derive(Debug, Args)]
pub(super) struct PlantedArguments {
    /// Ids of faults; all if none is given
    ids: Vec<String>,
    /// How many seeds to run at most until a fault is found
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// How many seeds to run at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
}

/// Looks for each fault; the harness is invalid if it misses one.
pub(super) fn run(arguments: &PlantedArguments) -> anyhow::Result<Validity> {
    let is_asked =
        |planted: &&Planted| arguments.ids.is_empty() || arguments.ids.iter().any(|id| id == planted.id);
    let asked: Vec<&Planted> = ALL.iter().filter(is_asked).collect();
    if let Some(id) = arguments.ids.iter().find(|id| !ALL.iter().any(|planted| planted.id == **id)) {
        let known: Vec<&str> = ALL.iter().map(|planted| planted.id).collect();
        let what = format!("{id:?} is no planted fault: give some of {}", known.join(", "));
        return Err(Misuse(what).into());
    }
    let mut missed = 0;
    for planted in &asked {
        let sought = planted.seek(arguments.seeds, arguments.jobs)?;
        missed += u64::from(sought.found.is_none());
        let mut out = io::stdout().lock();
        let word = if sought.found.is_some() { "found" } else { "MISSED" };
        writeln!(out, "{word:<7} {:<10} after {:>3} seeds: {}", planted.id, sought.seeds, planted.what)?;
        if let Some(line) = &sought.found {
            let anomalies: Vec<String> =
                line.anomalies.iter().map(|(name, count)| format!("{name} {count}")).collect();
            writeln!(out, "        seed {}: {}", line.seed, anomalies.join(", "))?;
        }
        if let Some(line) = &sought.noticed {
            let noticed =
                |failure: &String| writeln!(out, "        noticed in seed {}: {failure}", line.seed);
            line.failures.iter().take(1).try_for_each(noticed)?;
        }
    }
    writeln!(io::stdout(), "{} of {} planted faults found", asked.len() as u64 - missed, asked.len())?;
    Ok(if missed == 0 { Validity::Valid } else { Validity::Invalid })
}
