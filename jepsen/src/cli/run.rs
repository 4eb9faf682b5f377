//! `jepsen run`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use highwater_transport::env::Env;
use jepsen_judge::verdict::Validity;

use crate::cli::{Misuse, show, simulate};
use crate::cluster::simulated::Plant;
use crate::evidence::beside;
use crate::nemesis::{Kind, Pace, Troubles, parse};
use crate::on_processes::Attack;
use crate::recorder::Recorder;
use crate::report;
use crate::run::Plan;
use crate::store::Store;
use crate::workload::{Work, log, register};

/// How often progress is shown.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Producers send records and consumers poll them
    Log,
    /// Configuration is read linearizably, written, and compared and set
    Register,
}

impl Workload {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Register => "register",
        }
    }
}

/// What kind of cluster is attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum On {
    /// Processes on the loopback address, with a relay in front of each
    Processes,
    /// Simulated machines in one thread, with a network, disks and time of their own: a seed is a history
    Sim,
}

/// How to run.
#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// What clients do
    #[arg(long, value_enum, default_value = "log")]
    pub(super) workload: Workload,
    /// What goes wrong: all, none, or groups and kinds of fault, separated by commas
    #[arg(long, default_value = "all", value_parser = kinds)]
    pub(super) nemesis: Kinds,
    /// For how many seconds
    #[arg(long, default_value_t = 60)]
    pub(super) time: u64,
    /// What is attacked
    #[arg(long, value_enum, default_value = "processes")]
    on: On,
    /// How many brokers
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub(super) brokers: u32,
    /// Decides what is left to chance; a new one each time if not given
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// flush.policy of the topic: os or commit
    #[arg(long, default_value = "commit", value_parser = ["os", "commit"])]
    pub(super) flush_policy: String,
    /// Where the run is kept; store/SEED if not given
    #[arg(long)]
    pub(super) store: Option<PathBuf>,
    /// The file of the highwater program; beside this one if not given
    #[arg(long)]
    program: Option<PathBuf>,
    /// Prints the results as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// How to run many seeds on simulated machines
    #[command(flatten)]
    pub(super) campaign: simulate::CampaignArguments,
}

#[derive(Clone, Debug)]
pub(super) struct Kinds {
    pub(super) text: String,
    pub(super) kinds: Vec<Kind>,
}

fn kinds(text: &str) -> Result<Kinds, String> {
    Ok(Kinds { text: text.split_whitespace().collect(), kinds: parse(text)? })
}

impl RunArguments {
    /// The one line that runs it again.
    fn rerun(&self, seed: u64) -> String {
        let program = self.program.as_ref().map(|path| format!(" --program '{}'", path.display()));
        format!(
            "jepsen run --workload {} --nemesis {} --time {} --on processes --brokers {} --flush-policy {} --seed {seed}{}",
            self.workload.name(),
            self.nemesis.text,
            self.time,
            self.brokers,
            self.flush_policy,
            program.unwrap_or_default()
        )
    }

    fn program(&self) -> anyhow::Result<PathBuf> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let own = std::env::current_exe().context("this program's own place is not known")?;
        let beside = own.with_file_name("highwater");
        if !beside.exists() {
            let what = format!(
                "there is no {}: build it with `cargo build --release --bin highwater`, or name it with --program",
                beside.display()
            );
            return Err(Misuse(what).into());
        }
        Ok(beside)
    }
}

/// Runs, judges and shows.
pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<Validity> {
    if arguments.on == On::Sim {
        return simulate::run(arguments);
    }
    if arguments.campaign.seeds.is_some() || arguments.campaign.plant != Plant::Nothing {
        return Err(Misuse("many seeds and planted faults are for --on sim".to_owned()).into());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { Box::pin(on_processes(arguments)).await })
}

async fn on_processes(arguments: &RunArguments) -> anyhow::Result<Validity> {
    let env = Env::real();
    let seed = arguments.seed.unwrap_or_else(|| env.random_u64() >> 16);
    let store = Store::create(&arguments.store.clone().unwrap_or_else(|| fresh_store(seed)))?;
    eprintln!("seed {seed}, {}", store.dir().display());
    let attack = Attack {
        plan: Plan {
            seed,
            time: Duration::from_secs(arguments.time),
            troubles: Troubles { kinds: arguments.nemesis.kinds.clone(), pace: Pace::default(), frail: None },
            work: match arguments.workload {
                Workload::Log => Work::Log(log::Plan {
                    flush_policy: arguments.flush_policy.clone(),
                    ..log::Plan::default()
                }),
                Workload::Register => Work::Register(register::Plan::default()),
            },
        },
        brokers: arguments.brokers,
        program: arguments.program()?,
        environment: Vec::new(),
        verify: beside(&std::env::current_exe()?),
        rerun: arguments.rerun(seed),
    };
    let recorder = Recorder::new(&env, Box::new(store.new_history()?));
    let progress = env.spawn("progress", show_progress(env.clone(), recorder.clone()));
    let attacked = Box::pin(attack.run(&env, &store, &recorder)).await;
    progress.abort();
    let (run, results) = attacked?;
    show::results(&run, &results, arguments.json)?;
    eprintln!("{}", report::write(&store, &run, &results)?.display());
    Ok(results.validity)
}

/// A directory that is not there yet: `store/SEED`, or with a number behind it.
pub(super) fn fresh_store(seed: u64) -> PathBuf {
    let first = PathBuf::from("store").join(seed.to_string());
    let others = (2_u32..).map(|number| PathBuf::from("store").join(format!("{seed}-{number}")));
    let mut all = std::iter::once(first.clone()).chain(others);
    all.find(|path| !path.exists()).unwrap_or(first)
}

async fn show_progress(env: Env, recorder: Recorder) {
    let began = env.now();
    loop {
        env.sleep(SHOWN_EVERY).await;
        let counts = recorder.counts();
        let seconds = env.now().since(began).as_secs();
        eprintln!(
            "{seconds:>5} s  {} ok, {} failed, {} unknown, {} faults",
            counts.ok, counts.fail, counts.info, counts.faults
        );
    }
}
