//! What a server must be told before it starts: who it is, where its parts live, and how patient it is.
//!
//! Reading files, the environment and flags into these values belongs to `config`; certificates belong to
//! [`highwater_transport`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use highwater_model::id::{ClusterId, NodeId};

use crate::monitor::Monitors;
use crate::trace::Recorder;

/// Everything that one server process is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `node.id`.
    pub node: NodeId,
    /// The cluster that this node belongs to, if it is said; a directory formatted for another one is refused.
    pub cluster: Option<ClusterId>,
    /// `process.roles`.
    pub roles: Roles,
    /// Where the QUIC endpoint is bound. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// `advertised.listeners`: `host:port` under which others reach this node; the bound address when `None`.
    pub advertised: Option<String>,
    /// `controller.quorum.voters`: where controllers are reached, if not where the formatted directory says.
    pub controllers: BTreeMap<NodeId, String>,
    /// How long to wait for what.
    pub timing: Timing,
    /// What a topic gets that does not say otherwise.
    pub topics: TopicDefaults,
    /// How much a server takes on at once.
    pub limits: Limits,
    /// `trace.dir`: where it records what it does; by default nowhere.
    pub trace: Recorder,
    /// `monitor.enable` and `monitor.steps`: the runtime monitors, and where they count; by default there are none.
    pub monitors: Monitors,
}

/// `process.roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Hosts partitions and serves clients.
    pub broker: bool,
    /// May vote in the metadata quorum and be the active controller.
    pub controller: bool,
}

/// How long to wait for what. Highwater's own defaults are shorter than Kafka's, for fail-over well under 2 s.
#[derive(Clone, Debug)]
pub struct Timing {
    /// `broker.session.timeout.ms`: a broker that is silent for so long is fenced (Q55).
    pub session: Duration,
    /// `broker.heartbeat.interval.ms` (Q53).
    pub heartbeat: Duration,
    /// `controller.quorum.fetch.timeout.ms`: a voter that hears nothing from its leader for so long asks for an
    /// election; the actual wait is drawn between this and twice this.
    pub quorum_fetch: Duration,
    /// `controller.quorum.election.timeout.ms`: how long a candidate waits for votes; drawn likewise.
    pub quorum_election: Duration,
    /// `controller.quorum.request.timeout.ms`: a quorum message without an answer is sent again after this.
    pub quorum_retry: Duration,
    /// `replica.lag.time.max.ms`: a follower that has not caught up for so long leaves the ISR (R41).
    pub replica_lag_max: Duration,
    /// `replica.fetch.backoff.ms`: a fetch without an answer is sent again after this, on a link that lives.
    pub replica_retry: Duration,
    /// `request.timeout.ms` for what one broker asks of another.
    pub request: Duration,
    /// `controlled.shutdown.timeout.ms`: a shutdown that the controller does not allow by then is made without it.
    pub controlled_shutdown: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            session: Duration::from_millis(1_000),
            heartbeat: Duration::from_millis(200),
            quorum_fetch: Duration::from_millis(600),
            quorum_election: Duration::from_millis(300),
            quorum_retry: Duration::from_millis(150),
            replica_lag_max: Duration::from_secs(5),
            replica_retry: Duration::from_millis(500),
            request: Duration::from_secs(10),
            controlled_shutdown: Duration::from_secs(10),
        }
    }
}

/// What a topic gets that does not say otherwise.
#[derive(Clone, Debug)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub partitions: u32,
    /// `default.replication.factor`.
    pub replication_factor: u16,
    /// Configuration that a topic is created with unless its creator says otherwise: `min.insync.replicas` and the like,
    /// as far as they are set on this broker. From then on it is the topic's own, the same for every broker (X4).
    pub configs: Vec<(String, String)>,
}

impl Default for TopicDefaults {
    fn default() -> Self {
        Self { partitions: 1, replication_factor: 1, configs: Vec::new() }
    }
}

/// How much a server takes on at once. Past a bound it waits or refuses; nothing grows without end.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `replica.fetch.response.max.bytes`: about how much one answer to a follower carries.
    pub replica_fetch_bytes_max: u32,
    /// Produces of one partition that may wait for their acknowledgement.
    pub pending_produces_max: u32,
    /// Fetches and reads of one partition that may wait for data.
    pub pending_fetches_max: u32,
    /// `queued.max.requests`: requests of one connection that may be under way.
    pub requests_in_flight_max: u32,
    /// `queued.max.request.bytes`: requests of all clients that are held at a time, in bytes.
    pub queued_request_bytes_max: u32,
    /// `max.connections`: connections of clients at a time. Other brokers are not among them.
    pub client_connections_max: u32,
    /// Length of each task's inbox, in messages.
    pub inbox_length: usize,
    /// `metadata.log.max.record.bytes.between.snapshots`: a snapshot of the metadata is taken when so many bytes have been
    /// committed since the last one.
    pub metadata_snapshot_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            replica_fetch_bytes_max: 1 << 20,
            pending_produces_max: 4_096,
            pending_fetches_max: 1_024,
            requests_in_flight_max: 512,
            queued_request_bytes_max: 512 << 20,
            client_connections_max: 4_096,
            inbox_length: 1_024,
            metadata_snapshot_bytes: 20 << 20,
        }
    }
}
