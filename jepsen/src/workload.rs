//! What clients do while things go wrong, and how they write down what they were told.

pub mod log;
pub mod register;

use std::time::Duration;

use highwater_client::Client;
use highwater_model::api::NewTopic;
use highwater_transport::env::{Env, Task};
use highwater_transport::watch;

use crate::cluster::NewClient;
use crate::recorder::Recorder;

/// The topic of records, and what the names of others begin with.
pub const TOPIC: &str = "jepsen";

/// How long brokers may take to register so that a topic can be made.
const CREATED_WITHIN: Duration = Duration::from_secs(40);

/// How often to try.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// They send and poll records.
    Log(log::Plan),
    /// They read and change configuration.
    Register(register::Plan),
}

impl Work {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Register(_) => "register",
        }
    }

    /// Makes what it needs.
    ///
    /// # Errors
    /// Why that is not to be had.
    pub async fn prepare(&self, client: &Client, replicas: u16) -> Result<(), String> {
        match self {
            Self::Log(plan) => plan.create_topic(client, replicas).await,
            Self::Register(plan) => plan.create_topics(client, replicas).await,
        }
    }

    /// The topics that it works on.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        match self {
            Self::Log(_) => vec![TOPIC.to_owned()],
            Self::Register(plan) => plan.topics(),
        }
    }

    /// As many records are to be acknowledged at least, or a run goes on.
    #[must_use]
    pub const fn acknowledged_min(&self) -> u64 {
        match self {
            Self::Log(plan) => plan.acknowledged_min,
            Self::Register(_) => 0,
        }
    }

    /// Once all is mended: gives up what is lost for good, where the brokers are made to lose it.
    pub async fn salvage(&self, client: &Client) {
        if let Self::Log(plan) = self {
            plan.salvage(client).await;
        }
    }

    /// Starts every process of it.
    #[must_use]
    pub fn start(&self, stage: &Stage) -> Vec<Task> {
        match self {
            Self::Log(plan) => plan.start(stage),
            Self::Register(plan) => plan.start(stage),
        }
    }

    /// The longest that an operation is tried.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        match self {
            Self::Log(plan) => plan.delivery_timeout,
            Self::Register(_) => register::PATIENCE,
        }
    }

    /// Once all is mended and every process has ended: looks at everything once more.
    ///
    /// # Errors
    /// What could not be looked at in time.
    pub async fn finish(&self, stage: &Stage, patience: Duration) -> Result<(), String> {
        match self {
            Self::Log(plan) => log::drain(stage, plan.partitions, patience).await,
            Self::Register(plan) => plan.read_all(stage, patience).await,
        }
    }
}

/// Makes a topic, once enough brokers are there for it.
async fn create(client: &Client, topic: &NewTopic) -> Result<(), String> {
    let deadline = client.env().now() + CREATED_WITHIN;
    loop {
        let Err(error) = client.admin().create_topic(topic.clone(), false).await else { return Ok(()) };
        if client.env().now() >= deadline {
            return Err(format!("topic {} cannot be created: {error}", topic.name));
        }
        client.env().sleep(TRY_EVERY).await;
    }
}

/// What every task of a workload has.
#[derive(Clone)]
pub struct Stage {
    /// Where it runs.
    pub env: Env,
    /// How it gets to the cluster.
    pub new_client: NewClient,
    /// Who writes down what it does.
    pub recorder: Recorder,
    /// What it draws from.
    pub seed: u64,
    /// True once it is to end.
    pub stopped: watch::Receiver<bool>,
}

impl Stage {
    /// Whether to go on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !*self.stopped.borrow()
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("seed", &self.seed).finish_non_exhaustive()
    }
}
