//! The command line: reads what is asked, runs it, shows it, and ends with the exit code that says how it went.
//!
//! Exit codes: 0 exhausted and all holds (or all mutants caught), 2 the question is not understood, 4 a violation (or a
//! mutant that survives), 5 not concluded: the budget ran out first (of a mutant, too, which then is not known to survive), a
//! part of the check failed, a recording cannot be followed, or directories cannot be audited.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Parser, Subcommand};
use highwater_model::fault::Bug;

use crate::catalogue::NOT_APPLICABLE;
use crate::engine::{EngineName, peak_resident_bytes};
use crate::registry::{Request, USUAL, World, recoveries, with_parent, worlds};
use crate::report::properties::page;
use crate::report::{Conclusion, MutantRow, Sweep, text};

mod audit;
mod bench;
mod keep;
mod merge;
mod part;
mod replay;
mod screen;
mod spend;
mod trace;
mod walk;

use keep::Keep;
use replay::{Replay, replay};
use screen::Terminal;
use spend::Spend;

/// Checks Highwater's protocol cores exhaustively, within stated bounds.
#[derive(Debug, Parser)]
#[command(
    name = "verify",
    version,
    after_help = "Exit codes: 0 exhausted and all holds, 2 usage, \
    4 a violation, 5 not concluded (out of budget, a part failed, a recording that cannot be followed, nothing to audit)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Visits every state of a model within bounds and evaluates every property in each
    Check(Check),
    /// Plants known bugs of real systems, one at a time, and demands that each is caught
    Mutants(Mutants),
    /// Takes the steps of a counterexample again, on the code of this build
    Replay(Replay),
    /// Puts the results of all shards of a sweep together (check --shard i/n --json)
    Merge(merge::Merge),
    /// Times the own search beside stateright's checkers, on the same bounds in one run
    Bench(bench::Bench),
    /// Serves stateright's Explorer on the loopback interface, to walk through a model by hand
    Explore(Explore),
    /// Replays what all brokers recorded of themselves (`trace.dir`), and judges it together
    Trace(trace::Trace),
    /// Holds what a stopped cluster has on its disks against itself, and against what its clients were told
    Audit(audit::Audit),
    /// Lists the models, their bounds and the bugs that can be planted
    List,
    /// Writes the page of properties, docs/PROPERTIES.md
    Properties,
}

#[derive(Debug, Args)]
struct Check {
    /// quorum, metadata, replication, or all
    model: String,
    /// Bounds as key=value (see `verify list`); without any, the profile's whole sweep
    bounds: Vec<String>,
    /// A sweep of many bounds, two at a time: one lane up from the smallest, one down from the largest; `quick` unless told
    /// otherwise
    #[arg(long, conflicts_with = "bounds")]
    profile: Option<String>,
    /// Tries, instead of the properties, whether states recover once faults stop: from each whose fingerprint is a multiple
    /// of the bound `sample`
    #[arg(long)]
    liveness: bool,
    /// Plants this bug of the catalogue (B-01 …); by default at the bounds that show it
    #[arg(long, value_name = "ID")]
    mutant: Option<String>,
    #[command(flatten)]
    walk: walk::Walk,
    #[command(flatten)]
    part: part::Part,
    /// What searches: own, stateright-dfs or stateright-bfs. Stateright's see no claim that only a step can break or meet
    #[arg(long, default_value = "own", conflicts_with = "walk")]
    engine: EngineName,
    #[command(flatten)]
    spend: Spend,
    #[command(flatten)]
    keep: Keep,
    /// Shows what is in flight after each step of a counterexample
    #[arg(long, short)]
    verbose: bool,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
    /// Ends when standard input does: another run of this program waits for this one
    #[arg(long, hide = true)]
    with_parent: bool,
}

