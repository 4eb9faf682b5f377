//! A disk that is full, in whole servers in the simulation: it refuses, can be read, and goes on by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use highwater_client::Client;
use highwater_client::consumer::Start;
use highwater_client::error::{Outcome, ProduceError};
use highwater_client::producer::Record;
use highwater_client::settings::{ClientSettings, ConsumerSettings, ProducerSettings};
use highwater_model::api::{NewTopic, PartitionDetail};
use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, DirectoryId, NodeId, PartitionIndex};
use highwater_node::config::Endpoint;
use highwater_node::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use highwater_node::disk::SimDisk;
use highwater_node::monitor::Monitors;
use highwater_node::server::{Limits, Roles, Server, Settings, Timing, TopicDefaults};
use highwater_node::trace::Recorder;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::env::sim::{Config, Simulation};
use highwater_transport::identity::Identity;

const PORT: u16 = 9092;
const PARTITION: PartitionIndex = PartitionIndex(0);

fn address(node: NodeId) -> IpAddr {
    Ipv4Addr::new(198, 18, 0, u8::try_from(node.0).expect("few nodes")).into()
}

fn directory(node: NodeId) -> DirectoryId {
    DirectoryId(u128::from(node.0) + 1_000)
}

/// Running nodes, and their disks.
struct Cluster {
    disks: BTreeMap<NodeId, SimDisk>,
    client: Client,
}

impl Cluster {
    async fn start(sim: &Simulation, nodes: u32) -> Self {
        let authority = LabAuthority::new("test").expect("a certificate authority");
        let nodes: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let voter = |node: &NodeId| InitialVoter {
            node: *node,
            endpoint: Endpoint { host: address(*node).to_string(), port: PORT },
            directory: directory(*node),
        };
        let voters: Vec<InitialVoter> = nodes.iter().map(voter).collect();
        let mut disks = BTreeMap::new();
        for node in nodes {
            let disk = SimDisk::new(&format!("disk-{node}"), sim.env().random_u64());
            let directory = directory(node);
            let formatted = Formatted { cluster: ClusterId(7), node, directory, voters: voters.clone() };
            let text = formatted.render().into_bytes().into();
            disk.mount(None).replace(FILE_NAME, text).await.expect("an empty disk takes a file");
            let env = sim.process(&format!("broker-{node}"), address(node)).env();
            let identity = authority.broker(node).expect("a broker's certificate");
            drop(env.clone().spawn("server", serve(env, disk.clone(), identity, settings(node))));
            disks.insert(node, disk);
        }
        let identity = authority.client("test").expect("a client's certificate");
        let bootstrap_servers =
            voters.iter().map(|voter| format!("{}:{PORT}", voter.endpoint.host)).collect();
        let settings = ClientSettings { bootstrap_servers, ..ClientSettings::default() };
        let env = sim.process("client", address(NodeId(100))).env();
        Self { disks, client: Client::new(&env, identity, settings) }
    }

    fn disk(&self, node: NodeId) -> &SimDisk {
        self.disks.get(&node).expect("every node has a disk")
    }

    /// From here on the disk takes nothing more.
    fn fill(&self, node: NodeId) {
        let disk = self.disk(node);
        disk.set_capacity(Some(disk.used_bytes()));
    }

    fn free(&self, node: NodeId) {
        self.disk(node).set_capacity(None);
    }

    async fn sleep(&self, seconds: u64) {
        self.client.env().sleep(Duration::from_secs(seconds)).await;
    }

    async fn create(&self, name: &str) {
        let count = self.disks.len();
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(1),
            replication_factor: Some(u16::try_from(count).expect("few nodes")),
            assignments: Vec::new(),
            configs: vec![("min.insync.replicas".to_owned(), count.div_ceil(2).to_string())],
        };
        while let Err(error) = self.client.admin().create_topic(topic.clone(), false).await {
            eprintln!("{name}: {error}");
            if self.client.admin().describe_topic(name).await.is_ok() {
                return;
            }
            self.sleep(1).await;
        }
    }

    async fn describe(&self) -> PartitionDetail {
        let topic = self.client.admin().describe_topic("clicks").await.expect("the topic is there");
        topic.partitions.into_iter().next().expect("it has a partition")
    }

    /// Waits until every replica is in sync, and one leads.
    async fn whole(&self) -> PartitionDetail {
        loop {
            let partition = self.describe().await;
            if partition.isr.len() == self.disks.len() && partition.leader.is_some() {
                return partition;
            }
            self.sleep(1).await;
        }
    }

    /// What became of each of these records, tried for so long.
    async fn produce(&self, values: std::ops::Range<u32>, seconds: u64) -> Vec<Result<String, ProduceError>> {
        let delivery_timeout = Duration::from_secs(seconds);
        let producer = self.client.producer(ProducerSettings { delivery_timeout, ..Default::default() });
        let mut fates = Vec::new();
        for value in values {
            let text = format!("value-{value}");
            let delivery = producer.send("clicks", Record::of(text.clone())).await.expect("it is taken");
            fates.push((text, delivery));
        }
        let mut told = Vec::new();
        for (text, delivery) in fates {
            told.push(delivery.await.map(|_| text));
        }
        told
    }

    async fn consume(&self) -> BTreeSet<String> {
        let mut consumer = self.client.consumer(ConsumerSettings::default());
        consumer.assign("clicks", PARTITION, Start::Beginning).await.expect("it can be read");
        let end = self.client.ends("clicks", PARTITION).await.expect("it has an end").end;
        let mut values = BTreeSet::new();
        while consumer.position("clicks", PARTITION) < Some(end) {
            for record in consumer.poll(Duration::from_secs(1)).await.expect("it can be read") {
                let value = record.value.expect("every record has a value");
                let text = String::from_utf8(value.to_vec()).expect("every value is text");
                assert!(values.insert(text), "nothing comes twice");
            }
        }
        values
    }

    async fn fenced(&self) -> Vec<NodeId> {
        let cluster = self.client.admin().describe_cluster(true).await.expect("there is a controller");
        cluster.brokers.into_iter().filter(|broker| broker.fenced).map(|broker| broker.node).collect()
    }
}

