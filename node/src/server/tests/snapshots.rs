//! The metadata log does not grow for ever, and nobody who was away misses what went.

use highwater_client::Client;
use highwater_client::settings::ClientSettings;
use highwater_model::api::{ConfigChange, NewTopic};
use highwater_model::id::QuorumEpoch;
use highwater_model::quorum::{SnapshotId, VoterKey};
use highwater_transport::env::sim::Process;
use highwater_transport::identity::Identity;

use super::*;
use crate::disk::Entry;
use crate::log::{SnapshotName, Snapshots};
use crate::peers::wire::{ControllerAnswer, ControllerCall};

const NODES: u8 = 3;
/// Small enough for a few dozen decisions.
const SNAPSHOT_BYTES: u64 = 8 << 10;
pub(super) const TOPIC: &str = "visits";

/// A machine of the cluster.
struct Machine {
    node: NodeId,
    process: Process,
    disk: SimDisk,
    identity: Identity,
    /// Of all its runs.
    monitors: Monitors,
}

pub(super) struct Cluster {
    machines: Vec<Machine>,
    pub(super) client: Client,
    /// The client's.
    pub(super) identity: Identity,
}

pub(super) fn host(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, number))
}

impl Cluster {
    pub(super) async fn formatted(sim: &Simulation, seed: u64) -> Self {
        let authority = LabAuthority::new("test").unwrap();
        let voter = |number: u8| InitialVoter {
            node: NodeId(number.into()),
            endpoint: Address { host: host(number).to_string(), port: PORT },
            directory: DirectoryId(number.into()),
        };
        let voters: Vec<InitialVoter> = (1..=NODES).map(voter).collect();
        let mut machines = Vec::new();
        for number in 1..=NODES {
            let (node, directory) = (NodeId(number.into()), DirectoryId(number.into()));
            let name = format!("broker-{number}");
            let disk = SimDisk::new(&name, seed + u64::from(number));
            let formatted = Formatted { cluster: ClusterId(7), node, directory, voters: voters.clone() };
            disk.mount(None).replace(FILE_NAME, formatted.render().into_bytes().into()).await.unwrap();
            let (process, identity) = (sim.process(&name, host(number)), authority.broker(node).unwrap());
            let monitors = Monitors::every(NonZeroU32::MIN);
            machines.push(Machine { node, process, disk, identity, monitors });
        }
        let bootstrap_servers = (1..=NODES).map(|number| format!("{}:{PORT}", host(number))).collect();
        let settings = ClientSettings { bootstrap_servers, ..ClientSettings::default() };
        let env = sim.process("client", host(100)).env();
        let identity = authority.client("test").unwrap();
        Self { machines, client: Client::new(&env, identity.clone(), settings), identity }
    }

    /// Starts these machines, and waits until their brokers are ready.
    pub(super) async fn start(&self, numbers: std::ops::Range<usize>) -> Vec<ServerHandle> {
        let mut servers = Vec::new();
        for machine in &self.machines[numbers] {
            servers.push(machine.start().await);
        }
        for server in &mut servers {
            server.ready().await;
        }
        servers
    }

    pub(super) async fn create_topic(&self) {
        let topic = NewTopic {
            name: TOPIC.to_owned(),
            partitions: Some(1),
            replication_factor: Some(3),
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        self.client.admin().create_topic(topic, false).await.unwrap();
    }

    /// Commits so many decisions, each a value of one property, up to this one.
    async fn change(&self, values: std::ops::Range<u32>) {
        for value in values {
            let change = || ConfigChange { name: "retention.ms".to_owned(), value: Some(value.to_string()) };
            // Who was asked may be the one that was killed. Nobody else writes, so the same may be written twice.
            while let Err(error) = self.client.admin().alter_configs(TOPIC, vec![change()], None).await {
                assert!(error.is_retriable() || error.is_unreachable(), "{error}");
            }
        }
    }

    /// The value as one of the brokers knows it.
    async fn value(&self) -> Option<String> {
        let metadata = self.client.admin().metadata(Some(vec![TOPIC.to_owned()])).await.unwrap();
        let topic = metadata.topics.into_iter().flatten().next()?;
        topic.configs.into_iter().find(|(name, _)| name == "retention.ms").map(|(_, value)| value)
    }
}

impl Machine {
    async fn start(&self) -> ServerHandle {
        let env = self.process.restart();
        let disks = vec![self.disk.mount(Some(env.clone()))];
        let limits = Limits { metadata_snapshot_bytes: SNAPSHOT_BYTES, ..Limits::default() };
        let listen = SocketAddr::new(self.process.address(), PORT);
        let monitors = self.monitors.clone();
        let settings = Settings { node: self.node, listen, limits, monitors, ..settings() };
        Box::pin(Server::start(env, disks, &self.identity, settings, Sound)).await.unwrap()
    }

    /// Its monitors have looked at where its metadata log begins, and nothing that they looked at is violated.
    fn assert_sound(&self) {
        let counts = self.monitors.counts();
        let start = counts.iter().find(|count| count.name == "quorum/log_start_has_a_snapshot");
        assert!(start.is_some_and(|start| start.evaluated > 0), "{start:?}");
        let violated: Vec<_> = counts.iter().filter(|count| count.violated > 0).collect();
        assert!(violated.is_empty(), "node {}: {violated:?}", self.node);
    }

