//! `jepsen run --on sim`: one seed, or a campaign over many.

use std::io::{self, Write as _};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use highwater_transport::env::Env;
use jepsen_judge::verdict::Validity;
use serde_json::json;

use super::run::{RunArguments, Workload, fresh_store};
use crate::campaign::{Campaign, Line, Shard, Summary, seeds};
use crate::cli::{Misuse, show};
use crate::cluster::simulated::{Identities, Plant};
use crate::evidence::beside;
use crate::nemesis::{Pace, Troubles};
use crate::report;
use crate::run::Plan;
use crate::simulation::{Finished, Scenario, verified};
use crate::store::Store;
use crate::workload::{Work, log, register};

/// How to run many seeds.
#[derive(Debug, Args)]
pub(super) struct CampaignArguments {
    /// Runs these seeds, A..B, B exclusive, on simulated machines
    #[arg(long, value_parser = seeds, conflicts_with = "seed")]
    pub(super) seeds: Option<Range<u64>>,
    /// How many seeds to run at once
    #[arg(long, default_value_t = 1, requires = "seeds", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: u16,
    /// Which of the seeds: I/N is each N-th of them from the I-th on, I from 0
    #[arg(long, default_value = "0/1", requires = "seeds")]
    shard: Shard,
    /// Runs the seeds in falling order, which must make no difference
    #[arg(long, hide = true, requires = "seeds")]
    backwards: bool,
    /// Ends after the first seed that is invalid
    #[arg(long, hide = true, requires = "seeds")]
    until_found: bool,
    /// Has `verify trace` and `verify audit` judge what the machines of each seed leave; of a single seed they always do
    #[arg(long, requires = "seeds")]
    verified: bool,
    /// Test-only: what to plant in the brokers: none, lying-sync, or the id of a bug
    #[arg(long, hide = true, default_value = "none", value_parser = Plant::parse)]
    pub(super) plant: Plant,
}

impl CampaignArguments {
    /// Whether `verify` is to judge what machines leave: of one seed always, of many where it is asked for.
    fn keeps_evidence(&self) -> bool {
        self.seeds.is_none() || self.verified
    }
}

/// Runs one seed or many.
pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<Validity> {
    let brokers = u8::try_from(arguments.brokers).context("too many brokers")?;
    let identities = Identities::new(brokers).context("no keys can be made")?;
    let scenario = scenario(arguments);
    match &arguments.campaign.seeds {
        Some(seeds) => many(arguments, &identities, (scenario, seeds.clone())),
        None => one(arguments, &identities, &scenario),
    }
}

fn scenario(arguments: &RunArguments) -> Scenario {
    let RunArguments { workload, nemesis, time, brokers, flush_policy, .. } = arguments;
    let name = workload.name();
    let plant = arguments.campaign.plant;
    let planted = plant.word().map(|word| format!(" --plant {word}")).unwrap_or_default();
    let rerun = format!(
        "jepsen run --workload {name} --nemesis {} --time {time} --on sim --brokers {brokers} --flush-policy {flush_policy}{planted}",
        nemesis.text
    );
    let work = match workload {
        Workload::Log => Work::Log(log::Plan {
            flush_policy: flush_policy.clone(),
            salvages: plant == Plant::LyingSync,
            ..log::Plan::simulated()
        }),
        Workload::Register => Work::Register(register::Plan::default()),
    };
    let time = Duration::from_secs(*time);
    let troubles = Troubles { kinds: nemesis.kinds.clone(), pace: Pace::default(), frail: None };
    let plan = Plan { seed: 0, time, troubles, work };
    Scenario { plan, plant, rerun, keeps_evidence: arguments.campaign.keeps_evidence() }
}

/// Runs a seed, and keeps what it leaves.
fn one(arguments: &RunArguments, identities: &Identities, scenario: &Scenario) -> anyhow::Result<Validity> {
    let seed = arguments.seed.unwrap_or_else(|| Env::real().random_u64() >> 16);
    let store = Store::create(&arguments.store.clone().unwrap_or_else(|| fresh_store(seed)))?;
    eprintln!("seed {seed}, {}", store.dir().display());
    let clock = Env::real();
    let began = clock.now();
    let finished = scenario.run(seed, identities)?;
    let took = clock.now().since(began);
    let finished = match beside(&std::env::current_exe()?) {
        Some(verify) => verified(finished, &verify, &store)?,
        None => finished,
    };
    let line = Line::of(&finished, took);
    store.write(&finished)?;
    show::results(&finished.run, &finished.results, arguments.json)?;
    if !arguments.json {
        writeln!(io::stdout(), "{line}")?;
    }
    eprintln!("{}", line.speed());
    eprintln!("{}", report::write(&store, &finished.run, &finished.results)?.display());
    Ok(finished.validity())
}

fn no_verify() -> Misuse {
    Misuse(
        "there is no `verify` beside this program: build it with `cargo build --release --bin verify`"
            .to_owned(),
    )
}

fn many(
    arguments: &RunArguments,
    identities: &Identities,
    (scenario, seeds): (Scenario, Range<u64>),
) -> anyhow::Result<Validity> {
    let CampaignArguments { jobs, shard, backwards, until_found, verified, .. } = &arguments.campaign;
    let stores = arguments.store.clone().unwrap_or_else(|| PathBuf::from("store"));
    let verify =
        if *verified { Some(beside(&std::env::current_exe()?).ok_or_else(no_verify)?) } else { None };
    let verified_by = verify.map(|verify| (verify, stores.clone()));
    let campaign = Campaign { scenario, seeds: shard.of(seeds, *backwards), jobs: *jobs, verified_by };
    let mut unkept = None;
    let summary = campaign.run(identities, |finished: &Finished, line: &Line| {
        let shown = show_line(line, arguments.json).map_err(anyhow::Error::from);
        let kept = keep(finished, &stores);
        unkept = unkept.take().or_else(|| shown.and(kept).err());
        let is_found = *until_found && line.validity == Validity::Invalid;
        if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    show_summary(&summary, arguments.json)?;
    if let Some(error) = unkept {
        // What was found is worth more than that it could not be kept.
        if summary.validity() != Validity::Invalid {
            return Err(error);
        }
        eprintln!("error: {error:#}");
    }
    if summary.seeds == 0 {
        bail!("this shard has no seeds");
    }
    Ok(summary.validity())
}

/// Keeps what a seed that is not valid leaves.
fn keep(finished: &Finished, stores: &std::path::Path) -> anyhow::Result<()> {
    if finished.validity() == Validity::Valid {
        return Ok(());
    }
    let first = stores.join(format!("sim-{}", finished.run.seed));
    let others = (2_u32..).map(|number| stores.join(format!("sim-{}-{number}", finished.run.seed)));
    let is_free = |dir: &PathBuf| !dir.join("history.jsonl").exists();
    let dir = std::iter::once(first.clone()).chain(others).find(is_free).unwrap_or(first);
    let store = Store::create_or_open(&dir)?;
    store.write(finished)?;
    report::write(&store, &finished.run, &finished.results)?;
    Ok(())
}

fn show_line(line: &Line, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", json!(line));
    }
    writeln!(out, "{line}")?;
    drop(out);
    eprintln!("{}", line.speed());
    Ok(())
}

fn show_summary(summary: &Summary, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json { writeln!(out, "{}", json!(summary)) } else { write!(out, "{summary}") }
}
