//! Whole servers in one process, over loopback and real disks: records go in, a leader goes away, records come out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_client::consumer::Start;
use highwater_client::producer::Record;
use highwater_client::settings::{ClientSettings, ConsumerSettings, ProducerSettings};
use highwater_client::{Client, Producer};
use highwater_model::api::NewTopic;
use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, DirectoryId, NodeId, PartitionIndex};
use highwater_node::config::Endpoint;
use highwater_node::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use highwater_node::disk::{Disk, RealDisk};
use highwater_node::server::{Limits, Roles, Server, ServerHandle, Settings, Timing, TopicDefaults};
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;

/// Directories, ports and certificates of a cluster whose nodes are started one by one.
struct Cluster {
    env: Env,
    root: tempfile::TempDir,
    authority: LabAuthority,
    ports: Vec<u16>,
}

impl Cluster {
    async fn formatted(nodes: u32) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let authority = LabAuthority::new("test").expect("a certificate authority");
        let free = |_| UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let sockets: Vec<UdpSocket> = (0..nodes).map(free).collect();
        let port = |socket: &UdpSocket| socket.local_addr().expect("a bound socket has an address").port();
        let ports = sockets.iter().map(port).collect();
        let cluster = Self { env: Env::real(), root, authority, ports };
        for node in cluster.nodes() {
            cluster.format(node).await;
        }
        cluster
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=u32::try_from(self.ports.len()).expect("few nodes")).map(NodeId)
    }

    fn port(&self, node: NodeId) -> u16 {
        self.ports[usize::try_from(node.0).expect("few nodes") - 1]
    }

    fn disk(&self, node: NodeId) -> Arc<dyn Disk> {
        let path = self.root.path().join(format!("node-{node}"));
        Arc::new(RealDisk::open(Path::new(&path)).expect("a directory"))
    }

    async fn format(&self, node: NodeId) {
        let directory = |node: NodeId| DirectoryId(u128::from(node.0) + 1_000);
        let voters = self.nodes().map(|node| InitialVoter {
            node,
            endpoint: Endpoint { host: "127.0.0.1".to_owned(), port: self.port(node) },
            directory: directory(node),
        });
        let formatted =
            Formatted { cluster: ClusterId(7), node, directory: directory(node), voters: voters.collect() };
        let text = formatted.render().into_bytes();
        self.disk(node).replace(FILE_NAME, text.into()).await.expect("the directory can be formatted");
    }

    async fn start(&self, node: NodeId) -> Process {
        let env = Env::real();
        let settings = Settings {
            node,
            cluster: Some(ClusterId(7)),
            roles: Roles { broker: true, controller: true },
            listen: ([127, 0, 0, 1], self.port(node)).into(),
            advertised: None,
            controllers: Default::default(),
            timing: Timing::default(),
            topics: TopicDefaults::default(),
            limits: Limits::default(),
        };
        let identity = self.authority.broker(node).expect("a broker's certificate");
        let disk = self.disk(node);
        let started = Server::start(env.clone(), vec![Arc::clone(&disk)], &identity, settings, Sound).await;
        Process { env, disk: Arc::downgrade(&disk), server: started.expect("the server starts") }
    }

    fn client(&self) -> Client {
        let identity = self.authority.client("test").expect("a client's certificate");
        let bootstrap_servers = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        Client::new(&self.env, identity, ClientSettings { bootstrap_servers, ..ClientSettings::default() })
    }
}

/// A server that can be killed.
struct Process {
    env: Env,
    disk: Weak<dyn Disk>,
    server: ServerHandle,
}

impl Process {
    /// Ends the server as a signal would: nobody is told, and nothing is done on the way out.
    async fn kill(self) {
        self.env.end();
        drop(self.server);
        // The directory is free again when the last task is gone.
        while self.disk.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn new_topic(name: &str, partitions: u32, replicas: u16, min_isr: u16) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: Some(partitions),
        replication_factor: Some(replicas),
        assignments: Vec::new(),
        configs: vec![("min.insync.replicas".to_owned(), min_isr.to_string())],
    }
}

