//! Brokers as processes on the loopback address, with a relay in front of each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use highwater_client::settings::ClientSettings;
use highwater_model::id::NodeId;
use highwater_node::cli::local::{LocalCluster, Member, Program, free_ports};
use highwater_node::server::Roles;
use highwater_transport::env::Env;

use super::relay::{Counted, Links, Listening, Relay};
use super::{Cluster, ClusterError, Disorder, Disturbed, Means, NewClient};
use crate::random::Random;

/// The longest that a broker may take to stop in order.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// How the processes are to be.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many brokers.
    pub brokers: u32,
    /// The file of the `highwater` program.
    pub program: PathBuf,
    /// What is set in the environment of each broker.
    pub environment: Vec<(String, String)>,
    /// Where everything is kept.
    pub dir: PathBuf,
    /// Properties of each broker besides what it needs.
    pub properties: Vec<(String, String)>,
}

/// A cluster of processes.
#[derive(Debug)]
pub struct Processes {
    env: Env,
    cluster: LocalCluster,
    links: Links,
    nodes: Vec<NodeId>,
    up: BTreeSet<NodeId>,
    /// They end when the cluster does.
    _relays: Vec<Relay>,
}

impl Processes {
    /// Makes a cluster of processes, none of which runs yet.
    ///
    /// # Errors
    /// If its files or ports are not to be had.
    pub async fn new(env: &Env, setup: Setup, random: Random) -> Result<Self, ClusterError> {
        let listening = ports(setup.brokers)?;
        let member = |broker: &Listening| Member {
            node: broker.node,
            port: broker.port,
            advertised_port: Some(broker.relay_port),
            roles: Roles { broker: true, controller: true },
            votes: true,
        };
        let members: Vec<Member> = listening.iter().map(member).collect();
        let extra: Vec<(&str, String)> =
            setup.properties.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let mut cluster =
            LocalCluster::create_of(env, &setup.dir, &members, &extra).map_err(|failure| failed(&failure))?;
        cluster.program = Some(Program { path: setup.program, environment: setup.environment });
        let links = Links::new(random);
        let mut relays = Vec::new();
        for broker in &listening {
            let relay = Relay::start(env, &links, *broker, &listening).await;
            relays.push(relay.map_err(|error| ClusterError::new(format!("no relay: {error}")))?);
        }
        let nodes = listening.iter().map(|broker| broker.node).collect();
        Ok(Self { env: env.clone(), cluster, links, nodes, up: BTreeSet::new(), _relays: relays })
    }

    /// The directory of all of it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.cluster.layout.dir
    }
}

fn failed(failure: &highwater_node::cli::failure::Failure) -> ClusterError {
    ClusterError::new(failure.line())
}

fn ports(brokers: u32) -> Result<Vec<Listening>, ClusterError> {
    let ports = free_ports(brokers.saturating_mul(2)).map_err(|failure| failed(&failure))?;
    let pairs = (1..).zip(ports.chunks_exact(2));
    Ok(pairs
        .filter_map(|(number, pair)| match pair {
            [port, relay_port] => {
                Some(Listening { node: NodeId(number), port: *port, relay_port: *relay_port })
            }
            _ => None,
        })
        .collect())
}

impl Cluster for Processes {
    fn env(&self) -> &Env {
        &self.env
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.nodes.clone()
    }

    fn new_client(&self) -> NewClient {
        let (env, layout) = (self.env.clone(), self.cluster.layout.clone());
        Arc::new(move || {
            let settings = ClientSettings {
                request_timeout: Duration::from_secs(3),
                api_timeout: Duration::from_secs(10),
                ..ClientSettings::default()
            };
            layout.client(&env, settings).map_err(|failure| failed(&failure))
        })
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.up.contains(&node)
    }

    fn lacks(&self, means: Means) -> Option<String> {
        match means {
            Means::Pause | Means::Cut | Means::Disorder => None,
            Means::PowerLoss => Some(
                "a killed process leaves the kernel what it wrote: needs file systems of its own".to_owned(),
            ),
        }
    }

    async fn start(&mut self, node: NodeId) -> Result<(), ClusterError> {
        if self.up.insert(node) {
            self.cluster.start(node).map_err(|failure| failed(&failure))?;
        }
        Ok(())
    }

    async fn kill(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
        // One that has ended by itself is not to pass for one that was killed.
        if let Some(dead) = self.found_dead() {
            return Err(ClusterError::new(dead));
        }
        self.up.retain(|node| !nodes.contains(node));
        self.cluster.kill_all(nodes).await.map_err(|failure| failed(&failure))
    }

    async fn stop(&mut self, node: NodeId) -> Result<(), ClusterError> {
        self.up.remove(&node);
        let ended = self.cluster.terminate(&self.env, node, STOPS_WITHIN).await;
        let ended = ended.map_err(|failure| failed(&failure))?;
        match ended.code() {
            Some(0) => Ok(()),
            _ => Err(ClusterError::new(format!("broker {node} was asked to stop and ended with {ended}"))),
        }
    }

    async fn lose_power(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
        let lacks = self.lacks(Means::PowerLoss).unwrap_or_default();
        Err(ClusterError::new(format!("brokers {nodes:?} cannot lose power: {lacks}")))
    }

    fn pause(&mut self, node: NodeId) {
        self.cluster.hold(node, true);
    }

    fn resume(&mut self, node: NodeId) {
        self.cluster.hold(node, false);
    }

    fn cut(&mut self, from: NodeId, to: NodeId) {
        self.links.cut(from, to);
    }

    fn slow(&mut self, from: NodeId, to: NodeId, by: Duration) {
        self.links.slow(from, to, by);
    }

    fn disorder(&mut self, disorder: Disorder) {
        self.links.disorder(disorder);
    }

    fn heal_network(&mut self) {
        self.links.heal();
    }

    fn disturbed(&self) -> Disturbed {
        let Counted { carried: _, lost, cut, duplicated, held_back, delayed } = self.links.counts();
        Disturbed { cut, disordered: lost + duplicated + held_back + delayed }
    }

    fn found_dead(&mut self) -> Option<String> {
        self.cluster.ended().map(|failure| failure.line())
    }

    fn data_dirs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(|node| self.cluster.layout.data_dir(*node)).collect()
    }
}
