//! Producers send numbered records, consumers poll them, and in the end everything is read once more.

mod drain;
mod read;
mod write;

use std::time::Duration;

use highwater_client::Client;
use highwater_model::api::{ConfigChange, NewTopic};
use highwater_transport::env::Task;
use jepsen_judge::history::Acks;

use super::{CREATED_WITHIN, Stage, TOPIC, TRY_EVERY, create};

pub use drain::drain;

/// How large the workload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Partitions of the topic.
    pub partitions: u32,
    /// Its `min.insync.replicas`.
    pub min_insync_replicas: u16,
    /// Its `flush.policy`.
    pub flush_policy: String,
    /// Processes that send at `acks=all` with idempotence; one more each sends without it, at `acks=1` and at `acks=0`.
    pub writers: u32,
    /// Processes that poll.
    pub readers: u32,
    /// How long a process waits between two operations, at most.
    pub pause_max: Duration,
    /// How long a record is tried.
    pub delivery_timeout: Duration,
    /// As many records are to be acknowledged at acks=all, or the run goes on.
    pub acknowledged_min: u64,
    /// Whether what is left is to be had in the end though every replica has lost something, for tests of the harness: by an
    /// unclean election.
    pub salvages: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            partitions: 3,
            min_insync_replicas: 2,
            flush_policy: "commit".to_owned(),
            writers: 6,
            readers: 3,
            pause_max: Duration::from_millis(30),
            delivery_timeout: Duration::from_secs(8),
            acknowledged_min: 1_000,
            salvages: false,
        }
    }
}

/// How long simulated clients wait between operations, at most: what takes time to simulate is operations, not waiting.
const SIMULATED_PAUSE_MAX: Duration = Duration::from_millis(300);

/// How a process sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    acks: Acks,
    idempotent: bool,
}

impl Plan {
    /// A workload for simulated machines.
    #[must_use]
    pub fn simulated() -> Self {
        Self { writers: 3, readers: 2, pause_max: SIMULATED_PAUSE_MAX, ..Self::default() }
    }

    /// How each writing process sends.
    fn manners(&self) -> Vec<Manner> {
        let promised = (0..self.writers).map(|_| Manner { acks: Acks::All, idempotent: true });
        let others = [Acks::All, Acks::Leader, Acks::None];
        promised.chain(others.map(|acks| Manner { acks, idempotent: false })).collect()
    }

    /// Makes the topic, once enough brokers are there for it.
    ///
    /// # Errors
    /// Why it is still not there.
    pub async fn create_topic(&self, client: &Client, replicas: u16) -> Result<(), String> {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(self.partitions),
            replication_factor: Some(replicas),
            assignments: Vec::new(),
            configs: vec![
                ("min.insync.replicas".to_owned(), self.min_insync_replicas.to_string()),
                ("flush.policy".to_owned(), self.flush_policy.clone()),
            ],
        };
        create(client, &topic).await
    }

    /// Lets any replica that is left lead, where this is wanted.
    pub async fn salvage(&self, client: &Client) {
        let allow = || ConfigChange {
            name: "unclean.leader.election.enable".to_owned(),
            value: Some("true".to_owned()),
        };
        let deadline = client.env().now() + CREATED_WITHIN;
        while self.salvages && client.env().now() < deadline {
            if client.admin().alter_configs(TOPIC, vec![allow()], None).await.is_ok() {
                return;
            }
            client.env().sleep(TRY_EVERY).await;
        }
    }

    /// Starts every process of the workload.
    #[must_use]
    pub fn start(&self, stage: &Stage) -> Vec<Task> {
        let numbers = write::Numbers::default();
        let mut tasks = Vec::new();
        for (who, manner) in (0..).zip(self.manners()) {
            let writer = write::Writer::new(stage.clone(), self.clone(), (who, manner), numbers.clone());
            tasks.push(stage.env.spawn("writer", writer.run()));
        }
        for who in 0..self.readers {
            let reader = read::Reader::new(stage.clone(), self.partitions, who.into());
            tasks.push(stage.env.spawn("reader", reader.run()));
        }
        tasks
    }
}
