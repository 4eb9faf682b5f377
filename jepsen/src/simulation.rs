//! One run on simulated machines, from its seed to its verdict. One seed and one build give one history, byte by byte.
//!
//! Besides what the history shows: no runtime monitor of a broker may have found a violation, and once all is over, and all
//! machines have lost power, all disks must hold the same below the high watermark.

mod drawn;
mod replicas;
mod tally;
mod verified;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use highwater_client::Client;
use highwater_model::id::NodeId;
use highwater_transport::env::sim::{Config, Outcome, Simulation};
use jepsen_judge::verdict::Validity;
use xxhash_rust::xxh3::xxh3_64;

use crate::cluster::simulated::{
    Identities, Left as MachinesLeft, Machine, Plant, Recordings, Simulated, Watching, network,
};
use crate::cluster::{Cluster as _, ClusterError, Disorder};
use crate::evidence::Evidence;
use crate::recorder::Recorder;
use crate::run::{Done, Plan, run};
use crate::store::{ResultsFile, RunFile, SCHEMA};
use crate::verdicts::{JudgeError, results_in_memory};
use crate::workload::Work;

pub use tally::Tally;
pub use verified::verified;

use drawn::drawn;

/// How much longer than its faults a run may take.
const TIME_TO_END: Duration = Duration::from_secs(600);

/// How long a whole cluster may take to tell who leads.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What to run, whatever the seed.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What to do to the cluster; its seed is each run's own.
    pub plan: Plan,
    /// What is wrong with the brokers.
    pub plant: Plant,
    /// The line that runs it again, but for the seed.
    pub rerun: String,
    /// Whether what the machines leave is kept for `verify`: it takes memory and time.
    pub keeps_evidence: bool,
}

/// A run that is over and judged.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What was run.
    pub run: RunFile,
    /// What was found.
    pub results: ResultsFile,
    /// The history, as it is stored.
    pub history: Vec<u8>,
    /// The xxh3 hash of the history.
    pub history_hash: u64,
    /// The hash of all that happened on the simulated network.
    pub trace_hash: u64,
    /// What happened, by name.
    pub tally: Tally,
    /// Simulated time.
    pub simulated: Duration,
    /// What the machines left, where that is kept.
    pub left: Option<MachinesLeft>,
}

/// What a body leaves.
#[derive(Debug, Default)]
struct Left {
    done: Done,
    tally: Tally,
    /// What is on the disks in the end.
    disks: Vec<(NodeId, Vec<(String, Bytes)>)>,
    /// Whether all machines lost power in the end.
    lost_power: bool,
}