fn settings(node: NodeId) -> Settings {
    Settings {
        node,
        cluster: Some(ClusterId(7)),
        roles: Roles { broker: true, controller: true },
        listen: SocketAddr::new(address(node), PORT),
        advertised: None,
        controllers: BTreeMap::new(),
        timing: Timing::default(),
        topics: TopicDefaults::default(),
        limits: Limits::default(),
        trace: Recorder::default(),
        monitors: Monitors::every(NonZeroU32::MIN),
    }
}

/// A server that must go on.
async fn serve(env: Env, disk: SimDisk, identity: Identity, settings: Settings) {
    let node = settings.node;
    let disks = vec![disk.mount(Some(env.clone()))];
    let started = Box::pin(Server::start(env, disks, &identity, settings, Sound)).await;
    let mut server = started.expect("the server starts");
    panic!("node {node} cannot go on: {}", server.failed().await);
}

fn acknowledged(fates: Vec<Result<String, ProduceError>>) -> BTreeSet<String> {
    fates.into_iter().map(|fate| fate.expect("it is acknowledged")).collect()
}

/// Fills the disk of one node of three for a while.
async fn fill_and_free(sim: Simulation, full: NodeId) {
    let cluster = Cluster::start(&sim, 3).await;
    cluster.create("clicks").await;
    let mut known = acknowledged(cluster.produce(0..30, 60).await);
    let leader = cluster.whole().await.leader;
    let controller = cluster.client.admin().describe_quorum().await.expect("the quorum is led").leader;
    eprintln!("disk of {full} fills; {leader:?} leads, controller {controller:?}");

    cluster.fill(full);
    let fates = cluster.produce(30..60, if leader == Some(full) { 4 } else { 60 }).await;
    if leader == Some(full) {
        for fate in fates {
            let Err(ProduceError::TimedOut { last, outcome, .. }) = fate else {
                panic!("a leader without room refuses, and not for good: {fate:?}");
            };
            assert!(last.contains("is full; nothing was written"), "{last}");
            assert_eq!(outcome, Outcome::NotDone);
        }
    } else {
        known.extend(acknowledged(fates));
        assert!(!cluster.describe().await.isr.contains(&full));
    }
    assert_eq!(cluster.consume().await, known);
    // The metadata goes on through the others, whoever led the quorum.
    cluster.create("while-full").await;
    let controller = cluster.client.admin().describe_quorum().await.expect("the quorum is led").leader;
    assert_ne!(controller, Some(full));
    assert_eq!(cluster.fenced().await, []);

    cluster.free(full);
    known.extend(acknowledged(cluster.produce(60..90, 60).await));
    drop(cluster.whole().await);
    assert_eq!(cluster.consume().await, known);
    cluster.create("afterwards").await;
}

/// Shows what the servers say, if `RUST_LOG` asks for it.
fn log_as_asked() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}

#[test]
fn a_broker_whose_disk_was_full_catches_up_without_a_restart() {
    log_as_asked();
    for full in [1, 2, 3].map(NodeId) {
        let run = Simulation::run(5, Config::default(), async |sim| Box::pin(fill_and_free(sim, full)).await);
        let () = run.success();
    }
}

#[test]
fn a_node_alone_whose_disk_was_full_goes_on() {
    log_as_asked();
    let run = Simulation::run(6, Config::default(), async |sim| {
        let cluster = Cluster::start(&sim, 1).await;
        cluster.create("clicks").await;
        let mut known = acknowledged(cluster.produce(0..10, 60).await);
        cluster.fill(NodeId(1));
        assert!(cluster.produce(10..20, 3).await.iter().all(Result::is_err));
        assert_eq!(cluster.consume().await, known);

        let creating = cluster.create("while-full");
        let freeing = async {
            cluster.sleep(10).await;
            cluster.free(NodeId(1));
        };
        tokio::join!(creating, freeing);
        known.extend(acknowledged(cluster.produce(20..30, 60).await));
        assert_eq!(cluster.consume().await, known);
    });
    let () = run.success();
}