/// Produces `values`, and gives back those that were acknowledged.
async fn produce(producer: &Producer, values: std::ops::Range<u32>) -> BTreeSet<String> {
    let mut deliveries = Vec::new();
    for value in values {
        let text = format!("value-{value}");
        let delivery =
            producer.send("clicks", Record::of(text.clone())).await.expect("the producer takes it");
        deliveries.push((text, delivery));
    }
    let mut acknowledged = BTreeSet::new();
    for (text, delivery) in deliveries {
        match delivery.await {
            Ok(_) => drop(acknowledged.insert(text)),
            Err(error) => eprintln!("{text}: {error}"),
        }
    }
    acknowledged
}

/// Reads everything that is committed.
async fn consume(client: &Client, partitions: u32) -> Vec<String> {
    let mut consumer = client.consumer(ConsumerSettings::default());
    let mut ends = Vec::new();
    for partition in (0..partitions).map(PartitionIndex) {
        consumer.assign("clicks", partition, Start::Beginning).await.expect("the partition can be read");
        let end = client.ends("clicks", partition).await.expect("the partition has an end").end;
        ends.push((partition, end));
    }
    let mut values = Vec::new();
    let is_done = |consumer: &highwater_client::Consumer| {
        ends.iter().all(|(partition, end)| consumer.position("clicks", *partition) >= Some(*end))
    };
    while !is_done(&consumer) {
        for record in consumer.poll(Duration::from_secs(1)).await.expect("the partitions can be read") {
            let value = record.value.expect("every record has a value");
            values.push(String::from_utf8(value.to_vec()).expect("every value is text"));
        }
    }
    values
}

fn assert_nothing_lost(acknowledged: &BTreeSet<String>, consumed: &[String]) {
    let found: BTreeSet<String> = consumed.iter().cloned().collect();
    let lost: Vec<&String> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    assert_eq!(found.len(), consumed.len(), "nothing comes twice");
}

#[tokio::test]
async fn one_server_alone_keeps_what_it_acknowledged() {
    log_as_asked();
    let cluster = Cluster::formatted(1).await;
    let mut process = cluster.start(NodeId(1)).await;
    process.server.ready().await;
    let client = cluster.client();
    client.admin().create_topic(new_topic("clicks", 2, 1, 1), false).await.expect("the topic is created");
    let producer = client.producer(ProducerSettings::default());
    let mut acknowledged = produce(&producer, 0..100).await;
    assert_eq!(acknowledged.len(), 100);
    assert_nothing_lost(&acknowledged, &consume(&client, 2).await);

    process.server.shutdown().await;
    let mut process = cluster.start(NodeId(1)).await;
    process.server.ready().await;
    assert_nothing_lost(&acknowledged, &consume(&client, 2).await);

    process.kill().await;
    let process = cluster.start(NodeId(1)).await;
    acknowledged.extend(produce(&producer, 100..200).await);
    assert_eq!(acknowledged.len(), 200);
    assert_nothing_lost(&acknowledged, &consume(&client, 2).await);
    process.server.shutdown().await;
}

#[tokio::test]
async fn three_servers_keep_what_they_acknowledged_when_the_leader_is_killed() {
    log_as_asked();
    let cluster = Cluster::formatted(3).await;
    let mut processes = BTreeMap::new();
    for node in cluster.nodes() {
        processes.insert(node, cluster.start(node).await);
    }
    for process in processes.values_mut() {
        process.server.ready().await;
    }
    let client = cluster.client();
    client.admin().create_topic(new_topic("clicks", 1, 3, 2), false).await.expect("the topic is created");
    let producer = client.producer(ProducerSettings::default());
    let mut acknowledged = produce(&producer, 0..200).await;
    assert_eq!(acknowledged.len(), 200);

    let topic = client.admin().describe_topic("clicks").await.expect("the topic is there");
    let leader = topic.partitions[0].leader.expect("the partition is led");
    processes.remove(&leader).expect("the leader runs").kill().await;
    acknowledged.extend(produce(&producer, 200..400).await);
    assert_eq!(acknowledged.len(), 400);
    assert_nothing_lost(&acknowledged, &consume(&client, 1).await);

    processes.insert(leader, cluster.start(leader).await);
    let in_sync = |topic: &highwater_model::api::TopicDetail| topic.partitions[0].isr.len() == 3;
    while !in_sync(&client.admin().describe_topic("clicks").await.expect("the topic is there")) {
        cluster.env.sleep(Duration::from_millis(20)).await;
    }
    for process in processes.into_values() {
        process.server.shutdown().await;
    }
}

/// Shows what the servers say, if `RUST_LOG` asks for it.
fn log_as_asked() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
