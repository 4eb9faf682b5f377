//! Whole servers in one process, over loopback and real disks: records go in, a leader goes away, records come out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_client::consumer::Start;
use highwater_client::producer::Record;
use highwater_client::settings::{ClientSettings, ConsumerSettings, ProducerSettings};
use highwater_client::{Client, Producer};
use highwater_model::api::{NewTopic, VoterChange};
use highwater_model::fault::Sound;
use highwater_model::id::{ClusterId, DirectoryId, NodeId, PartitionIndex};
use highwater_node::config::Endpoint;
use highwater_node::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use highwater_node::disk::{Disk, RealDisk};
use highwater_node::monitor::Monitors;
use highwater_node::server::{
    Limits, Roles, Server, ServerHandle, Settings, StartError, Timing, TopicDefaults,
};
use highwater_node::trace::Recorder;
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use highwater_transport::quic::BindError;

/// Directories, addresses and certificates of a cluster whose nodes are started one by one.
struct Cluster {
    env: Env,
    root: tempfile::TempDir,
    authority: LabAuthority,
    network: [u8; 3],
    nodes: u32,
}

impl Cluster {
    /// Every cluster has loopback addresses of its own, so that tests side by side, and servers that are down for a
    /// while, do not take each other's ports.
    async fn formatted(nodes: u32) -> Self {
        Self::formatted_with(nodes, nodes).await
    }

    /// The first `voters` nodes are the voters that the quorum begins with.
    async fn formatted_with(nodes: u32, voters: u32) -> Self {
        static CLUSTERS: AtomicU8 = AtomicU8::new(1);
        let [process, ..] = std::process::id().to_le_bytes();
        let network = [127, process.max(1), CLUSTERS.fetch_add(1, Ordering::Relaxed)];
        let root = tempfile::tempdir().expect("a temporary directory");
        let authority = LabAuthority::new("test").expect("a certificate authority");
        let cluster = Self { env: Env::real(), root, authority, network, nodes };
        for node in cluster.nodes() {
            cluster.format(node, voters).await;
        }
        cluster
    }

    fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.nodes).map(NodeId)
    }

    fn address(&self, node: NodeId) -> SocketAddr {
        let [a, b, c] = self.network;
        ([a, b, c, u8::try_from(node.0).expect("few nodes")], 9092).into()
    }

    fn disk(&self, node: NodeId) -> Arc<dyn Disk> {
        let path = self.root.path().join(format!("node-{node}"));
        Arc::new(RealDisk::open(Path::new(&path)).expect("a directory"))
    }

    fn directory(node: NodeId) -> DirectoryId {
        DirectoryId(u128::from(node.0) + 1_000)
    }

    async fn format(&self, node: NodeId, voters: u32) {
        let voters = (1..=voters).map(NodeId).map(|node| InitialVoter {
            node,
            endpoint: Endpoint { host: self.address(node).ip().to_string(), port: self.address(node).port() },
            directory: Self::directory(node),
        });
        let formatted = Formatted {
            cluster: ClusterId(7),
            node,
            directory: Self::directory(node),
            voters: voters.collect(),
        };
        let text = formatted.render().into_bytes();
        self.disk(node).replace(FILE_NAME, text.into()).await.expect("the directory can be formatted");
    }

    async fn start(&self, node: NodeId) -> Process {
        let env = Env::real();
        let settings = Settings {
            node,
            cluster: Some(ClusterId(7)),
            roles: Roles { broker: true, controller: true },
            listen: self.address(node),
            advertised: None,
            controllers: Default::default(),
            timing: Timing::default(),
            topics: TopicDefaults::default(),
            limits: Limits::default(),
            trace: Recorder::default(),
            monitors: Monitors::every(NonZeroU32::MIN),
        };
        let identity = self.authority.broker(node).expect("a broker's certificate");
        // The sockets of a server that has ended are closed a moment later.
        loop {
            let disk = self.disk(node);
            let disks = vec![Arc::clone(&disk)];
            match Server::start(env.clone(), disks, &identity, settings.clone(), Sound).await {
                Ok(server) => return Process { env, disk: Arc::downgrade(&disk), server },
                Err(StartError::Bind(BindError::Socket { .. })) => tokio::task::yield_now().await,
                Err(error) => panic!("the server starts: {error}"),
            }
        }
    }

    fn client(&self) -> Client {
        let identity = self.authority.client("test").expect("a client's certificate");
        let bootstrap_servers = self.nodes().map(|node| self.address(node).to_string()).collect();
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

/// Creates a topic, and asks again if the controller moved before it could say so.
async fn create(client: &Client, topic: NewTopic) {
    while let Err(error) = client.admin().create_topic(topic.clone(), false).await {
        eprintln!("{}: {error}", topic.name);
        if client.admin().describe_topic(&topic.name).await.is_ok() {
            return;
        }
    }
}

/// Waits until so many replicas of the first partition are in sync.
async fn in_sync(cluster: &Cluster, client: &Client, replicas: usize) {
    loop {
        let topic = client.admin().describe_topic("clicks").await.expect("it is there");
        if topic.partitions.first().is_some_and(|first| first.isr.len() == replicas) {
            return;
        }
        cluster.env.sleep(Duration::from_millis(20)).await;
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
    create(&client, new_topic("clicks", 2, 1, 1)).await;
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
    create(&client, new_topic("clicks", 1, 3, 2)).await;
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
    in_sync(&cluster, &client, 3).await;
    for process in processes.into_values() {
        process.server.shutdown().await;
    }
}

#[tokio::test]
async fn three_servers_killed_at_once_come_back_with_all_that_they_acknowledged() {
    log_as_asked();
    let cluster = Cluster::formatted(3).await;
    let mut processes = Vec::new();
    for node in cluster.nodes() {
        processes.push(cluster.start(node).await);
    }
    for process in &mut processes {
        process.server.ready().await;
    }
    let client = cluster.client();
    create(&client, new_topic("clicks", 2, 3, 2)).await;
    let producer = client.producer(ProducerSettings::default());
    let mut acknowledged = produce(&producer, 0..100).await;

    for process in processes {
        process.kill().await;
    }
    let mut processes = Vec::new();
    for node in cluster.nodes() {
        processes.push(cluster.start(node).await);
    }
    acknowledged.extend(produce(&producer, 100..200).await);
    assert_eq!(acknowledged.len(), 200);
    assert_nothing_lost(&acknowledged, &consume(&client, 2).await);
    for process in processes {
        process.kill().await;
    }
}

#[tokio::test]
async fn a_refusal_names_the_replica_that_is_missing_and_why() {
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
    create(&client, new_topic("clicks", 1, 2, 2)).await;
    let replicas = client.admin().describe_topic("clicks").await.expect("it is there").partitions[0].clone();
    let follower = replicas.replicas.iter().copied().find(|node| Some(*node) != replicas.leader);
    let follower = follower.expect("one of two replicas follows");
    processes.remove(&follower).expect("it runs").kill().await;
    in_sync(&cluster, &client, 1).await;

    let settings =
        ProducerSettings { delivery_timeout: Duration::from_secs(6), ..ProducerSettings::default() };
    let delivery =
        client.producer(settings).send("clicks", Record::of("refused")).await.expect("it is taken");
    let refusal = delivery.await.expect_err("one of two replicas is missing").to_string();
    assert!(refusal.contains(&format!("broker {follower} (its session ended")), "{refusal}");
    for process in processes.into_values() {
        process.kill().await;
    }
}

#[tokio::test]
async fn a_broker_that_does_not_vote_serves_and_can_be_made_a_voter() {
    log_as_asked();
    let cluster = Cluster::formatted_with(2, 1).await;
    let mut voter = cluster.start(NodeId(1)).await;
    let mut other = cluster.start(NodeId(2)).await;
    voter.server.ready().await;
    other.server.ready().await;
    let client = cluster.client();
    create(&client, new_topic("clicks", 2, 2, 2)).await;
    let producer = client.producer(ProducerSettings::default());
    let acknowledged = produce(&producer, 0..100).await;
    assert_eq!(acknowledged.len(), 100);
    assert_nothing_lost(&acknowledged, &consume(&client, 2).await);

    let (node, directory) = (NodeId(2), Cluster::directory(NodeId(2)));
    let voters = async || {
        let quorum = client.admin().describe_quorum().await.expect("the quorum is led");
        quorum.voters.iter().map(|voter| voter.node).collect::<Vec<_>>()
    };
    client.admin().change_voters(VoterChange::Add { node, directory }).await.expect("it is added");
    assert_eq!(voters().await, [NodeId(1), NodeId(2)]);
    client.admin().change_voters(VoterChange::Remove { node, directory }).await.expect("it is removed");
    assert_eq!(voters().await, [NodeId(1)]);
    other.kill().await;
    voter.kill().await;
}

/// Shows what the servers say, if `RUST_LOG` asks for it.
fn log_as_asked() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
