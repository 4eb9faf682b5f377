//! Clusters of real processes on loopback that tests stop, kill and start again, with everything they keep in a temporary
//! directory.
//!
//! Starting and ending processes is [`LocalCluster`]'s, as for `quickstart`. Nothing here sleeps for an event: it looks
//! until it is so, for at most [`PATIENCE`]. However a test ends, its processes are killed.

mod ledger;
mod load;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use highwater_client::settings::ClientSettings;
use highwater_client::{Admin, Client};
use highwater_model::api::{MetadataAnswer, NewTopic, PartitionDetail, ReplicaAssignment, TopicDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, Offset, PartitionIndex};
use highwater_node::cli::local::{LocalCluster, Member, Program, free_ports};
use highwater_node::cli::replicas::compare_replicas;
use highwater_node::server::Roles;
use highwater_transport::env::Env;
use serde_json::Value;

pub use self::ledger::Ledger;
pub use self::load::Load;

/// The longest that anything may take that a healthy cluster does in a second or two.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How long a client waits for one answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Lines of each node's log that a failed test shows.
const LAST_LINES: usize = 15;

/// What a node is.
#[derive(Clone, Copy)]
struct Kind {
    broker: bool,
    controller: bool,
    votes: bool,
}

const COMBINED: Kind = Kind { broker: true, controller: true, votes: true };

/// A cluster of processes.
#[derive(Debug)]
pub struct Cluster {
    env: Env,
    cluster: LocalCluster,
    client: Client,
    brokers: BTreeSet<NodeId>,
    /// End of the newest metadata that was looked at.
    seen: Offset,
    /// Removed when the processes are gone: fields are dropped in order.
    directory: tempfile::TempDir,
}

impl Cluster {
    /// Starts `count` nodes, each broker and controller, and waits until all are admitted. `program` is the file of
    /// `highwater-planted`, which runs without a bug.
    pub async fn combined(program: &str, count: u32) -> Self {
        Self::started(program, "none", vec![COMBINED; as_count(count)], &[]).await
    }

    /// As [`Self::combined`], with brokers that have the bug of this id.
    pub async fn planted(program: &str, bug: &str, count: u32) -> Self {
        Self::started(program, bug, vec![COMBINED; as_count(count)], &[]).await
    }

    /// Starts nodes 1 to 3 as controllers, and `count` brokers from node 4 on; waits until all are admitted.
    pub async fn with_controllers(program: &str, count: u32) -> Self {
        let (controller, broker) =
            (Kind { broker: false, ..COMBINED }, Kind { controller: false, votes: false, ..COMBINED });
        let kinds = [vec![controller; 3], vec![broker; as_count(count)]].concat();
        Self::started(program, "none", kinds, &[]).await
    }

    /// Starts `count` nodes, each broker and controller, and one controller more, which does not vote. Their metadata logs
    /// are kept short by snapshots.
    pub async fn with_observer(program: &str, count: u32) -> Self {
        let observer = Kind { broker: false, controller: true, votes: false };
        let snapshots = ("metadata.log.max.record.bytes.between.snapshots", "512".to_owned());
        let kinds = [vec![COMBINED; as_count(count)], vec![observer]].concat();
        Self::started(program, "none", kinds, &[snapshots]).await
    }

    /// Starts these nodes, numbered from 1.
    async fn started(program: &str, plant: &str, kinds: Vec<Kind>, extra: &[(&str, String)]) -> Self {
        let env = Env::real();
        let directory = tempfile::tempdir().expect("there is room for a temporary directory");
        let ports = free_ports(u32::try_from(kinds.len()).expect("few nodes")).expect("there are free ports");
        let member = |((node, port), kind): ((u32, u16), Kind)| {
            let roles = Roles { broker: kind.broker, controller: kind.controller };
            Member { node: NodeId(node), port, advertised_port: None, roles, votes: kind.votes }
        };
        let members: Vec<Member> = (1..).zip(ports).zip(kinds).map(member).collect();
        let mut cluster = LocalCluster::create_of(&env, directory.path(), &members, extra)
            .expect("the files can be written");
        cluster.program = Some(Program {
            path: program.into(),
            environment: vec![("HIGHWATER_PLANT".to_owned(), plant.to_owned())],
        });
        let client = cluster.client(&env, client_settings()).expect("the client's files are there");
        let brokers = members.iter().filter(|member| member.roles.broker).map(|member| member.node).collect();
        let mut cluster = Self { env, cluster, client, brokers, seen: Offset(0), directory };
        for member in &members {
            cluster.start(member.node);
        }
        cluster.all_admitted().await;
        cluster
    }

    /// The time, and how to wait.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// A client that has been there from the start.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A client that knows nothing yet.
    #[must_use]
    pub fn new_client(&self) -> Client {
        self.cluster.client(&self.env, client_settings()).expect("the client's files are there")
    }

    /// The file of client properties that a command needs.
    #[must_use]
    pub fn client_properties(&self) -> PathBuf {
        self.cluster.layout.client_properties()
    }

    /// Operations, by the client that has been there from the start.
    #[must_use]
    pub fn admin(&self) -> Admin {
        self.client.admin()
    }