/// A history in memory. A cheap handle.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Scenario {
    /// Runs a seed and judges what came of it.
    ///
    /// # Errors
    /// If what was written is no history, which is a fault of the harness.
    pub fn run(&self, seed: u64, identities: &Identities) -> Result<Finished, JudgeError> {
        let (watching, memory) = (Watching::default(), Memory::default());
        let recordings = if self.keeps_evidence { Recordings::kept() } else { Recordings::default() };
        let config =
            Config { time_limit: self.plan.time + TIME_TO_END, ..Config::from(network(Disorder::default())) };
        let mut recorders = Vec::new();
        let outcome = Simulation::run(seed, config, async |sim| {
            let recorder = Recorder::new(sim.env(), Box::new(memory.clone()));
            recorders.push(recorder.clone());
            Box::pin(self.body(&sim, (identities, &watching, &recordings), &recorder)).await
        });
        // A run that was given up has events that are not handed on yet.
        let unwritten = recorders.iter().find_map(|recorder| recorder.finish().err());
        let unwritten = unwritten.map(|error| error.to_string());
        self.finished(outcome, (&watching, &recordings), (memory.take(), unwritten))
    }

    async fn body(
        &self,
        sim: &Simulation,
        (identities, watching, recordings): (&Identities, &Watching, &Recordings),
        recorder: &Recorder,
    ) -> Result<Left, ClusterError> {
        let mut cluster = Simulated::formatted(sim, identities, self.plant, (watching, recordings)).await?;
        let (plan, left_out) = drawn(&self.plan, sim.seed(), &cluster.nodes());
        let mut done = Box::pin(run(&mut cluster, &plan, recorder)).await;
        done.skipped.extend(left_out);
        let client = cluster.new_client()()?;
        let mut tally = Tally::default();
        match sim.env().timeout(TOLD_WITHIN, Box::pin(reigns(&client, &plan.work, &mut tally))).await {
            Ok(()) => {}
            Err(_) => done.failures.push("nobody tells who leads, though all is mended".to_owned()),
        }
        let mut lost_power = false;
        // Where every replica has lost something there is nothing that all of them must hold.
        if let Work::Log(log) = &plan.work
            && !log.salvages
            && done.failures.is_empty()
        {
            lost_power = log.flush_policy == "commit";
            let expected = (log.partitions, lost_power);
            done.failures.extend(Box::pin(replicas::compared(&mut cluster, &client, expected)).await?);
        }
        tally.add("power losses of one", done.faults.get(&crate::nemesis::Kind::PowerLossOfOne).copied());
        tally.add("power losses of all", done.faults.get(&crate::nemesis::Kind::PowerLossOfAll).copied());
        tally.add("log cuts", Some(cluster.machines().iter().map(|machine| machine.log_cuts()).sum()));
        sim.note(&format!("ended with {} failures", done.failures.len()));
        let on_disk = |machine: &Machine| Ok((machine.node(), machine.files()?));
        let machines = cluster.machines().iter().filter(|_| recordings.are_kept());
        let disks = machines.map(on_disk).collect::<Result<_, ClusterError>>()?;
        Ok(Left { done, tally, disks, lost_power })
    }

    fn finished(
        &self,
        outcome: Outcome<Result<Left, ClusterError>>,
        (watching, recordings): (&Watching, &Recordings),
        (history, unwritten): (Vec<u8>, Option<String>),
    ) -> Result<Finished, JudgeError> {
        let ended = outcome.result.map_err(|failure| failure.to_string());
        let ended = ended.and_then(|left| left.map_err(|error| error.what));
        let Left { mut done, mut tally, disks, lost_power } = ended.unwrap_or_else(|why| {
            let done = Done { failures: vec![why], ..Done::default() };
            Left { done, ..Left::default() }
        });
        done.failures.extend(unwritten);
        tally.add_datagrams(&outcome.counters);
        for (name, watched) in watching.totals() {
            tally.add("monitor evaluations", Some(watched.evaluated));
            if watched.violated > 0 {
                let (count, first) = (watched.violated, watched.first.unwrap_or_default());
                done.failures.push(format!("monitor {name} was violated {count} times, first: {first}"));
            }
        }
        for (kind, count) in &done.faults {
            tally.add("faults", Some(*count));
            tally.add(&format!("fault {}", kind.name()), Some(*count));
        }
        let run = self.run_file(outcome.seed, done);
        let results = results_in_memory(&run, &history)?;
        if let Some(log) = results.checkers.get("log") {
            tally.add("acknowledged", log.counts.get("acknowledged").copied());
        }
        let (history_hash, trace_hash) = (xxh3_64(&history), outcome.trace.hash());
        let simulated = outcome.elapsed;
        let left = recordings.are_kept().then(|| MachinesLeft::new(recordings.take(), disks, lost_power));
        Ok(Finished { run, results, history, history_hash, trace_hash, tally, simulated, left })
    }

    fn run_file(&self, seed: u64, done: Done) -> RunFile {
        let named = |kind: &crate::nemesis::Kind| kind.name().to_owned();
        RunFile {
            schema: SCHEMA.to_owned(),
            workload: self.plan.work.name().to_owned(),
            on: "sim".to_owned(),
            seed,
            rerun: format!("{} --seed {seed}", self.rerun),
            allowed: BTreeMap::new(),
            faults: done.faults.iter().map(|(kind, count)| (named(kind), *count)).collect(),
            skipped: done.skipped.iter().map(|(kind, why)| (named(kind), why.clone())).collect(),
            failures: done.failures,
            evidence: BTreeMap::new(),
        }
    }
}

/// How often leaders and controllers changed: each reign has an epoch of its own.
async fn reigns(client: &Client, work: &Work, tally: &mut Tally) {
    let env = client.env();
    for topic in work.topics() {
        let topic = loop {
            if let Ok(topic) = client.admin().describe_topic(&topic).await {
                break topic;
            }
            env.sleep(Duration::from_millis(100)).await;
        };
        let changes = topic.partitions.iter().map(|at| u64::from(at.leader_epoch.0)).sum();
        tally.add("leader changes", Some(changes));
    }
    let quorum = loop {
        if let Ok(quorum) = client.admin().describe_quorum().await {
            break quorum;
        }
        env.sleep(Duration::from_millis(100)).await;
    };
    // The first epoch is no change.
    tally.add("quorum epochs", Some(u64::from(quorum.quorum_epoch.0).saturating_sub(1)));
}

impl Finished {
    /// With what `verify` says of what the machines left.
    ///
    /// # Errors
    /// As [`Scenario::run`].
    pub fn with_evidence(mut self, evidence: BTreeMap<String, Evidence>) -> Result<Self, JudgeError> {
        self.run.evidence = evidence;
        self.results = results_in_memory(&self.run, &self.history)?;
        Ok(self)
    }

    /// The conclusion.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.results.validity
    }

    /// The names of all anomalies that break a promise, with how often each was found.
    #[must_use]
    pub fn anomalies(&self) -> BTreeMap<String, u64> {
        let of_all = self.results.checkers.values().flat_map(|verdict| &verdict.anomalies);
        of_all.map(|(name, cases)| (name.clone(), cases.count)).collect()
    }
}
