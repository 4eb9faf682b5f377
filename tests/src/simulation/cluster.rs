//! The simulated machines: a process, an address and a disk for each broker, and a process for the client.
//!
//! Starts, kills and cuts off; when to do so is said by `faults`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use highwater_client::Client;
use highwater_client::settings::ClientSettings;
use highwater_model::fault::{Bug, Faults, Planted, Slip, Slipping, Sound};
use highwater_model::id::{ClusterId, DirectoryId, NodeId, PartitionIndex};
use highwater_node::config::Endpoint;
use highwater_node::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use highwater_node::disk::SimDisk;
use highwater_node::log::{Replica, directory_of};
use highwater_node::monitor::Monitors;
use highwater_node::server::{Limits, Roles, Server, Settings, Timing, TopicDefaults};
use highwater_node::trace::Recorder;
use highwater_transport::certs::{CertificateError, LabAuthority};
use highwater_transport::env::Env;
use highwater_transport::env::sim::{Process, Simulation};
use highwater_transport::identity::Identity;

/// How many brokers there are.
pub(super) const BROKERS: u8 = 3;
/// The port of every broker.
const PORT: u16 = 9092;
/// The cluster.
const CLUSTER: ClusterId = ClusterId(7);
/// Once in how many steps the whole of a core is looked at: often, since a run is short.
const MONITOR_STEPS: NonZeroU32 = NonZeroU32::new(16).expect("it is not zero");
/// The last part of the client's address.
const CLIENT_HOST: u8 = 100;

/// Certificates of the brokers and of the client, which serve any number of runs.
#[derive(Clone, Debug)]
pub struct Identities {
    brokers: Vec<Identity>,
    client: Identity,
}

impl Identities {
    /// Makes them.
    ///
    /// # Errors
    /// When no keys can be made.
    pub fn new() -> Result<Self, CertificateError> {
        let authority = LabAuthority::new("simulation")?;
        let brokers = nodes().map(|node| authority.broker(node)).collect::<Result<_, _>>()?;
        Ok(Self { brokers, client: authority.client("simulation")? })
    }
}

/// What a runtime monitor has counted in all starts of all brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// How often it was evaluated.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violated: u64,
    /// The first violation, in words.
    pub first: Option<String>,
}

/// What is wrong with the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plant {
    /// Nothing: what production runs.
    Nothing,
    /// Their cores have a bug.
    Bug(Bug),
    /// Their drivers make a mistake.
    Slip(Slip),
}

/// What the brokers recorded of themselves, one recording for each start, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Recordings {
    /// The most bytes of each; `None` if nothing is kept in memory.
    pub(super) bytes_max: Option<usize>,
    /// A real directory for files instead, and the most bytes of each node's.
    pub(super) files: Option<(PathBuf, u64)>,
    pub(super) started: Arc<Mutex<Vec<(NodeId, Recorder)>>>,
    /// Where their runtime monitors count.
    pub(super) monitors: Arc<Mutex<Vec<Monitors>>>,
}

impl Recordings {
    /// What a broker that starts records into.
    fn next(&self, node: NodeId) -> Recorder {
        if let Some((dir, bytes_max)) = &self.files {
            return Recorder::files(dir.clone(), *bytes_max);
        }
        let Some(bytes_max) = self.bytes_max else { return Recorder::default() };
        let recorder = Recorder::memory(bytes_max);
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push((node, recorder.clone()));
        recorder
    }

    /// Where the monitors of a broker that starts count.
    fn watch(&self) -> Monitors {
        let monitors = Monitors::every(MONITOR_STEPS);
        self.monitors.lock().unwrap_or_else(PoisonError::into_inner).push(monitors.clone());
        monitors
    }

    /// What the monitors of all starts of all brokers have counted together.
    pub(super) fn counts(&self) -> BTreeMap<String, Watched> {
        let mut totals: BTreeMap<String, Watched> = BTreeMap::new();
        let started = self.monitors.lock().unwrap_or_else(PoisonError::into_inner);
        for count in started.iter().flat_map(Monitors::counts) {
            let total = totals.entry(count.name).or_default();
            total.evaluated += count.evaluated;
            total.violated += count.violated;
            let first = count.first.map(|found| format!("{}: {}", found.place, found.values));
            total.first = total.first.take().or(first);
        }
        totals
    }

    /// What was recorded.
    pub(super) fn take(&self) -> Vec<(NodeId, Bytes)> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.iter().map(|(node, recorder)| (*node, recorder.take())).collect()
    }
}

/// A broker's machine.
pub(super) struct Machine {
    pub(super) node: NodeId,
    pub(super) process: Process,
    disk: SimDisk,
    identity: Identity,
    plant: Plant,
    recordings: Recordings,
    /// Whether it is a voter of the metadata quorum.
    votes: bool,
    pub(super) is_up: bool,
}

/// All machines.
pub(super) struct Cluster {
    pub(super) sim: Simulation,
    pub(super) machines: Vec<Machine>,
    pub(super) client: Process,
    client_identity: Identity,
}

fn nodes() -> impl Iterator<Item = NodeId> {
    (1..=BROKERS).map(|number| NodeId(number.into()))
}

fn host(number: u8) -> IpAddr {
    Ipv4Addr::new(198, 18, 0, number).into()
}

fn directory(node: NodeId) -> DirectoryId {
    DirectoryId(u128::from(node.0) + 1_000)
}

