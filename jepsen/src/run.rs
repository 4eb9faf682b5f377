//! One run: a cluster is started, worked with, broken and mended, and read to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_client::Client;
use highwater_model::api::ClusterDetail;
use highwater_transport::env::Task;
use highwater_transport::watch;

use crate::cluster::{Cluster, ClusterError};
use crate::nemesis::{Kind, Nemesis, Troubles, lacks};
use crate::recorder::Recorder;
use crate::workload::{Stage, Work};

/// What to do to a cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides what is left to chance.
    pub seed: u64,
    /// How long things go wrong.
    pub time: Duration,
    /// What goes wrong.
    pub troubles: Troubles,
    /// What clients do meanwhile.
    pub work: Work,
}

/// How long clients go on once everything is mended.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// How long they go on for more until enough is acknowledged.
const MORE_WITHIN: Duration = Duration::from_secs(120);

/// How much longer than a record is tried an operation may take.
const GRACE: Duration = Duration::from_secs(30);

/// How long looking at everything once more may take.
const FINISHED_WITHIN: Duration = Duration::from_secs(90);

/// How long replicas may take to be in sync again once everything is mended and nobody writes.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// How often to look whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How many replicas partitions have, at most.
const REPLICAS_MAX: usize = 3;

/// What came of a run, apart from its history.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// How often each kind of fault was injected; 0 of those whose turn never came.
    pub faults: BTreeMap<Kind, u64>,
    /// Kinds that were asked for and cannot be injected here, with the reason.
    pub skipped: BTreeMap<Kind, String>,
    /// Why the run did not go as it must, whatever the history says.
    pub failures: Vec<String>,
}

/// Runs a plan on a cluster, none of whose brokers runs. What happens goes to the recorder.
pub async fn run(cluster: &mut impl Cluster, plan: &Plan, recorder: &Recorder) -> Done {
    let mut done = Done::default();
    if let Err(error) = Box::pin(attack(cluster, plan, recorder, &mut done)).await {
        done.failures.push(error.what);
    }
    done.failures.extend(cluster.found_dead());
    let (complaints, count) = recorder.complaints();
    if let Some(first) = complaints.first() {
        done.failures.push(format!("{count} times a consumer was told what it must not be, first: {first}"));
    }
    done
}

async fn attack(
    cluster: &mut impl Cluster,
    plan: &Plan,
    recorder: &Recorder,
    done: &mut Done,
) -> Result<(), ClusterError> {
    let env = cluster.env().clone();
    for node in cluster.nodes() {
        cluster.start(node).await?;
    }
    let new_client = cluster.new_client();
    let client = new_client()?;
    let replicas = u16::try_from(cluster.nodes().len().min(REPLICAS_MAX)).unwrap_or(1);
    Box::pin(plan.work.prepare(&client, replicas)).await.map_err(ClusterError::new)?;
    let (stop, stopped) = watch::channel(false);
    let stage = Stage { env: env.clone(), new_client, recorder: recorder.clone(), seed: plan.seed, stopped };
    let tasks = plan.work.start(&stage);
    let mut troubles = plan.troubles.clone();
    troubles.kinds.retain(|kind| match lacks(cluster, *kind) {
        Some(why) => {
            done.skipped.insert(*kind, why);
            false
        }
        None => true,
    });
    let mut nemesis = Nemesis::new(troubles, plan.seed, recorder, client.clone());
    let attacked = Box::pin(nemesis.run(cluster, env.now() + plan.time)).await;
    done.failures.extend(attacked.err().map(|error| error.what));
    done.failures.extend(nemesis.heal(cluster).await.err().map(|error| error.what));
    done.failures.extend(nemesis.without_effect(cluster.disturbed()));
    done.faults = nemesis.counts().clone();
    Box::pin(plan.work.salvage(&client)).await;
    env.sleep(AFTERWARDS).await;
    let enough_by = env.now() + MORE_WITHIN;
    while recorder.counts().acknowledged < plan.work.acknowledged_min() && env.now() < enough_by {
        env.sleep(LOOK_EVERY).await;
    }
    let (acknowledged, wanted) = (recorder.counts().acknowledged, plan.work.acknowledged_min());
    if acknowledged < wanted {
        let seconds = MORE_WITHIN.as_secs();
        let what = format!(
            "{seconds} s after everything was mended {acknowledged} records are acknowledged, not {wanted}"
        );
        done.failures.push(what);
    }
    stop.send_replace(true);
    done.failures.extend(ended(&stage, tasks, plan.work.patience() + GRACE).await);
    done.failures.extend(Box::pin(plan.work.finish(&stage, FINISHED_WITHIN)).await.err());
    done.failures.extend(Box::pin(whole(&client)).await.err());
    Ok(())
}

/// Waits until every replica is in sync; says what is missing if that does not come about.
async fn whole(client: &Client) -> Result<(), String> {
    let env = client.env();
    let deadline = env.now() + WHOLE_WITHIN;
    loop {
        let missing = match Box::pin(client.admin().describe_cluster(true)).await {
            Ok(cluster) if cluster.offline + cluster.under_replicated == 0 => return Ok(()),
            Ok(ClusterDetail { offline, under_replicated, .. }) => {
                format!(
                    "{offline} partitions are offline and {under_replicated} have replicas that are not in sync"
                )
            }
            Err(error) => error.to_string(),
        };
        if env.now() >= deadline {
            return Err(format!("{} s after everything was mended: {missing}", WHOLE_WITHIN.as_secs()));
        }
        env.sleep(LOOK_EVERY).await;
    }
}

/// Waits until every process of the workload has ended; says so if one does not.
async fn ended(stage: &Stage, tasks: Vec<Task>, patience: Duration) -> Option<String> {
    let deadline = stage.env.now() + patience;
    let mut late = 0;
    for task in tasks {
        late += u32::from(stage.env.timeout_at(deadline, task.finished()).await.is_err());
    }
    (late > 0)
        .then(|| format!("{late} processes were still at their operations after {} s", patience.as_secs()))
}
