//! A whole run on processes: from the empty directory to what was found.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use highwater_transport::env::Env;

use crate::cluster::processes::{Processes, Setup};
use crate::cluster::{Cluster, ClusterError};
use crate::evidence::{self, Audited, Evidence};
use crate::nemesis::Kind;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::run::{Done, Plan, run};
use crate::store::{ResultsFile, RunFile, SCHEMA, Store, StoreError};
use crate::verdicts::{self, JudgeError};
use crate::workload::Work;

/// The most bytes of what each broker records: what `trace.max.bytes` allows.
const TRACE_BYTES_MAX: u32 = (1 << 31) - 1;

/// Why nothing is said of what brokers left.
const NO_VERIFY: &str = "it is not beside this program: build it with `cargo build --release --bin verify`";

/// What to run, and with which programs.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What happens.
    pub plan: Plan,
    /// How many brokers.
    pub brokers: u32,
    /// The file of the `highwater` program.
    pub program: PathBuf,
    /// What is set in the environment of each broker.
    pub environment: Vec<(String, String)>,
    /// The file of the `verify` program, which judges what the brokers left; nothing of it is judged without.
    pub verify: Option<PathBuf>,
    /// The one line that runs it again.
    pub rerun: String,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The run's directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its history, to be written.
    #[error("the history was not written whole: {0}")]
    History(#[from] io::Error),
    /// Its history, to be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

impl Attack {
    /// Runs it, and judges what came of it.
    ///
    /// # Errors
    /// When there is nothing to be judged.
    pub async fn run(
        &self,
        env: &Env,
        store: &Store,
        recorder: &Recorder,
    ) -> Result<(RunFile, ResultsFile), AttackError> {
        let traces = [
            ("trace.dir".to_owned(), store.traces().display().to_string()),
            ("trace.max.bytes".to_owned(), TRACE_BYTES_MAX.to_string()),
        ];
        let setup = Setup {
            brokers: self.brokers,
            program: self.program.clone(),
            environment: self.environment.clone(),
            dir: store.nodes(),
            properties: traces.into_iter().filter(|_| self.verify.is_some()).collect(),
        };
        let mut cluster = Processes::new(env, setup, Random::of(self.plan.seed, 1)).await?;
        let mut done = Box::pin(run(&mut cluster, &self.plan, recorder)).await;
        recorder.finish()?;
        for node in cluster.nodes() {
            done.failures.extend(cluster.stop(node).await.err().map(|error| error.what));
        }
        // Where nothing failed every replica was in sync, and nobody wrote any more, before the first broker was stopped.
        let was_level = done.failures.is_empty();
        // What was run is known even if whoever judges it does not come back.
        store.write_run(&self.run_file(&done, BTreeMap::new()))?;
        let evidence = match &self.verify {
            Some(verify) => {
                let options: Vec<&Path> = was_level.then_some(Path::new("--whole")).into_iter().collect();
                let history = matches!(self.plan.work, Work::Log(_)).then(|| store.history());
                let audited = Audited { data_dirs: &cluster.data_dirs(), options: &options, history };
                evidence::ask_all(env, verify, &store.traces(), audited).await
            }
            None => BTreeMap::new(),
        };
        let run = self.run_file(&done, evidence);
        store.write_run(&run)?;
        let results = verdicts::results(&run, &store.history())?;
        store.write_results(&results)?;
        Ok((run, results))
    }

    fn run_file(&self, done: &Done, evidence: BTreeMap<String, Evidence>) -> RunFile {
        let named = |kind: &Kind| kind.name().to_owned();
        RunFile {
            schema: SCHEMA.to_owned(),
            workload: self.plan.work.name().to_owned(),
            on: "processes".to_owned(),
            seed: self.plan.seed,
            rerun: self.rerun.clone(),
            allowed: BTreeMap::new(),
            faults: done.faults.iter().map(|(kind, count)| (named(kind), *count)).collect(),
            skipped: done
                .skipped
                .iter()
                .map(|(kind, why)| (named(kind), why.clone()))
                .chain(self.verify.is_none().then(|| ("verify".to_owned(), NO_VERIFY.to_owned())))
                .collect(),
            failures: done.failures.clone(),
            evidence,
        }
    }
}
