//! Clusters to attack: what a workload needs of one, and what can be broken in it.

pub mod processes;
pub mod relay;
pub mod simulated;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_client::Client;
use highwater_model::id::NodeId;
use highwater_transport::env::Env;

/// Makes clients that know nothing yet.
pub type NewClient = Arc<dyn Fn() -> Result<Client, ClusterError> + Send + Sync>;

/// Why a cluster does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ClusterError {
    /// What went wrong, and what to do about it.
    pub what: String,
}

impl ClusterError {
    /// With these words.
    pub fn new(what: impl ToString) -> Self {
        Self { what: what.to_string() }
    }
}

/// How the network treats datagrams between brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Chance that a datagram is lost, in per cent.
    pub loss_percent: u8,
    /// Chance that a datagram arrives twice, in per cent.
    pub duplicate_percent: u8,
    /// Chance that a datagram is held back, so that later ones overtake it, in per cent.
    pub reorder_percent: u8,
    /// How long every datagram takes longer, at least.
    pub delay: Duration,
    /// How much longer still it may take.
    pub jitter: Duration,
}

impl fmt::Display for Disorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { loss_percent, duplicate_percent, reorder_percent, delay, jitter } = self;
        write!(f, "{loss_percent} % lost, {duplicate_percent} % twice, {reorder_percent} % overtaken")?;
        write!(f, ", {} to {} ms longer", delay.as_millis(), (*delay + *jitter).as_millis())
    }
}

impl Disorder {
    /// Both at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            loss_percent: self.loss_percent.max(other.loss_percent),
            duplicate_percent: self.duplicate_percent.max(other.duplicate_percent),
            reorder_percent: self.reorder_percent.max(other.reorder_percent),
            delay: self.delay.max(other.delay),
            jitter: self.jitter.max(other.jitter),
        }
    }
}

/// Datagrams between brokers that the network did not carry as it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbed {
    /// Lost because a link was cut.
    pub cut: u64,
    /// Lost by chance, late, doubled or overtaken.
    pub disordered: u64,
}

/// What can be done to a cluster beyond killing and starting its brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// Processes can be held still.
    Pause,
    /// Links can be cut, one way too.
    Cut,
    /// Datagrams can be lost, delayed, duplicated and reordered.
    Disorder,
    /// Machines can lose power, and with it what was not synced.
    PowerLoss,
}

/// A cluster, its machines numbered from 1.
#[expect(
    async_fn_in_trait,
    reason = "one task drives a cluster, so nobody asks whether its futures may move"
)]
pub trait Cluster {
    /// The harness's own time.
    fn env(&self) -> &Env;

    /// The brokers.
    fn nodes(&self) -> Vec<NodeId>;

    /// Makes clients that know nothing yet, from any task.
    fn new_client(&self) -> NewClient;

    /// Whether a broker runs, as far as the nemesis has it.
    fn is_up(&self, node: NodeId) -> bool;

    /// Why something cannot be done to this cluster; `None` if it can.
    fn lacks(&self, means: Means) -> Option<String>;

    /// Starts a broker that does not run.
    ///
    /// # Errors
    /// If it cannot be started.
    async fn start(&mut self, node: NodeId) -> Result<(), ClusterError>;

    /// Kills brokers at once: what they wrote stays.
    ///
    /// # Errors
    /// If one cannot be killed.
    async fn kill(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError>;

    /// Asks a broker to stop, and waits until it has.
    ///
    /// # Errors
    /// If it does not.
    async fn stop(&mut self, node: NodeId) -> Result<(), ClusterError>;

    /// Machines lose power: what their brokers had not synced may be gone.
    ///
    /// # Errors
    /// If that cannot be done.
    async fn lose_power(&mut self, nodes: &[NodeId]) -> Result<(), ClusterError>;

    /// Holds a broker still.
    fn pause(&mut self, node: NodeId);

    /// Lets a broker go on.
    fn resume(&mut self, node: NodeId);

    /// Loses everything that one broker sends to another.
    fn cut(&mut self, from: NodeId, to: NodeId);

    /// Lets everything that one broker sends to another take so much longer.
    fn slow(&mut self, from: NodeId, to: NodeId, by: Duration);

    /// Has the network treat datagrams so too.
    fn disorder(&mut self, disorder: Disorder);

    /// Undoes every cut, delay and disorder.
    fn heal_network(&mut self);

    /// What was done to datagrams so far.
    fn disturbed(&self) -> Disturbed;

    /// A broker that has ended though nobody ended it, and what it said.
    fn found_dead(&mut self) -> Option<String>;

    /// What is left of each broker once all are down: its log directory.
    fn data_dirs(&self) -> Vec<PathBuf>;
}
