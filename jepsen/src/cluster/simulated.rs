//! Simulated machines: a process, an address and a disk for each broker, and a process for all clients, on one thread.
//!
//! The brokers are those of production. What survives a kill or a loss of power is decided by their simulated disks.

mod identities;
mod left;
mod machine;
mod watched;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_client::Client;
use highwater_client::settings::ClientSettings;
use highwater_model::id::NodeId;
use highwater_transport::env::Env;
use highwater_transport::env::sim::{Counters, NetworkConfig, Process, Simulation};

use super::{Cluster, ClusterError, Disorder, Disturbed, Means, NewClient};
use crate::random::Random;

pub use identities::Identities;
pub use left::{Left, Recordings};
pub use machine::{Machine, Plant};
pub use watched::{Watched, Watching};

use machine::{PORT, Shape};

/// The last part of the clients' address.
const CLIENT_HOST: u8 = 100;

/// The longest that a broker may take to stop in order: more than it waits for leave.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// One per cent in millionths.
const PERCENT: u32 = 10_000;

/// A cluster of simulated machines.
pub struct Simulated {
    sim: Simulation,
    machines: Vec<Machine>,
    new_client: NewClient,
    /// What becomes of what was not synced.
    random: Random,
    /// How the network treats datagrams.
    disorder: Disorder,
}

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulated").field("machines", &self.machines).finish_non_exhaustive()
    }
}

impl Simulated {
    /// Formatted machines, all switched off: one for each of the identities' brokers.
    ///
    /// # Errors
    /// If a disk does not take its first file.
    pub async fn formatted(
        sim: &Simulation,
        identities: &Identities,
        plant: Plant,
        (watching, recordings): (&Watching, &Recordings),
    ) -> Result<Self, ClusterError> {
        let machine = |(number, identity)| {
            let name = format!("broker-{number}");
            let process = sim.process(&name, host(number));
            let (watching, recordings) = (watching.clone(), recordings.clone());
            let shape = Shape { node: NodeId(number.into()), identity, plant, watching, recordings };
            Machine::new(shape, process, sim.env().random_u64())
        };
        let machines: Vec<Machine> = (1..).zip(identities.brokers()).map(machine).collect();
        for machine in &machines {
            machine.format(&machines).await?;
        }
        let process = sim.process("clients", host(CLIENT_HOST));
        let new_client = new_client(process, identities, &machines);
        let (random, disorder) = (Random::of(sim.seed(), 3), Disorder::default());
        Ok(Self { sim: sim.clone(), machines, new_client, random, disorder })
    }

    /// The machines.
    #[must_use]
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    fn machine(&mut self, node: NodeId) -> Result<&mut Machine, ClusterError> {
        let found = self.machines.iter_mut().find(|machine| machine.node() == node);
        found.ok_or_else(|| ClusterError::new(format!("there is no broker {node}")))
    }

    fn address(&self, node: NodeId) -> Option<IpAddr> {
        self.machines.iter().find(|machine| machine.node() == node).map(Machine::address)
    }

    fn note(&self, words: &str) {
        self.sim.note(words);
    }
}

fn host(number: u8) -> IpAddr {
    Ipv4Addr::new(198, 18, 0, number).into()
}

fn new_client(process: Process, identities: &Identities, machines: &[Machine]) -> NewClient {
    let identity = identities.client();
    let address = |machine: &Machine| format!("{}:{PORT}", machine.address());
    let bootstrap_servers: Vec<String> = machines.iter().map(address).collect();
    Arc::new(move || {
        let settings = ClientSettings {
            bootstrap_servers: bootstrap_servers.clone(),
            request_timeout: Duration::from_secs(3),
            api_timeout: Duration::from_secs(10),
            ..ClientSettings::default()
        };
        Ok(Client::new(&process.env(), identity.clone(), settings))
    })
}

/// The network when nothing is wrong with it: it loses, doubles and reorders a little all the same.
#[must_use]
pub fn network(disorder: Disorder) -> NetworkConfig {
    let calm = NetworkConfig::default();
    let chance = |percent: u8, least: u32| least.max(u32::from(percent) * PERCENT);
    NetworkConfig {
        delay_min: calm.delay_min + disorder.delay,
        delay_max: calm.delay_max + disorder.delay + disorder.jitter,
        loss_millionths: chance(disorder.loss_percent, calm.loss_millionths),
        duplicate_millionths: chance(disorder.duplicate_percent, calm.duplicate_millionths),
        reorder_millionths: chance(disorder.reorder_percent, calm.reorder_millionths),
        ..calm
    }
}

impl Cluster for Simulated {
    fn env(&self) -> &Env {
        self.sim.env()
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.machines.iter().map(Machine::node).collect()
    }

    fn new_client(&self) -> NewClient {
        Arc::clone(&self.new_client)
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.machines.iter().any(|machine| machine.node() == node && machine.is_up())
    }

    fn lacks(&self, means: Means) -> Option<String> {
        match means {
            Means::Pause | Means::Cut | Means::Disorder | Means::PowerLoss => None,
        }
    }

    async fn start(&mut self, node: NodeId) -> Result<(), ClusterError> {
        self.machine(node)?.start();
        Ok(())
    }

    async fn kill(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
        for node in nodes {
            self.machine(*node)?.kill();
        }
        Ok(())
    }

    async fn stop(&mut self, node: NodeId) -> Result<(), ClusterError> {
        let env = self.sim.env().clone();
        let in_time = self.machine(node)?.stop(&env, STOPS_WITHIN).await;
        let late = || format!("broker {node} has not stopped after {} s", STOPS_WITHIN.as_secs());
        in_time.then_some(()).ok_or_else(|| ClusterError::new(late()))
    }

    async fn lose_power(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError> {
        for node in nodes {
            let seed = self.random.number();
            self.machine(*node)?.lose_power(seed);
            self.note(&format!("power loss of broker {node}"));
        }
        Ok(())
    }

    fn pause(&mut self, node: NodeId) {
        if let Ok(machine) = self.machine(node) {
            machine.hold(true);
        }
    }

    fn resume(&mut self, node: NodeId) {
        if let Ok(machine) = self.machine(node) {
            machine.hold(false);
        }
    }

    fn cut(&mut self, from: NodeId, to: NodeId) {
        if let (Some(from), Some(to)) = (self.address(from), self.address(to)) {
            self.sim.cut_one_way(from, to);
        }
    }

    fn slow(&mut self, from: NodeId, to: NodeId, by: Duration) {
        if let (Some(from), Some(to)) = (self.address(from), self.address(to)) {
            self.sim.slow_one_way(from, to, by);
        }
    }

    fn disorder(&mut self, disorder: Disorder) {
        self.disorder = self.disorder.and(disorder);
        self.note(&self.disorder.to_string());
        self.sim.set_network(network(self.disorder));
    }

    fn disturbed(&self) -> Disturbed {
        let Counters { cut, lost, duplicated, held_back, .. } = self.sim.counters();
        Disturbed { cut, disordered: lost + duplicated + held_back }
    }

    fn heal_network(&mut self) {
        self.sim.heal_all();
        self.disorder = Disorder::default();
        self.sim.set_network(network(Disorder::default()));
    }

    /// A broker that ends by itself fails the whole simulation at once, so there is none to be found.
    fn found_dead(&mut self) -> Option<String> {
        None
    }

    /// What the machines hold is in memory.
    fn data_dirs(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}
