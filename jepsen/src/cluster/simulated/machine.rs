//! One simulated machine: its process, its disk, and the broker that runs on it or does not.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::fault::{Bug, Faults, Planted, Slip, Slipping, Sound};
use highwater_model::id::{ClusterId, DirectoryId, NodeId, PartitionIndex};
use highwater_node::config::Endpoint;
use highwater_node::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use highwater_node::disk::SimDisk;
use highwater_node::log::{Replica, directory_of};
use highwater_node::server::{Limits, Roles, Server, Settings, Timing, TopicDefaults};
use highwater_transport::env::sim::Process;
use highwater_transport::env::{Env, Task};
use highwater_transport::identity::Identity;
use highwater_transport::watch;

use super::left::files_of;
use super::{Recordings, Watching};
use crate::cluster::ClusterError;
use crate::workload::TOPIC;

/// The port of every broker.
pub(super) const PORT: u16 = 9092;
/// The cluster.
const CLUSTER: ClusterId = ClusterId(7);

/// What is wrong with the brokers, so that the harness can show that it finds it. For tests alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// Nothing: what production runs.
    #[default]
    Nothing,
    /// Their cores have a bug.
    Bug(Bug),
    /// Their drivers make a mistake.
    Slip(Slip),
    /// Their disks keep nothing of what they were told to sync of the workload's records.
    LyingSync,
}

impl Plant {
    /// What this word stands for: `none`, `lying-sync`, or the id of a bug or a slip.
    ///
    /// # Errors
    /// If it stands for nothing.
    pub fn parse(word: &str) -> Result<Self, String> {
        match word {
            "none" => return Ok(Self::Nothing),
            "lying-sync" => return Ok(Self::LyingSync),
            _ => {}
        }
        let planted = Bug::by_id(word).map(Self::Bug).or_else(|| Slip::by_id(word).map(Self::Slip));
        planted.ok_or_else(|| format!("{word:?} is none of none, lying-sync and the ids of bugs"))
    }

    /// The word that stands for it; none for nothing.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Bug(bug) => Some(bug.id()),
            Self::Slip(slip) => Some(slip.id()),
            Self::LyingSync => Some("lying-sync"),
        }
    }
}

/// What a machine is made of.
pub(super) struct Shape {
    pub(super) node: NodeId,
    pub(super) identity: Identity,
    pub(super) plant: Plant,
    pub(super) watching: Watching,
    pub(super) recordings: Recordings,
}

/// A broker's machine.
pub struct Machine {
    shape: Shape,
    process: Process,
    disk: SimDisk,
    /// The broker's task and how to ask it to stop, while it runs.
    running: Option<Running>,
}

struct Running {
    task: Task,
    stop: watch::Sender<bool>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("node", &self.shape.node).finish_non_exhaustive()
    }
}

impl Machine {
    pub(super) fn new(shape: Shape, process: Process, disk_seed: u64) -> Self {
        let disk = SimDisk::new(process.name(), disk_seed);
        if shape.plant == Plant::LyingSync {
            disk.set_lying_sync_under(&format!("{TOPIC}-"));
        }
        Self { shape, process, disk, running: None }
    }

    /// Writes what a broker must know before its first start: who votes.
    pub(super) async fn format(&self, voters: &[Self]) -> Result<(), ClusterError> {
        let voter = |voter: &Self| InitialVoter {
            node: voter.node(),
            endpoint: Endpoint { host: voter.address().to_string(), port: PORT },
            directory: directory(voter.node()),
        };
        let formatted = Formatted {
            cluster: CLUSTER,
            node: self.node(),
            directory: directory(self.node()),
            voters: voters.iter().map(voter).collect(),
        };
        let text = formatted.render().into_bytes();
        self.disk.mount(None).replace(FILE_NAME, text.into()).await.map_err(ClusterError::new)
    }

    /// The broker.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shape.node
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.process.address()
    }

    /// Whether the broker runs.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// What its disk holds of a partition of the workload, to be read now.
    #[must_use]
    pub fn replica(&self, partition: u32) -> Replica {
        let directory = directory_of(TOPIC, PartitionIndex(partition));
        Replica { disk: self.disk.mount(None), directory }
    }

    /// Every file of its disk, by path.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn files(&self) -> Result<Vec<(String, Bytes)>, ClusterError> {
        files_of(&self.disk).map_err(ClusterError::new)
    }

    /// How often its logs were cut, the metadata's too, by a truncation or a recovery.
    #[must_use]
    pub fn log_cuts(&self) -> u64 {
        self.disk.log_cuts()
    }

    /// Starts the broker if it is not running. A broker that cannot start, or cannot go on, fails the run.
    pub(super) fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        let task = match self.shape.plant {
            Plant::Nothing | Plant::LyingSync => self.spawn(Sound),
            Plant::Bug(bug) => self.spawn(Planted(Some(bug))),
            Plant::Slip(slip) => self.spawn(Slipping(Some(slip))),
        };
        self.running = Some(task);
    }

    fn spawn<F: Faults>(&self, faults: F) -> Running {
        let env = self.process.restart();
        let (stop, stopped) = watch::channel(false);
        let (disk, identity) = (self.disk.clone(), self.shape.identity.clone());
        let served = serve(env.clone(), (disk, identity), self.settings(), faults, stopped);
        Running { task: env.spawn("server", served), stop }
    }

    fn settings(&self) -> Settings {
        let node = self.node();
        Settings {
            node,
            cluster: Some(CLUSTER),
            roles: Roles { broker: true, controller: true },
            listen: SocketAddr::new(self.address(), PORT),
            advertised: None,
            controllers: BTreeMap::new(),
            timing: Timing::default(),
            topics: TopicDefaults::default(),
            limits: Limits::default(),
            trace: self.shape.recordings.begin(node),
            monitors: self.shape.watching.begin(node),
        }
    }

    /// Kills the broker: what the kernel has of its files stays.
    pub(super) fn kill(&mut self) {
        if self.running.take().is_some() {
            self.process.kill();
            self.disk.kill();
        }
    }

    /// Asks the broker to stop in order, and waits for that; false if it has to be killed.
    pub(super) async fn stop(&mut self, env: &Env, within: Duration) -> bool {
        let Some(running) = self.running.take() else { return true };
        running.stop.send_replace(true);
        let in_time = env.timeout(within, running.task.finished()).await.is_ok();
        self.process.kill();
        self.disk.kill();
        in_time
    }

    /// The machine loses power, whether the broker runs or not.
    pub(super) fn lose_power(&mut self, seed: u64) {
        self.running = None;
        self.process.kill();
        self.disk.power_loss(seed);
    }

    /// Holds the broker still, or lets it go on.
    pub(super) fn hold(&self, still: bool) {
        if still {
            self.process.pause();
        } else {
            self.process.resume();
        }
    }
}

fn directory(node: NodeId) -> DirectoryId {
    DirectoryId(u128::from(node.0) + 1_000)
}

async fn serve<F: Faults>(
    env: Env,
    (disk, identity): (SimDisk, Identity),
    settings: Settings,
    faults: F,
    mut stopped: watch::Receiver<bool>,
) {
    let node = settings.node;
    let disks = vec![disk.mount(Some(env.clone()))];
    let mut server = match Box::pin(Server::start(env, disks, &identity, settings, faults)).await {
        Ok(server) => server,
        Err(error) => panic!("broker {node} does not start: {error}"),
    };
    tokio::select! {
        biased;
        why = server.failed() => panic!("broker {node} cannot go on: {why}"),
        () = async { drop(stopped.wait_for(|stop| *stop).await) } => {}
    }
    Box::pin(server.shutdown()).await;
}
