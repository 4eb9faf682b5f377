//! The command line of `mutate`.
//!
//! Exit codes: 0 done, and no survivor is without an explanation; 2 the question is not understood, or cannot be answered;
//! 4 there are such survivors, explanations of none, or mutants that were not run.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::explained::Explained;
use crate::instrument::{Without, instrument};
use crate::mutant::Mutant;
use crate::report::Report;
use crate::results::{load, source_of};
use crate::run::{Asked, run};
use crate::workbench::Workbench;

/// Makes every small mistake in the protocol cores, one at a time, and says who notices.
#[derive(Debug, Parser)]
#[command(
    name = "mutate",
    version,
    after_help = "Exit codes: 0 done, 2 usage, 4 a survivor without an explanation, or a mutant without a result."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compiles all mutants at once and puts each to the unit tests and to a sweep
    Run(Run),
    /// Says who noticed what, and what nobody noticed
    Report(Tell),
    /// Lists the mutants that can be made, those that do not compile among them
    List,
}

#[derive(Debug, Args)]
struct Run {
    /// Runs part I of N: every N-th mutant, on any machine
    #[arg(long, value_name = "I/N", value_parser = shard, default_value = "1/1")]
    shard: (usize, usize),
    /// Appends a line for each mutant; what is there already is not run again
    #[arg(long, default_value = "target/mutation/results.jsonl")]
    out: PathBuf,
    /// Runs this many at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Processor time after which a judge is stopped, in seconds
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Puts every mutant first to bounds that take this together, in seconds: what is noticed is noticed soon
    #[arg(long, default_value_t = 1.0)]
    first: f64,
    /// Runs again what survived so far, and nothing else
    #[arg(long)]
    survivors_again: bool,
    /// Asks no sweep and builds no checker: what sweeps said before stands
    #[arg(long)]
    tests_only: bool,
    /// Only mutants with this in `FILE FUNCTION: CHANGE`
    #[arg(long)]
    only: Option<String>,
    /// Where the copy of the workspace is made and compiled
    #[arg(long, default_value = "target/mutation/copy")]
    copy: PathBuf,
}

#[derive(Debug, Args)]
struct Tell {
    /// Files that runs made
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let (part, parts) = text.split_once('/').ok_or("give I/N, as 1/4")?;
    match (part.parse::<usize>(), parts.parse()) {
        (Ok(part), Ok(parts)) if (1..=parts).contains(&part) => Ok((part - 1, parts)),
        _ => Err(format!("`{text}` is no part such as 1/4 or 4/4")),
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(asked) => run_command(asked),
        Command::Report(asked) => report(&asked),
        Command::List => list(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "mutate: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The workspace that this binary was built in, if it is there, or else the one that it is started in.
fn root() -> anyhow::Result<PathBuf> {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let here = if built_in.join("model/src/lib.rs").exists() { built_in } else { PathBuf::from(".") };
    here.canonicalize().context("the workspace")
}

fn run_command(asked: Run) -> anyhow::Result<u8> {
    let root = root()?;
    let copy = root.join(&asked.copy);
    std::fs::create_dir_all(&copy)?;
    let out = root.join(&asked.out);
    let asked = Asked {
        shard: asked.shard,
        out,
        jobs: asked.jobs,
        seconds: asked.seconds,
        first: asked.first,
        survivors_again: asked.survivors_again,
        tests_only: asked.tests_only,
        only: asked.only,
    };
    let tell = |line: &str| {
        let _ = writeln!(io::stderr(), "{line}");
    };
    let added = run(&Workbench { root, copy }, &asked, &tell)?;
    tell(&format!("{added} verdicts added to {}", asked.out.display()));
    Ok(0)
}

/// Every mutant that can be made of the cores, by file and line, each with the number of its source.
fn mutants(root: &Path) -> anyhow::Result<Vec<(Mutant, u64)>> {
    let bench = Workbench { root: root.to_owned(), copy: PathBuf::new() };
    let mut mutants = Vec::new();
    for source in bench.sources()? {
        let made = instrument(&source.name, &source.text, 0, &Without::default())?.mutants;
        let number = source_of(&source.text);
        mutants.extend(made.into_iter().map(|mutant| (mutant, number)));
    }
    mutants.sort();
    Ok(mutants)
}

fn report(asked: &Tell) -> anyhow::Result<u8> {
    let root = root()?;
    let report = Report::new(&mutants(&root)?, &load(&asked.results)?, &Explained::load(&root)?);
    let mut out = io::stdout().lock();
    if asked.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        report.print(&mut out)?;
    }
    let clean = report.gaps().next().is_none() && report.stale.is_empty() && report.not_run == 0;
    Ok(if clean { 0 } else { 4 })
}

fn list() -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    for (Mutant { file, line, function, change }, _) in mutants(&root()?)? {
        writeln!(out, "{file}:{line} {function}: {change}")?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_shard_is_a_part_of_a_whole() {
        assert_eq!(shard("1/1"), Ok((0, 1)));
        assert_eq!(shard("4/4"), Ok((3, 4)));
        assert!(shard("0/4").is_err());
        assert!(shard("5/4").is_err());
        assert!(shard("half").is_err());
    }
}