    /// Runs `highwater` with these arguments, as a client of the cluster, to its end.
    pub async fn highwater(&self, arguments: &[&str]) -> Output {
        let program = self.cluster.program.clone().expect("the program was given");
        let path = program.path.to_str().expect("the path of the program is text");
        let mut command = tokio::process::Command::from(crate::command::highwater(path, "none"));
        let command = command.args(arguments).envs(program.environment).stdin(Stdio::null());
        let command = command.arg("--command-config").arg(self.cluster.layout.client_properties());
        command.output().await.expect("the program can be started")
    }

    /// As [`Self::highwater`]; gives the `data` of the document that it prints.
    ///
    /// # Panics
    /// If it does not succeed.
    pub async fn data(&self, arguments: &[&str]) -> Value {
        let output = self.highwater(&[arguments, &["-o", "json"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        let mut document: Value = serde_json::from_slice(&output.stdout).expect("it prints one document");
        document.get_mut("data").map(Value::take).expect("a document has data")
    }

    /// Runs a command again and again until the `data` of its document is as wanted, and gives that.
    ///
    /// # Panics
    /// If it does not become so in time.
    pub async fn data_until(&self, arguments: &[&str], what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = self.env.now() + PATIENCE;
        loop {
            let data = self.data(arguments).await;
            if is_so(&data) {
                return data;
            }
            assert!(self.env.now() < deadline, "waited for {what}; last: {data}");
            self.env.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where everything of the cluster is, the log directories of all nodes among it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The log directory of a node.
    #[must_use]
    pub fn data_dir(&self, node: NodeId) -> PathBuf {
        self.cluster.layout.data_dir(node)
    }

    /// Where the first file of a node's metadata log begins.
    ///
    /// # Panics
    /// If it has none.
    #[must_use]
    pub fn metadata_log_base(&self, node: NodeId) -> Offset {
        let directory = self.cluster.layout.data_dir(node).join("__cluster_metadata-0");
        let files = std::fs::read_dir(directory).expect("a node has a metadata log");
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let bases = names.filter_map(|name| name.strip_suffix(".log")?.parse().ok());
        bases.min().map(Offset).expect("a log has a file")
    }

    /// Waits until the first metadata records that a node keeps are not the first of all any more. Snapshots are taken
    /// aside, by each node in its own time.
    ///
    /// # Panics
    /// If that does not come to pass in time.
    pub async fn metadata_log_shortened(&self, node: NodeId) {
        let deadline = self.env.now() + PATIENCE;
        while self.metadata_log_base(node) == Offset::ZERO {
            assert!(self.env.now() < deadline, "node {node} keeps the whole metadata log");
            self.env.sleep(Duration::from_millis(25)).await;
        }
    }

    /// Every node that is a broker.
    #[must_use]
    pub fn brokers(&self) -> Vec<NodeId> {
        self.brokers.iter().copied().collect()
    }

    /// Starts a node that does not run.
    pub fn start(&mut self, node: NodeId) {
        self.cluster.start(node).expect("the program can be started");
    }

    /// Starts nodes that do not run.
    pub fn start_all(&mut self, nodes: &[NodeId]) {
        nodes.iter().for_each(|node| self.start(*node));
    }

    /// Ends nodes with SIGKILL, all at once, and waits until they are gone.
    pub async fn kill(&mut self, nodes: &[NodeId]) {
        self.cluster.kill_all(nodes).await.expect("own processes can be killed");
    }

    /// Ends a node with SIGTERM and waits until it is gone, which must be by itself and with exit code 0.
    pub async fn terminate(&mut self, node: NodeId) {
        let ended =
            self.cluster.terminate(&self.env, node, PATIENCE).await.expect("it stops when it is asked to");
        assert_eq!(ended.code(), Some(0), "node {node} stops in order");
    }

    /// Waits until the cluster is as wanted, as some broker knows it. One that has just started may know less than was seen
    /// before; that does not count. Others, a partition's leader among them, may not know it yet.
    ///
    /// # Panics
    /// If it does not become so in time, or a node ends by itself.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&MetadataAnswer) -> bool) -> MetadataAnswer {
        let deadline = self.env.now() + PATIENCE;
        let mut last = "nobody answered".to_owned();
        while self.env.now() < deadline {
            if let Some(ended) = self.cluster.ended() {
                panic!("waiting for {what}: {}", ended.line());
            }
            match self.admin().metadata_once(None).await {
                Ok(answer) if answer.metadata_offset < self.seen => last = format!("old: {answer:?}"),
                Ok(answer) => {
                    self.seen = answer.metadata_offset;
                    if is_so(&answer) {
                        return answer;
                    }
                    last = format!("{answer:?}");
                }
                Err(error) => last = error.to_string(),
            }
            self.env.sleep(Duration::from_millis(25)).await;
        }
        panic!("waited {} s for {what}; last: {last}", PATIENCE.as_secs());
    }

    /// Waits until every broker is registered and unfenced, and somebody is known to be the active controller.
    pub async fn all_admitted(&mut self) {
        let count = self.brokers.len();
        self.until("all brokers to be admitted", |answer| {
            answer.controller.is_some()
                && answer.brokers.iter().filter(|broker| !broker.fenced).count() == count
        })
        .await;
    }

    /// Waits until every partition of these topics is led and has all its replicas in sync.
    pub async fn all_in_sync(&mut self, topics: &[&str]) {
        self.until("all replicas to be in sync", |answer| {
            topics.iter().all(|name| topic(answer, name).is_some_and(TopicDetail::is_whole))
        })
        .await;
    }

    /// Waits until every replica of a topic is in sync, and insists that each holds what its leader does, at least `least`
    /// records in all followers' logs together.
    pub async fn assert_replicas_agree(&mut self, name: &str, least: u64) {
        self.all_in_sync(&[name]).await;
        let detail = self.admin().describe_topic(name).await.expect("the topic is there");
        let compared = compare_replicas(&self.client, &self.cluster.layout, &detail).await;
        let compared = compared.unwrap_or_else(|failure| panic!("{}", failure.line()));
        eprintln!("{name}: {compared:?}");
        assert!(compared.differences.is_empty(), "{name}: {compared:?}");
        assert!(compared.records >= least, "{name}: {compared:?}, at least {least} records wanted");
    }

    /// Waits until the first partition of a topic has exactly these in sync.
    pub async fn in_sync(&mut self, name: &str, members: &[NodeId]) {
        let wanted: BTreeSet<NodeId> = members.iter().copied().collect();
        self.until(&format!("{name} to have {members:?} in sync"), |answer| {
            let first = topic(answer, name).and_then(|topic| topic.partitions.first());
            first.is_some_and(|first| first.isr.iter().copied().collect::<BTreeSet<_>>() == wanted)
        })
        .await;
    }

    /// End of the log of a topic's first partition as its leader has it, acknowledged or not.
    ///
    /// # Panics
    /// If no leader tells it in time.
    pub async fn leader_log_end(&self, name: &str) -> Offset {
        let deadline = self.env.now() + PATIENCE;
        loop {
            let described = self.admin().describe_topic(name).await.expect("the topic is there");
            let first = described.partitions.first().expect("it has a partition");
            // Nobody but the leader tells where its log ends.
            let leader = first.replica_details.iter().find(|known| first.leader == Some(known.node));
            if let Some(end) = leader.and_then(|known| known.log_end) {
                return end;
            }
            assert!(self.env.now() < deadline, "waited for the leader of {name}; last: {first:?}");
            self.env.sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits until every partition of a topic is led by one of these.
    pub async fn led_by(&mut self, name: &str, nodes: &[NodeId]) {
        self.until(&format!("{name} to be led by {nodes:?}"), |answer| {
            let led = |at: &PartitionDetail| at.leader.is_some_and(|leader| nodes.contains(&leader));
            topic(answer, name).is_some_and(|topic| topic.partitions.iter().all(led))
        })
        .await;
    }

    /// Creates a topic with one partition for each list of replicas, whose first one leads.
    pub async fn create_topic(&mut self, name: &str, replicas: &[&[NodeId]], min_isr: u16) {
        let deadline = self.env.now() + PATIENCE;
        // A controller that was just killed may have taken the request with it.
        loop {
            match self.admin().create_topic(new_topic(name, replicas, min_isr), false).await {
                Ok(_) => break,
                Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => break,
                Err(error) if error.is_retriable() && self.env.now() < deadline => {
                    eprintln!("creating {name} again: {error}");
                }
                Err(error) => panic!("{name} not created: {error}"),
            }
        }
        self.until(&format!("{name} to be led"), |answer| {
            topic(answer, name).is_some_and(|topic| topic.partitions.iter().all(|at| at.leader.is_some()))
        })
        .await;
    }
}

impl Drop for Cluster {
    /// A failed test shows what the nodes said last.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for node in self.cluster.ports.keys() {
            let log = self.cluster.layout.log(*node);
            let said = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
            eprintln!("--- node {node} said last:");
            last.for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A topic with one partition for each list of replicas.
#[must_use]
pub fn new_topic(name: &str, replicas: &[&[NodeId]], min_isr: u16) -> NewTopic {
    let assign = |(partition, replicas): (u32, &&[NodeId])| ReplicaAssignment {
        partition: PartitionIndex(partition),
        replicas: replicas.to_vec(),
    };
    NewTopic {
        name: name.to_owned(),
        partitions: None,
        replication_factor: None,
        assignments: (0..).zip(replicas).map(assign).collect(),
        configs: vec![("min.insync.replicas".to_owned(), min_isr.to_string())],
    }
}

/// A topic, if it is in the answer.
#[must_use]
pub fn topic<'a>(answer: &'a MetadataAnswer, name: &str) -> Option<&'a TopicDetail> {
    answer.topics.iter().flatten().find(|topic| topic.name == name)
}

fn as_count(count: u32) -> usize {
    usize::try_from(count).expect("few nodes")
}

fn client_settings() -> ClientSettings {
    ClientSettings { request_timeout: REQUEST_TIMEOUT, api_timeout: PATIENCE, ..ClientSettings::default() }
}
