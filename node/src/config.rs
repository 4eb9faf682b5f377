//! The broker's configuration: Kafka's property names, resolved into one typed value.
//!
//! Says what each value is and where it came from, and refuses what cannot be. Leaves reading files to its caller and
//! acting on the values to the rest of the node.

pub mod file;
pub mod formatted;
pub mod key;
pub mod layers;
mod reader;
pub mod value;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use highwater_model::id::{ClusterId, NodeId};

use self::key::{KEYS, Support};
use self::layers::{Layers, Origin};
use self::reader::Reader;
pub use self::value::{Endpoint, VoterEndpoint};

/// One setting that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The property, or the text that should have been one.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

impl Problem {
    /// A problem of this property.
    pub fn new(name: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.what)
    }
}

/// Everything that is refused about a configuration, so that one run shows it all.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("the configuration is refused: {}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether nothing is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// What to do about the first of them.
    #[must_use]
    pub fn hint(&self) -> String {
        self.0.first().map(|problem| problem.hint.clone()).unwrap_or_default()
    }
}

/// What a process is (`process.roles`). At least one is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It hosts partitions.
    pub broker: bool,
    /// It is a candidate for the metadata quorum.
    pub controller: bool,
}

/// `flush.policy`: what a replica may count (X13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushPolicy {
    /// Only what it has synced.
    Commit,
    /// Whatever it has handed to the operating system.
    Os,
}

/// What a topic has that does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub partitions: u32,
    /// `default.replication.factor`.
    pub replication_factor: u16,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u16,
    /// `flush.policy`.
    pub flush_policy: FlushPolicy,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: bool,
    /// `message.max.bytes`: largest record batch, in bytes, inclusive.
    pub message_bytes_max: u32,
    /// `log.segment.bytes`: size at which a new segment starts, in bytes.
    pub segment_bytes: u32,
    /// `log.retention.*`: how long records are kept, or `None` for ever. Has no effect yet.
    pub retention: Option<Duration>,
    /// `log.retention.bytes`: how many bytes are kept, or `None` for all. Has no effect yet.
    pub retention_bytes: Option<u64>,
    /// Those of the above that were set and not left at their default, as topic properties in their plain form.
    pub set: Vec<(String, String)>,
}

/// How long things may take. Highwater's own defaults, shorter than Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `replica.lag.time.max.ms`.
    pub replica_lag_max: Duration,
    /// `broker.session.timeout.ms`.
    pub broker_session_timeout: Duration,
    /// `broker.heartbeat.interval.ms`.
    pub broker_heartbeat_interval: Duration,
    /// `controller.quorum.fetch.timeout.ms`.
    pub quorum_fetch_timeout: Duration,
    /// `controller.quorum.election.timeout.ms`.
    pub quorum_election_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`.
    pub quorum_request_timeout: Duration,
    /// `replica.fetch.backoff.ms`.
    pub replica_fetch_backoff: Duration,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `controlled.shutdown.max.ms`, or `None` if `controlled.shutdown.enable` is false.
    pub controlled_shutdown_max: Option<Duration>,
}

/// Certificates and key as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsPem {
    /// Own certificate chain, leaf first.
    pub chain: String,
    /// Private key, PKCS#8.
    pub key: String,
    /// Trusted roots.
    pub roots: String,
}

impl fmt::Debug for TlsPem {
    /// Leaves out the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPem")
            .field("chain", &self.chain)
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}

/// A broker's configuration, whole and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// `node.id`.
    pub node: NodeId,
    /// `cluster.id`, if it is set; else the formatted directory decides.
    pub cluster: Option<ClusterId>,
    /// `process.roles`.
    pub roles: Roles,
    /// `controller.quorum.voters`; may be empty, then the formatted directory decides.
    pub quorum_voters: Vec<VoterEndpoint>,
    /// `listeners`: the one address to listen on. An empty host means every interface.
    pub listener: Endpoint,
    /// `advertised.listeners`: the address that others are told.
    pub advertised: Endpoint,
    /// `log.dirs`: where logs are kept. At least one; the first holds the metadata, which is `metadata.log.dir` if that is
    /// set.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub metadata_snapshot_bytes: u32,
    /// What topics have that do not say otherwise.
    pub topic_defaults: TopicDefaults,
    /// `replica.fetch.response.max.bytes`: about how much one answer to a follower carries, in bytes.
    pub replica_fetch_bytes_max: u32,
    /// `queued.max.requests`: requests of one connection that may be under way.
    pub requests_in_flight_max: u32,
    /// `queued.max.request.bytes`: requests of all clients that are held at a time, in bytes.
    pub queued_request_bytes_max: u32,
    /// `max.connections`: connections of clients at a time.
    pub client_connections_max: u32,
    /// `socket.request.max.bytes`: largest request, payload included, in bytes.
    pub request_bytes_max: u32,
    /// How long things may take.
    pub timing: Timing,
    /// `trace.dir`: where the broker records what it does, if anywhere.
    pub trace_dir: Option<PathBuf>,
    /// `trace.max.bytes`: how large the files of a trace may be together, in bytes.
    pub trace_bytes_max: u32,
    /// `monitor.steps`: once in how many steps of a protocol core its whole state is looked at, or `None` if `monitor.enable`
    /// is false.
    pub monitor_steps: Option<NonZeroU32>,
    /// Certificates and key.
    pub tls: TlsPem,
}

/// Reads the text of a file that a setting names.
pub type ReadText<'a> = &'a dyn Fn(&str) -> std::io::Result<String>;

impl ServerConfig {
    /// Turns settings into a configuration. `read` opens the PEM files that the settings name.
    ///
    /// # Errors
    /// Everything that is refused.
    pub fn resolve(layers: &Layers, read: ReadText<'_>) -> Result<Self, Problems> {
        let mut reader = Reader::new(layers, read);
        let config = reader.server_config();
        let problems = reader.finish();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }
}

/// Every property with its value and origin, for `--print-config`; secrets are not shown.
#[must_use]
pub fn effective(layers: &Layers) -> Vec<(&'static str, String, Origin)> {
    let shown = KEYS.iter().filter(|key| !matches!(key.support, Support::AliasOf(_)));
    shown
        .filter_map(|key| {
            let setting = layers.get(key)?;
            let value = if key.name == "ssl.keystore.key" { "[hidden]".to_owned() } else { setting.value };
            Some((key.name, value, setting.origin))
        })
        .collect()
}

#[cfg(test)]
mod tests;
