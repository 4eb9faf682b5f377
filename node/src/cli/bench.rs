//! `highwater bench`: what a cluster does in a second, what that costs, and what the machine could do at most.
//!
//! Every repetition of every case has brokers of its own, started for it, so that none begins with what another left
//! behind; cases that are to be compared take turns.

mod arena;
pub(super) mod args;
mod latency;
mod limits;
mod load;
mod machine;
mod measure;
mod report;
mod silence;
mod spread;

use std::collections::BTreeMap;
use std::path::PathBuf;

use highwater_transport::env::Env;

use self::arena::Arena;
use self::args::{Bench, FlushPolicy, Workload};
use self::machine::Machine;
use self::report::{Case, Comparison, Phase, Report, Run};
use super::args::Global;
use super::failure::{Failure, exit};
use super::files;
use super::output::Output;
use crate::config::layers::Layers;

/// Carries out a benchmark, and prints what it found.
pub(super) async fn run(command: &Bench, global: &Global, output: &Output) -> Result<u8, Failure> {
    let workload = match command {
        Bench::Produce(workload) | Bench::Consume(workload) | Bench::Failover(workload) => workload,
    };
    makes_sense(command, workload, global)?;
    let env = Env::real();
    let random = || PathBuf::from(format!(".highwater/bench-{:08x}", env.random_u64() >> 32));
    let dir = files::absolute(&workload.dir.clone().unwrap_or_else(random))?;
    if dir.exists() {
        let refused = Failure::usage("exists already", "name a directory that does not exist");
        return Err(refused.on(dir.display().to_string()));
    }
    files::create_dir(&dir)?;
    let machine = Machine::this(&dir);
    let mut bench = Benchmark {
        env,
        command,
        workload,
        global,
        output,
        dir: dir.clone(),
        runs: BTreeMap::new(),
        limits: Vec::new(),
    };
    let failures = bench.run().await;
    let report = bench.report(machine);
    if failures.is_empty() {
        files::remove_dir(&dir)?;
    } else {
        output.note(format!("the brokers' files are in {}", dir.display()));
    }
    report.print(output)?;
    output.document(&format!("bench.{}", name_of(command)), None, Some(&report), &failures)?;
    failures.iter().for_each(|failure| output.failure(failure));
    Ok(failures.first().map_or(exit::DONE, |failure| failure.exit))
}

const fn name_of(command: &Bench) -> &'static str {
    match command {
        Bench::Produce(_) => "produce",
        Bench::Consume(_) => "consume",
        Bench::Failover(_) => "failover",
    }
}

/// Refuses flags that contradict each other, before anything is started.
fn makes_sense(command: &Bench, workload: &Workload, global: &Global) -> Result<(), Failure> {
    let attached = global.bootstrap_server.is_some();
    if attached && !(workload.server_config.is_empty() && workload.compare.is_empty()) {
        let message = "the properties of brokers that run already are not changed";
        return Err(Failure::usage(message, "leave -b out, or --server-config and --compare"));
    }
    if let Bench::Failover(_) = command {
        if attached {
            return Err(Failure::usage("brokers that run already are not killed", "leave -b out"));
        }
        if workload.brokers < 3 || workload.replicas() < 2 {
            let message = "two of three brokers, and two replicas, are the least that survive a kill";
            return Err(Failure::usage(message, "use --brokers 3 or more, --replication-factor 2 or more"));
        }
    }
    if !attached && u32::from(workload.replicas()) > workload.brokers {
        let message = format!("{} brokers cannot hold {} replicas", workload.brokers, workload.replicas());
        return Err(Failure::usage(message, "use more --brokers, or a smaller --replication-factor"));
    }
    if workload.buffer / (workload.producers as usize) < workload.record_size as usize + 64 {
        let message = format!("--buffer {} has no room for a record of each producer", workload.buffer);
        return Err(Failure::usage(message, "use a larger --buffer"));
    }
    if workload.duration.is_zero() {
        return Err(Failure::usage("--duration is 0", "measure for some time, or name --records"));
    }
    for property in workload.server_config.iter().chain(&workload.compare) {
        is_known(property)?;
    }
    Ok(())
}

/// Refuses what no broker would take.
fn is_known(property: &str) -> Result<(), Failure> {
    let mut layers = Layers::default();
    layers.add_flags([property]);
    let refused =
        |problem: &crate::config::Problem| Failure::usage(problem.to_string(), problem.hint.clone());
    layers.problems.0.first().map_or(Ok(()), |problem| Err(refused(problem)))
}

/// One setting of everything that is varied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Setting {
    /// Its place among the partitions and the flush policies that were asked for, so that cases come in that order.
    at: (usize, usize),
    /// Which of `--compare`, from 1 on; 0 for none.
    changed: usize,
}

/// A benchmark under way.
struct Benchmark<'a> {
    env: Env,
    command: &'a Bench,
    workload: &'a Workload,
    global: &'a Global,
    output: &'a Output,
    dir: PathBuf,
    runs: BTreeMap<(Setting, u8), (Phase, Vec<Run>)>,
    limits: Vec<limits::Measured>,
}