    /// The snapshots, oldest first.
    fn snapshots(&self) -> Vec<SnapshotName> {
        Snapshots::new(self.disk.mount(None), LOG_DIRECTORY).list().unwrap()
    }

    /// The snapshots, and whether the log has its first segment still.
    fn kept(&self) -> (usize, bool) {
        let entries = self.disk.mount(None).list(LOG_DIRECTORY).unwrap();
        let is_snapshot = |entry: &&Entry| entry.name.ends_with(".checkpoint") && entry.name.starts_with('0');
        let has_first = entries.iter().any(|entry| entry.name == "00000000000000000000.log");
        (entries.iter().filter(is_snapshot).count(), has_first)
    }
}

async fn run(sim: &Simulation, seed: u64) {
    let cluster = Cluster::formatted(sim, seed).await;
    let [.., last] = cluster.machines.as_slice() else { panic!("there are three machines") };
    cluster.start(0..3).await;
    cluster.create_topic().await;
    last.process.kill();
    last.disk.kill();
    assert_eq!(last.kept(), (0, true));

    cluster.change(0..250).await;
    for machine in &cluster.machines[..2] {
        let (snapshots, has_first) = machine.kept();
        // Whoever is reading the older one need not begin again, and finds the log from there on.
        assert!(snapshots == 2 && !has_first, "node {}: {snapshots} snapshots", machine.node);
    }
    cluster.start(2..3).await;
    let (snapshots, has_first) = last.kept();
    assert!(snapshots > 0 && !has_first, "it began from a snapshot");

    // All of them begin from what is on their disks, and from one another.
    for (seed, machine) in (seed..).zip(&cluster.machines) {
        machine.process.kill();
        machine.disk.power_loss(seed);
    }
    cluster.start(0..3).await;
    assert_eq!(cluster.value().await.as_deref(), Some("249"));
    // Their logs began with a segment, and begin where a snapshot ends.
    cluster.machines.iter().for_each(Machine::assert_sound);
    cluster.change(250..260).await;

    // The one that was away alone with one of the others: what it has is enough.
    cluster.machines[0].process.kill();
    cluster.machines[0].disk.kill();
    cluster.change(260..270).await;
    assert_eq!(cluster.value().await.as_deref(), Some("269"));
    cluster.machines.iter().for_each(Machine::assert_sound);
}

#[test]
fn a_node_that_was_away_begins_from_a_snapshot_and_a_power_loss_takes_nothing_of_it() {
    for seed in 1..=3 {
        let outcome = Simulation::run(seed, Config::default(), async move |sim| {
            let env = sim.env();
            env.timeout(Duration::from_secs(900), Box::pin(run(&sim, seed)))
                .await
                .expect("it comes to its end");
        });
        let () = outcome.success();
    }
}

/// Asks for a part of the snapshot before the newest, as a node does that is to begin from it.
async fn read_older(leader: &ServerHandle, names: &[SnapshotName]) {
    let [.., older, _] = names else { panic!("there are two snapshots") };
    let id = SnapshotId { end: older.end, quorum_epoch: QuorumEpoch(older.epoch) };
    let replica = VoterKey { id: NodeId(9), directory: DirectoryId(9) };
    let (reply, answer) = oneshot::channel();
    let call = ControllerCall::FetchSnapshot { replica, id, position: 0 };
    leader.quorum.send(Ask::Call { call, reply }).await.unwrap();
    let answer = answer.await.unwrap();
    assert!(matches!(answer, ControllerAnswer::SnapshotPart { .. }), "{answer:?}");
}

/// How many decisions are committed before the leader takes a snapshot, while the older one is read or not.
async fn decisions_between(sim: &Simulation, seed: u64) -> [u32; 2] {
    let cluster = Cluster::formatted(sim, seed).await;
    let servers = cluster.start(0..3).await;
    cluster.create_topic().await;
    let first = *servers[0].broker.as_ref().unwrap().leaders.borrow();
    let at = servers.iter().position(|server| Some(server.node()) == first).unwrap();
    let (leader, machine) = (&servers[at], &cluster.machines[at]);
    let mut value = 0;
    let mut decisions = async |is_read: bool| {
        let (before, begun) = (machine.snapshots().last().copied(), value);
        while machine.snapshots().last().copied() == before && value < begun + 1000 {
            if is_read {
                read_older(leader, &machine.snapshots()).await;
            }
            cluster.change(value..value + 1).await;
            value += 1;
        }
        value - begun
    };
    for _ in 0..2 {
        decisions(false).await;
    }
    [decisions(false).await, decisions(true).await]
}

#[test]
fn who_reads_the_older_snapshot_postpones_the_next_one_and_not_for_ever() {
    let outcome = Simulation::run(1, Config::default(), async move |sim| {
        let env = sim.env();
        env.timeout(Duration::from_secs(900), Box::pin(decisions_between(&sim, 1))).await
    });

    let [unread, read] = outcome.success().expect("it comes to its end");
    assert!(read > unread * 3 / 2, "{read} after {unread}: it is postponed");
    assert!(read < unread * 5 / 2, "{read} after {unread}: not for ever");
}