impl Cluster {
    /// Formatted machines, all switched off, of which so many vote. `plant` is the bug that their brokers have, none in
    /// production.
    pub(super) async fn formatted(
        sim: &Simulation,
        identities: &Identities,
        (plant, voters): (Plant, u8),
        recordings: &Recordings,
    ) -> Self {
        let machine = |(number, identity): (u8, &Identity)| Machine {
            node: NodeId(number.into()),
            process: sim.process(&format!("broker-{number}"), host(number)),
            disk: SimDisk::new(&format!("broker-{number}"), sim.env().random_u64()),
            identity: identity.clone(),
            plant,
            recordings: recordings.clone(),
            votes: number <= voters,
            is_up: false,
        };
        let machines = (1..=BROKERS).zip(&identities.brokers).map(machine).collect();
        let client = sim.process("client", host(CLIENT_HOST));
        let cluster = Self { sim: sim.clone(), machines, client, client_identity: identities.client.clone() };
        for machine in &cluster.machines {
            cluster.format(machine).await;
        }
        cluster
    }

    async fn format(&self, machine: &Machine) {
        let voter = |voter: &Machine| InitialVoter {
            node: voter.node,
            endpoint: Endpoint { host: voter.process.address().to_string(), port: PORT },
            directory: directory(voter.node),
        };
        let formatted = Formatted {
            cluster: CLUSTER,
            node: machine.node,
            directory: directory(machine.node),
            voters: self.machines.iter().filter(|machine| machine.votes).map(voter).collect(),
        };
        let text = formatted.render().into_bytes();
        machine.disk.mount(None).replace(FILE_NAME, text.into()).await.expect("an empty disk takes a file");
    }

    /// A client in the client's process.
    pub(super) fn client(&self) -> Client {
        let address = |machine: &Machine| format!("{}:{PORT}", machine.process.address());
        let bootstrap_servers = self.machines.iter().map(address).collect();
        let settings = ClientSettings { bootstrap_servers, ..ClientSettings::default() };
        Client::new(&self.client.env(), self.client_identity.clone(), settings)
    }

    /// From here on no disk keeps what it was told to sync of a topic's records. All else is kept, or nothing would start.
    pub(super) fn let_syncs_lie(&self, topic: &str) {
        let prefix = format!("{topic}-");
        self.machines.iter().for_each(|machine| machine.disk.set_lying_sync_under(&prefix));
    }

    /// The machine of a node.
    pub(super) fn machine(&mut self, node: NodeId) -> Option<&mut Machine> {
        self.machines.iter_mut().find(|machine| machine.node == node)
    }

    /// Cuts the client's way to the first machine.
    pub(super) fn cut_client_off(&self) {
        let first = self.machines.first().map(|machine| machine.process.address());
        first.into_iter().for_each(|first| self.sim.cut(self.client.address(), first));
    }

    /// Whether a node's broker runs.
    pub(super) fn is_up(&self, node: NodeId) -> bool {
        self.machines.iter().any(|machine| machine.is_up && machine.node == node)
    }

    /// Starts every machine that is off.
    pub(super) fn start_all(&mut self) {
        self.machines.iter_mut().for_each(Machine::start);
    }
}

impl Machine {
    /// Starts the broker if it is not running. A broker that cannot start, or cannot go on, fails the run.
    pub(super) fn start(&mut self) {
        if std::mem::replace(&mut self.is_up, true) {
            return;
        }
        let env = self.process.restart();
        let (disk, identity, settings) = (self.disk.clone(), self.identity.clone(), self.settings());
        let task = match self.plant {
            Plant::Nothing => env.spawn("server", serve(env.clone(), disk, identity, settings, Sound)),
            Plant::Bug(bug) => {
                env.spawn("server", serve(env.clone(), disk, identity, settings, Planted(Some(bug))))
            }
            Plant::Slip(slip) => {
                env.spawn("server", serve(env.clone(), disk, identity, settings, Slipping(Some(slip))))
            }
        };
        drop(task);
    }

    /// What its disk holds of a partition's log, to be read now.
    pub(super) fn replica(&self, topic: &str, partition: PartitionIndex) -> Replica {
        Replica { disk: self.disk.mount(None), directory: directory_of(topic, partition) }
    }

    fn settings(&self) -> Settings {
        Settings {
            node: self.node,
            cluster: Some(CLUSTER),
            roles: Roles { broker: true, controller: self.votes },
            listen: SocketAddr::new(self.process.address(), PORT),
            advertised: None,
            controllers: BTreeMap::new(),
            timing: Timing::default(),
            topics: TopicDefaults::default(),
            limits: Limits::default(),
            trace: self.recordings.next(self.node),
            monitors: self.recordings.watch(),
        }
    }

    /// Kills the broker: what the kernel has of its files stays.
    pub(super) fn kill(&mut self) {
        if std::mem::take(&mut self.is_up) {
            self.process.kill();
            self.disk.kill();
        }
    }

    /// The machine loses power, whether the broker runs or not.
    pub(super) fn lose_power(&mut self, seed: u64) {
        self.is_up = false;
        self.process.kill();
        self.disk.power_loss(seed);
    }
}

async fn serve<F: Faults>(env: Env, disk: SimDisk, identity: Identity, settings: Settings, faults: F) {
    let node = settings.node;
    let disks = vec![disk.mount(Some(env.clone()))];
    match Box::pin(Server::start(env, disks, &identity, settings, faults)).await {
        Ok(mut server) => panic!("node {node} cannot go on: {}", server.failed().await),
        Err(error) => panic!("node {node} does not start: {error}"),
    }
}
