//! `simulate --seeds A..B`: runs the deterministic simulation for some seeds and prints a line for each.
//!
//! The lines are the same in every run; how long it took goes to the standard error. Exit 4 when a promise was broken or
//! a run did not come to its end, which under a control is what is hoped for.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use highwater_model::fault::{Bug, Slip};
use highwater_tests::simulation::{Control, Identities, Report, Scenario};

/// Runs three simulated brokers and a client through faults drawn from each seed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Seeds to run, A..B, B exclusive; `N` alone is one seed
    #[arg(long, value_parser = seeds, default_value = "0..30")]
    seeds: Range<u64>,
    /// Runs the seeds in falling order, which must make no difference
    #[arg(long)]
    backwards: bool,
    /// What to take away: none, lying-sync, os-flush, unreachable, or the id of a bug to plant in the brokers
    #[arg(long, value_parser = control, default_value = "none")]
    control: Control,
    /// Ends after the first run that lost an acknowledged record
    #[arg(long)]
    until_lost: bool,
    /// Ends after the first run that was not clean
    #[arg(long)]
    until_found: bool,
    /// Writes every event of the last run to this file
    #[arg(long)]
    events: Option<PathBuf>,
    /// Writes what the brokers recorded of themselves in the last run into this directory
    #[arg(long)]
    traces: Option<PathBuf>,
}

/// More than a run records.
const RECORDED_BYTES_MAX: usize = 256 << 20;

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|seed| seed..seed + 1),
    }
}

fn control(text: &str) -> Result<Control, String> {
    match text {
        "none" => Ok(Control::Nothing),
        "lying-sync" => Ok(Control::LyingSync),
        "os-flush" => Ok(Control::OsFlush),
        "unreachable" => Ok(Control::Unreachable),
        id => planted(id).ok_or_else(|| {
            "give one of none | lying-sync | os-flush | unreachable, or the id of a bug".to_owned()
        }),
    }
}

fn planted(id: &str) -> Option<Control> {
    Bug::by_id(id).map(Control::Planted).or_else(|| Slip::by_id(id).map(Control::Slipping))
}

fn main() -> ExitCode {
    show_logs();
    let arguments = Arguments::parse();
    let identities = Identities::new().expect("keys and certificates can be made");
    let mut seeds: Vec<u64> = arguments.seeds.clone().collect();
    if arguments.backwards {
        seeds.reverse();
    }
    let mut all_clean = true;
    for seed in seeds {
        let events_kept = if arguments.events.is_some() { usize::MAX } else { 0 };
        let began = Instant::now();
        let scenario = Scenario {
            seed,
            control: arguments.control,
            events_kept,
            recorded_bytes_max: arguments.traces.is_some().then_some(RECORDED_BYTES_MAX),
        };
        let report = scenario.run(&identities);
        let real_ms = began.elapsed().as_millis();
        show(&report, real_ms);
        if let Some(path) = &arguments.events {
            write_events(path, &report);
        }
        if let Some(dir) = &arguments.traces {
            report.write_recordings(dir).expect("the files for the traces can be written");
        }
        all_clean &= report.is_clean();
        let is_lost = arguments.until_lost && report.lost() > 0;
        if is_lost || (arguments.until_found && !report.is_clean()) {
            break;
        }
    }
    if all_clean { ExitCode::SUCCESS } else { ExitCode::from(4) }
}

fn show(report: &Report, real_ms: u128) {
    // A closed pipe ends the show, not the runs.
    let _ = writeln!(std::io::stdout(), "{report}");
    let ratio = report.simulated.as_millis() / real_ms.max(1);
    let _ = writeln!(std::io::stderr(), "seed {} took {real_ms} ms, {ratio} times as fast", report.seed);
}

fn write_events(path: &Path, report: &Report) {
    let mut text = report.events.join("\n");
    text.push('\n');
    std::fs::write(path, text).expect("the file for the events can be written");
}

/// Shows what the brokers say, if `RUST_LOG` asks for it.
fn show_logs() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
