//! The cluster that is measured: one that is started for the purpose, or one that runs already.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use highwater_client::settings::ClientSettings;
use highwater_client::{Admin, Client};
use highwater_model::api::{MetadataAnswer, NewTopic, PartitionDetail, ReplicaAssignment, TopicDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, PartitionIndex};
use highwater_transport::env::{Env, Instant};

use super::args::{FlushPolicy, Workload};
use super::machine::{self, Used};
use crate::cli::args::Global;
use crate::cli::failure::{Failure, exit};
use crate::cli::files;
use crate::cli::local::{LocalCluster, free_ports};
use crate::cli::output::Output;
use crate::cli::session::Session;

/// How long anything may take that a healthy cluster does in a second or two.
const PATIENCE: Duration = Duration::from_secs(90);
/// Stands in a property for the directory of the broker that it is given to.
const BROKER_DIR: &str = "{broker}";

/// A cluster with a topic to measure.
pub(super) struct Arena {
    /// The environment.
    pub(super) env: Env,
    /// A client of it.
    pub(super) client: Client,
    /// The topic.
    pub(super) topic: String,
    /// When the topic was to be created.
    pub(super) created_at: Instant,
    /// How long it took from there until all of it was there.
    pub(super) ready_after: Duration,
    admin: Admin,
    /// The processes, if they were started for this.
    cluster: Option<LocalCluster>,
}

/// What the processes have used.
#[derive(Clone, Debug, Default)]
pub(super) struct Usage {
    /// This one.
    pub(super) client: Option<Used>,
    /// Each broker that runs on this machine and was started for this.
    pub(super) brokers: BTreeMap<NodeId, Used>,
}

impl Arena {
    /// Starts brokers with their files in `dir`, and waits until all are admitted.
    pub(super) async fn start(
        env: &Env,
        workload: &Workload,
        dir: &Path,
        properties: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let mut cluster = LocalCluster::create(env, dir, free_ports(workload.brokers)?, &[])?;
        let nodes: Vec<NodeId> = cluster.ports.keys().copied().collect();
        for node in &nodes {
            configure(&cluster, *node, properties)?;
            cluster.start(*node)?;
        }
        let client = cluster.client(env, settings())?;
        let mut arena = Self::of(env, client, Some(cluster));
        arena
            .until("all brokers to be ready", |answer, _| {
                answer.brokers.iter().filter(|broker| !broker.fenced).count() == nodes.len()
            })
            .await?;
        Ok(arena)
    }

    /// Takes a cluster that runs.
    pub(super) async fn attach(env: &Env, global: &Global, output: &Output) -> Result<Self, Failure> {
        let client = Session::open(global, output.clone())?.client;
        let arena = Self::of(env, client, None);
        arena.admin.metadata(Some(Vec::new())).await?;
        Ok(arena)
    }

    fn of(env: &Env, client: Client, cluster: Option<LocalCluster>) -> Self {
        let topic = format!("bench-{:08x}", env.random_u64() >> 32);
        let (created_at, ready_after) = (env.now(), Duration::ZERO);
        Self { env: env.clone(), created_at, ready_after, admin: client.admin(), client, topic, cluster }
    }

    /// Creates the topic. Leaders are spread evenly over the brokers, the active controller first.
    pub(super) async fn create_topic(
        &mut self,
        workload: &Workload,
        partitions: u32,
        flush_policy: FlushPolicy,
    ) -> Result<(), Failure> {
        let metadata = self.admin.metadata(Some(Vec::new())).await?;
        let mut nodes: Vec<NodeId> =
            metadata.brokers.iter().filter(|broker| !broker.fenced).map(|broker| broker.node).collect();
        nodes.sort_by_key(|node| (Some(*node) != metadata.controller, *node));
        let replicas = |partition: u32| {
            let first = partition as usize % nodes.len().max(1);
            let ring =
                nodes.iter().cycle().skip(first).take(usize::from(workload.replicas()).min(nodes.len()));
            ReplicaAssignment { partition: PartitionIndex(partition), replicas: ring.copied().collect() }
        };
        let topic = NewTopic {
            name: self.topic.clone(),
            partitions: None,
            replication_factor: None,
            assignments: (0..partitions).map(replicas).collect(),
            configs: vec![
                ("min.insync.replicas".to_owned(), workload.replicas().min(2).to_string()),
                ("flush.policy".to_owned(), flush_policy.name().to_owned()),
            ],
        };
        self.created_at = self.env.now();
        let deadline = self.created_at + PATIENCE;
        loop {
            match self.admin.create_topic(topic.clone(), false).await {
                Ok(_) => break,
                // Where an answer leaves open whether it was created, asking again tells.
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => break,
                Err(error) if error.is_retriable() && self.env.now() < deadline => self.all_run()?,
                Err(error) => return Err(Failure::from(error).on(&self.topic)),
            }
        }
        let is_whole = |topic: Option<&TopicDetail>| topic.is_some_and(TopicDetail::is_whole);
        self.until("every replica to be in sync", |_, topic| is_whole(topic)).await.map(|_| ())
    }