impl Benchmark<'_> {
    /// Measures everything as often as asked; what failed is told, and the rest is measured all the same, unless nobody
    /// answers.
    async fn run(&mut self) -> Vec<Failure> {
        let mut failures = Vec::new();
        for repetition in 0..self.workload.repeat {
            if !self.workload.no_limits {
                match limits::measure(&self.dir, self.workload.batch_size).await {
                    Ok(measured) => self.limits.push(measured),
                    Err(failure) => failures.push(failure),
                }
            }
            for setting in self.settings(repetition) {
                self.output.note(self.describe(&setting, repetition));
                match self.repetition(&setting, repetition).await {
                    Ok(runs) => self.keep(&setting, repetition, runs),
                    Err(failure) => failures.push(failure),
                }
                if self.global.bootstrap_server.is_some() && !failures.is_empty() {
                    return failures;
                }
            }
        }
        failures
    }

    /// Every case once. Cases that are compared change places from one repetition to the next.
    fn settings(&self, repetition: u32) -> Vec<Setting> {
        let mut settings = Vec::new();
        for partitions in 0..self.workload.partitions.len() {
            for flush_policy in 0..self.workload.flush_policy.len() {
                let mut changed: Vec<usize> = (0..=self.workload.compare.len()).collect();
                if repetition % 2 == 1 {
                    changed.reverse();
                }
                let at = (partitions, flush_policy);
                settings.extend(changed.into_iter().map(|changed| Setting { at, changed }));
            }
        }
        settings
    }

    fn partitions(&self, setting: &Setting) -> u32 {
        self.workload.partitions.get(setting.at.0).copied().unwrap_or(1)
    }

    fn flush_policy(&self, setting: &Setting) -> FlushPolicy {
        self.workload.flush_policy.get(setting.at.1).copied().unwrap_or(FlushPolicy::Commit)
    }

    fn changed(&self, setting: &Setting) -> Option<String> {
        self.workload.compare.get(setting.changed.checked_sub(1)?).cloned()
    }

    fn describe(&self, setting: &Setting, repetition: u32) -> String {
        let (partitions, flush_policy) = (self.partitions(setting), self.flush_policy(setting).name());
        let changed = self.changed(setting).map(|changed| format!(", {changed}")).unwrap_or_default();
        let (name, of) = (name_of(self.command), self.workload.repeat);
        format!(
            "{name}: {partitions} partitions, flush.policy={flush_policy}{changed}, {} of {of}",
            repetition + 1
        )
    }

    /// Measures one case once.
    async fn repetition(&self, setting: &Setting, repetition: u32) -> Result<Vec<(Phase, Run)>, Failure> {
        let partitions = self.partitions(setting);
        let dir = self.dir.join(format!(
            "{partitions}-{}-{}-{repetition}",
            self.flush_policy(setting).name(),
            setting.changed
        ));
        let mut arena = match &self.global.bootstrap_server {
            Some(_) => Arena::attach(&self.env, self.global, self.output).await?,
            None => Arena::start(&self.env, self.workload, &dir, &self.properties(setting)).await?,
        };
        // Whatever fails, the topic is taken from a cluster that is not ours.
        let measured = self.measure(&mut arena, setting, repetition).await;
        let ended = arena.end().await;
        let runs = measured?;
        if self.global.bootstrap_server.is_none() {
            files::remove_dir(&dir)?;
        }
        ended.map(|()| runs)
    }

    /// Measures one case on a cluster that is there.
    async fn measure(
        &self,
        arena: &mut Arena,
        setting: &Setting,
        repetition: u32,
    ) -> Result<Vec<(Phase, Run)>, Failure> {
        let (workload, partitions) = (self.workload, self.partitions(setting));
        arena.create_topic(workload, partitions, self.flush_policy(setting)).await?;
        match self.command {
            Bench::Produce(_) => measure::produce(arena, workload, partitions).await,
            Bench::Consume(_) => measure::consume(arena, workload, partitions).await,
            Bench::Failover(_) => measure::fail_over(arena, workload, partitions, repetition).await,
        }
    }

    /// The properties of the brokers; a changed one replaces one that is given to all.
    fn properties(&self, setting: &Setting) -> BTreeMap<String, String> {
        let changed = self.changed(setting);
        let pairs = self.workload.server_config.iter().chain(&changed);
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
    }

    fn keep(&mut self, setting: &Setting, repetition: u32, runs: Vec<(Phase, Run)>) {
        for (order, (phase, run)) in (0u8..).zip(runs) {
            let place = self.runs.entry((setting.clone(), order)).or_insert_with(|| (phase, Vec::new()));
            place.1.push(Run { repetition, ..run });
        }
    }

    fn report(&mut self, machine: Machine) -> Report {
        let workload = self.workload;
        let limits = limits::of(&self.limits, workload.batch_size);
        let mut cases = Vec::new();
        for ((setting, _), (phase, runs)) in std::mem::take(&mut self.runs) {
            let key = (phase, self.partitions(&setting), self.flush_policy(&setting));
            let changed = self.changed(&setting);
            cases.push(Case::of(key, changed, runs, limits.as_ref(), workload.replicas()));
        }
        Report {
            command: std::env::args().collect(),
            version: env!("CARGO_PKG_VERSION"),
            optimized: !cfg!(debug_assertions),
            machine,
            workload: self.told(),
            limits,
            comparisons: Comparison::of(&cases),
            cases,
        }
    }

    fn told(&self) -> report::Workload {
        let workload = self.workload;
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        report::Workload {
            brokers: self.global.bootstrap_server.is_none().then_some(workload.brokers),
            replication_factor: workload.replicas(),
            record_bytes: workload.record_size,
            acks: match workload.acks {
                super::args::AcksArg::None => "0",
                super::args::AcksArg::Leader => "1",
                super::args::AcksArg::All => "all",
            },
            producers: workload.producers,
            batch_bytes: workload.batch_size,
            linger_ms: millis(workload.linger),
            buffer_bytes: workload.buffer,
            spread: workload.spread,
            rate: workload.rate,
            records: workload.records,
            duration_ms: workload.records.is_none().then(|| millis(workload.duration)),
            warm_up_ms: millis(workload.warm_up),
            repetitions: workload.repeat,
            server_config: workload.server_config.clone(),
        }
    }
}