#[derive(Debug, Args)]
struct Mutants {
    /// quorum, metadata, replication, or all
    #[arg(default_value = "all")]
    model: String,
    /// Writes each counterexample into this folder, as MODEL-ID.json and MODEL-ID.html, further ones of a bug as MODEL-ID-2
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    spend: Spend,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Explore {
    /// quorum, metadata or replication
    model: String,
    /// Bounds as key=value (see `verify list`)
    bounds: Vec<String>,
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(asked) => check(&asked),
        Command::Mutants(asked) => mutants(&asked),
        Command::Replay(asked) => replay(&asked),
        Command::Merge(asked) => merge::merge(&asked),
        Command::Bench(asked) => bench::bench(&asked),
        Command::Explore(asked) => explore(&asked),
        Command::Trace(asked) => trace::trace(&asked),
        Command::Audit(asked) => audit::audit(&asked),
        Command::List => list(),
        Command::Properties => properties(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        // Whoever read the output does not want more of it, and does not know how it ends.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(is_closed) => ExitCode::from(5),
        Err(error) => {
            let _ = writeln!(io::stderr(), "verify: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether the reader of the output went away, as `head` does.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// What came of showing something. That the reader went away is no reason to conclude anything else.
fn shown(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if is_closed(&error) => Ok(()),
        other => Ok(other?),
    }
}

/// The worlds of this name.
fn named(name: &str) -> anyhow::Result<Vec<Box<dyn World>>> {
    let all = worlds();
    let names: Vec<&str> = all.iter().map(|world| world.name()).collect();
    let known = format!("the models are {}, or all", names.join(", "));
    let found: Vec<_> = all.into_iter().filter(|world| name == "all" || world.name() == name).collect();
    if found.is_empty() { Err(anyhow!("there is no model `{name}`; {known}")) } else { Ok(found) }
}

/// The worlds of this name, which there is, with the claims of their recovery runs.
fn recovering(name: &str) -> Vec<Box<dyn World>> {
    let name = format!("{name}-liveness");
    recoveries().into_iter().filter(|world| name == "all-liveness" || world.name() == name).collect()
}

fn check(asked: &Check) -> anyhow::Result<u8> {
    if asked.with_parent {
        with_parent();
    }
    let planted = match &asked.mutant {
        Some(id) => Some(Bug::by_id(id).ok_or_else(|| anyhow!("there is no bug `{id}`; see `verify list`"))?),
        None => None,
    };
    let mut request = Request {
        profile: asked.profile.clone(),
        bounds: asked.bounds.clone(),
        planted,
        walk: asked.walk.plan(&asked.spend),
        program: part::program(),
        only: None,
        engine: asked.engine,
        limits: asked.spend.limits(),
    };
    let chosen = chosen(asked, &request)?;
    chosen.iter().try_for_each(|world| world.accept(&request))?;
    let part = asked.part.of(request.profile(), &chosen)?;
    let places = asked.keep.places()?;
    let mut screen = Terminal::new(!asked.json, asked.verbose);
    let mut sweeps = Vec::new();
    let (mut left, mut models) = (request.limits.timeout, u32::try_from(chosen.len())?);
    for (at, world) in chosen.into_iter().enumerate() {
        request.only = part.as_ref().map(|part| part.places(at));
        // Walks would take all the time that there is: each model gets its share.
        let share = if request.walk.is_some() { models } else { 1 };
        request.limits.timeout = left.map(|left| left / share);
        let sweep = world.check(&request, &mut screen)?;
        let spent = Duration::from_secs_f64(sweep.seconds);
        left = left.map(|left| left.saturating_sub(spent));
        models -= 1;
        if !asked.json {
            shown(text::sweep(&mut io::stdout().lock(), &sweep))?;
        }
        sweeps.push(sweep);
    }
    places.keep_first(&sweeps)?;
    conclude(asked, &sweeps, part.as_ref())
}

/// The worlds that are to be checked. Of all of them those are left out that do not know the bug, or have no such profile.
fn chosen(asked: &Check, request: &Request) -> anyhow::Result<Vec<Box<dyn World>>> {
    let known = named(&asked.model)?;
    let mut chosen = if asked.liveness { recovering(&asked.model) } else { known };
    if asked.model != "all" {
        return Ok(chosen);
    }
    if !asked.bounds.is_empty() {
        bail!("bounds belong to one model; name it instead of `all`");
    }
    if let Some(bug) = request.planted {
        chosen.retain(|world| world.catches(bug));
        return if chosen.is_empty() {
            Err(anyhow!("no model has a mutant for this bug"))
        } else {
            Ok(chosen)
        };
    }
    let profile = request.profile();
    let (with, without): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|world| !world.listed(profile).bounds.is_empty());
    if with.is_empty() {
        bail!("no model has a profile `{profile}`; `{USUAL}` is the one that every model has");
    }
    for world in without {
        writeln!(io::stderr(), "{} has no profile `{profile}` and is left out", world.name())?;
    }
    Ok(with)
}

fn conclude(asked: &Check, sweeps: &[Sweep], part: Option<&part::Taken>) -> anyhow::Result<u8> {
    let worst = sweeps.iter().map(|sweep| sweep.conclusion).max().unwrap_or(Conclusion::Holds);
    let runs = || sweeps.iter().flat_map(|sweep| &sweep.runs);
    let peak = runs().map(|run| run.peak_rss).chain([peak_resident_bytes()]).max().flatten();
    if asked.json {
        let mut document = serde_json::json!({ "conclusion": worst, "models": sweeps, "peak_rss": peak });
        let found = runs().find_map(|run| run.violation.as_ref());
        let fields = document.as_object_mut().filter(|_| asked.with_parent);
        if let (Some(found), Some(fields)) = (found, fields) {
            fields.insert("story".to_owned(), serde_json::json!(found.story));
        }
        part.into_iter().for_each(|part| part.tell(&mut document));
        shown(writeln!(io::stdout().lock(), "{document}"))?;
    } else if let Some(bytes) = peak {
        let mib = text::grouped(bytes >> 20);
        shown(writeln!(io::stdout().lock(), "at most {mib} MiB of memory in one process"))?;
    }
    Ok(worst.exit_code())
}

fn mutants(asked: &Mutants) -> anyhow::Result<u8> {
    asked.out.as_deref().map_or(Ok(()), keep::folder)?;
    let mut screen = Terminal::new(false, false);
    let (limits, program) = (asked.spend.limits(), part::program());
    let mut rows: Vec<MutantRow> = Vec::new();
    for world in named(&asked.model)?.into_iter().chain(recovering(&asked.model)) {
        rows.extend(world.mutants(None, program.as_deref(), limits, &mut screen));
    }
    asked.out.as_deref().map_or(Ok(()), |folder| keep::keep_all(folder, &rows))?;
    let worst = rows.iter().map(|row| row.conclusion).max().unwrap_or(Conclusion::Holds);
    shown(show_mutants(asked, &rows, worst == Conclusion::Holds))?;
    Ok(worst.exit_code())
}

fn show_mutants(asked: &Mutants, rows: &[MutantRow], caught: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if asked.json {
        let document =
            serde_json::json!({ "all_caught": caught, "mutants": rows, "not_applicable": NOT_APPLICABLE });
        return writeln!(out, "{document}");
    }
    text::mutants(&mut out, rows)?;
    if asked.model == "all" { text::not_applicable(&mut out) } else { Ok(()) }
}

fn explore(asked: &Explore) -> anyhow::Result<u8> {
    if asked.model == "all" {
        bail!("explore one model at a time");
    }
    for world in named(&asked.model)? {
        writeln!(io::stderr(), "http://127.0.0.1:{}/ shows {}; end with Ctrl-C", asked.port, world.name())?;
        world.explore(&asked.bounds, asked.port)?;
    }
    Ok(0)
}

fn properties() -> anyhow::Result<u8> {
    shown(write!(io::stdout().lock(), "{}", page()))?;
    Ok(0)
}

fn list() -> anyhow::Result<u8> {
    shown(write_list(&mut io::stdout().lock()))?;
    Ok(0)
}

fn write_list(out: &mut dyn io::Write) -> io::Result<()> {
    for world in worlds() {
        writeln!(out, "{}", world.name())?;
        for (key, meaning) in world.fields() {
            writeln!(out, "  {key:<18}{}", meaning.trim())?;
        }
    }
    writeln!(out, "\nbugs")?;
    for bug in Bug::ALL {
        let models: Vec<&str> =
            worlds().iter().filter(|world| world.catches(*bug)).map(|w| w.name()).collect();
        writeln!(out, "  {:<6} {:<24} {}", bug.id(), models.join(" "), bug.what())?;
    }
    Ok(())
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
    fn a_reader_that_goes_away_changes_no_conclusion() {
        let failed = |kind: io::ErrorKind| shown(Err(kind.into()));

        assert!(failed(io::ErrorKind::BrokenPipe).is_ok());
        assert!(failed(io::ErrorKind::StorageFull).is_err());
    }

    #[test]
    fn more_threads_than_any_machine_has_are_refused() {
        let threads = |count: &str| Cli::try_parse_from(["verify", "check", "quorum", "--threads", count]);

        assert!(threads("1").is_ok() && threads("256").is_ok());
        assert!(threads("0").is_err() && threads("257").is_err() && threads("100000").is_err());
        assert!(Cli::try_parse_from(["verify", "check", "quorum", "--walk", "--steps", "0"]).is_err());
    }

    /// The models that a command would check.
    fn models(command: &[&str]) -> Vec<&'static str> {
        let Ok(Command::Check(asked)) = Cli::try_parse_from(command).map(|cli| cli.command) else {
            panic!("a check")
        };
        let request = Request { profile: asked.profile.clone(), ..Request::default() };
        chosen(&asked, &request)
            .map(|worlds| worlds.iter().map(|world| world.name()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn of_all_models_those_with_the_profile_are_checked() {
        assert_eq!(models(&["verify", "check", "all"]), ["quorum", "metadata", "replication"]);
        assert!(models(&["verify", "check", "all", "--profile", "deep"]).contains(&"replication"));
        assert_eq!(models(&["verify", "check", "all", "--profile", "none"]), [""; 0]);
    }
}