    /// Asks for the metadata until it is as wanted, or the time is over, or a broker ends by itself.
    async fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&MetadataAnswer, Option<&TopicDetail>) -> bool,
    ) -> Result<MetadataAnswer, Failure> {
        let deadline = self.env.now() + PATIENCE;
        let mut last = "no broker answered".to_owned();
        while self.env.now() < deadline {
            self.all_run()?;
            match self.metadata().await {
                Ok(answer) if wanted(&answer, answer.topics.iter().flatten().next()) => return Ok(answer),
                Ok(_) => last = "not yet".to_owned(),
                Err(error) => last = error.message,
            }
            self.env.sleep(Duration::from_millis(100)).await;
        }
        let message = format!("waited {} s for {what}: {last}", PATIENCE.as_secs());
        Err(Failure::new(exit::UNREACHABLE, message, "see the brokers' logs"))
    }

    /// The brokers, and the topic if there is one.
    pub(super) async fn metadata(&self) -> Result<MetadataAnswer, Failure> {
        Ok(self.admin.metadata_once(Some(vec![self.topic.clone()])).await?)
    }

    /// Kills a broker with SIGKILL.
    pub(super) async fn kill(&mut self, node: NodeId) -> Result<(), Failure> {
        match &mut self.cluster {
            Some(cluster) => cluster.kill(node).await,
            None => Err(Failure::usage("brokers that run already are not killed", "leave -b out")),
        }
    }

    /// Fails if a broker has ended by itself.
    pub(super) fn all_run(&mut self) -> Result<(), Failure> {
        self.cluster.as_mut().and_then(LocalCluster::ended).map_or(Ok(()), Err)
    }

    /// What the processes have used so far.
    pub(super) fn usage(&self) -> Usage {
        let cluster = self.cluster.iter();
        let processes = cluster.flat_map(|cluster| {
            cluster.ports.keys().filter_map(|node| Some((*node, cluster.process(*node)?)))
        });
        let used = |(node, process)| Some((node, machine::used(Some(process))?));
        Usage { client: machine::used(None), brokers: processes.filter_map(used).collect() }
    }

    /// Takes the cluster down, or the topic away.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        match &mut self.cluster {
            Some(cluster) => {
                self.client.close().await;
                // What they have is thrown away, so nothing is gained by asking them first.
                let nodes: Vec<NodeId> = cluster.ports.keys().copied().collect();
                cluster.kill_all(&nodes).await
            }
            None => {
                let deleted = self.admin.delete_topic(&self.topic).await;
                self.client.close().await;
                deleted.map_err(|error| Failure::from(error).on(&self.topic))
            }
        }
    }
}

fn settings() -> ClientSettings {
    ClientSettings { api_timeout: PATIENCE, ..ClientSettings::default() }
}

/// Adds properties to those of a broker.
fn configure(
    cluster: &LocalCluster,
    node: NodeId,
    properties: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let path = cluster.layout.config(node);
    let dir = cluster.layout.node_dir(node).display().to_string();
    let mut file = files::append(&path)?;
    for (name, value) in properties {
        let line = writeln!(file, "{name}={}", value.replace(BROKER_DIR, &dir));
        line.map_err(|error| Failure::file(&path, &error))?;
    }
    Ok(())
}

/// The partitions that a broker leads.
pub(super) fn led_by(metadata: &MetadataAnswer, node: NodeId) -> Vec<u32> {
    let partitions = metadata.topics.iter().flatten().flat_map(|topic| &topic.partitions);
    let led = partitions.filter(|partition: &&PartitionDetail| partition.leader == Some(node));
    led.map(|partition| partition.partition.0).collect()
}
