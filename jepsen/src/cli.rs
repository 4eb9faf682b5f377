//! The `jepsen` command: exits with 0 if what it judged is valid, 4 if not, 5 if it cannot tell, 2 if it was told nonsense.

mod planted;
mod run;
mod show;
mod simulate;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jepsen_judge::verdict::Validity;

use crate::store::{Store, StoreError};
use crate::{report, verdicts};

/// Attacks clusters of Highwater and judges what they promised.
#[derive(Debug, Parser)]
#[command(version, name = "jepsen")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a cluster, breaks it while clients work, mends it, and judges what they were told
    Run(run::RunArguments),
    /// Plants known faults in simulated brokers, and shows after how many seeds each is found
    Planted(planted::PlantedArguments),
    /// Judges the history of a run once more
    Check {
        /// The run's directory
        dir: PathBuf,
        /// Prints the results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Judges the history of a run once more, writes its report and prints where that is
    Report {
        /// The run's directory
        dir: PathBuf,
    },
}

/// What was asked for cannot be had, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Brokers with a fault complain all the time.
    let quiet = matches!(arguments.command, Command::Planted(_)) && std::env::var_os("RUST_LOG").is_none();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let filter = if quiet { tracing_subscriber::EnvFilter::new("off") } else { filter };
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Planted(arguments) => planted::run(&arguments),
        Command::Check { dir, json } => check(&dir, json),
        Command::Report { dir } => report(&dir),
    };
    match done {
        Ok(validity) => exit_code(validity),
        Err(error) => {
            eprintln!("error: {error:#}");
            let is_misuse = error.is::<StoreError>() || error.is::<Misuse>();
            ExitCode::from(if is_misuse { 2 } else { 5 })
        }
    }
}

fn exit_code(validity: Validity) -> ExitCode {
    match validity {
        Validity::Valid => ExitCode::SUCCESS,
        Validity::Invalid => ExitCode::from(4),
        Validity::Unknown => ExitCode::from(5),
    }
}

fn check(dir: &std::path::Path, json: bool) -> anyhow::Result<Validity> {
    let store = Store::open(dir);
    let run = store.run()?;
    let results = verdicts::results(&run, &store.history())?;
    show::results(&run, &results, json)?;
    Ok(results.validity)
}

fn report(dir: &std::path::Path) -> anyhow::Result<Validity> {
    let store = Store::open(dir);
    let run = store.run()?;
    let results = verdicts::results(&run, &store.history())?;
    let path = report::write(&store, &run, &results)?;
    writeln!(std::io::stdout(), "{}", path.display())?;
    Ok(results.validity)
}
