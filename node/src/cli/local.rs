//! A cluster of processes on this machine: certificates, ports, configuration, formatting, starting and killing.
//!
//! For `dev` and `quickstart`, and for tests that need real processes. Everything lies in one directory; the processes
//! are those of any cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use highwater_client::Client;
use highwater_client::settings::ClientSettings;
use highwater_model::id::{ClusterId, DirectoryId, NodeId};
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use tokio::process::{Child, Command};

use super::failure::{Failure, exit};
use super::files;
use super::session::{identity, servers};
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use crate::config::layers::is_kept_from_children;
use crate::config::value::Endpoint;
use crate::server::Roles;

/// How the processes of a cluster are laid out in a directory.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The directory of the whole cluster.
    pub dir: PathBuf,
}

impl Layout {
    /// The directory of one broker.
    pub fn node_dir(&self, node: NodeId) -> PathBuf {
        self.dir.join(format!("broker-{node}"))
    }

    /// Its log directory.
    pub fn data_dir(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("data")
    }

    /// Its configuration.
    pub fn config(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("server.properties")
    }

    /// What it said.
    pub fn log(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("server.log")
    }

    /// What a client needs: addresses and certificate.
    pub fn client_properties(&self) -> PathBuf {
        self.dir.join("client.properties")
    }
}

impl Layout {
    /// As [`LocalCluster::client`].
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn client(&self, env: &Env, settings: ClientSettings) -> Result<Client, Failure> {
        let pem = files::read(&self.dir.join("client.pem"))?;
        let roots = files::read(&self.dir.join("ca.pem"))?;
        let properties = files::read(&self.client_properties())?;
        let first = properties.lines().find_map(|line| line.strip_prefix("bootstrap.servers="));
        let settings = ClientSettings { bootstrap_servers: servers(first.unwrap_or_default()), ..settings };
        Ok(Client::new(env, identity(&pem, &pem, &roots)?, settings))
    }
}

/// One node of a cluster that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its UDP port on the loopback address.
    pub port: u16,
    /// The port under which others reach it, where something stands in between; its own if `None`.
    pub advertised_port: Option<u16>,
    /// `process.roles`.
    pub roles: Roles,
    /// Whether the quorum begins with it as a voter. A controller that is none joins as an observer, formatted without
    /// controllers.
    pub votes: bool,
}

/// The program that the processes run, as `PROGRAM server --config …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What is set in its environment, besides what it inherits.
    pub environment: Vec<(String, String)>,
}

/// A cluster on this machine. Its processes are killed when it is dropped.
#[derive(Debug)]
pub struct LocalCluster {
    /// Where its files are.
    pub layout: Layout,
    /// The nodes, by id, and their ports.
    pub ports: BTreeMap<NodeId, u16>,
    /// What they run; this program, if nothing else is said.
    pub program: Option<Program>,
    running: BTreeMap<NodeId, Child>,
    outlives: bool,
    keep: bool,
}

/// Free UDP ports of the loopback address. All are held until all are found, so that they differ.
///
/// # Errors
/// If there are none.
pub fn free_ports(count: u32) -> Result<Vec<u16>, Failure> {
    let failed =
        |error: std::io::Error| Failure::failed(format!("no free UDP port on 127.0.0.1: {error}"), "");
    let sockets: Result<Vec<UdpSocket>, std::io::Error> =
        (0..count).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let ports: Result<Vec<u16>, std::io::Error> = sockets
        .map_err(failed)?
        .iter()
        .map(|socket| socket.local_addr().map(|address| address.port()))
        .collect();
    ports.map_err(failed)
}

/// Whether a UDP port of the loopback address is free.
pub fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl LocalCluster {
    /// Makes a new cluster in `dir` whose nodes, numbered from 1, are brokers and controllers alike, with `extra`
    /// properties for each.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn create(env: &Env, dir: &Path, ports: Vec<u16>, extra: &[(&str, String)]) -> Result<Self, Failure> {
        let roles = Roles { broker: true, controller: true };
        let member =
            |(node, port)| Member { node: NodeId(node), port, advertised_port: None, roles, votes: true };
        let members: Vec<Member> = (1u32..).zip(ports).map(member).collect();
        Self::create_of(env, dir, &members, extra)
    }

    /// Makes a new cluster of these members in `dir`, with `extra` properties for each.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn create_of(
        env: &Env,
        dir: &Path,
        members: &[Member],
        extra: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let layout = Layout { dir: files::absolute(dir)? };
        files::create_dir(&layout.dir)?;
        let authority = LabAuthority::new("highwater local cluster").map_err(certificate)?;
        files::write(&layout.dir.join("ca.pem"), authority.certificate_pem())?;
        let brokers = members.iter().filter(|member| member.roles.broker);
        write_client(&layout, &authority, &bootstrap(brokers.map(Member::reached_at)))?;
        let cluster = ClusterId(env.random_u128());
        let voter = |member: &Member| InitialVoter {
            node: member.node,
            endpoint: member.endpoint(),
            directory: DirectoryId(env.random_u128()),
        };
        let voters: Vec<InitialVoter> = members.iter().filter(|member| member.votes).map(voter).collect();
        for member in members {
            let joins = member.roles.controller && !member.votes;
            let mut extra = extra.to_vec();
            if joins {
                extra.push(("controller.quorum.voters", addresses(&voters)));
            }
            write_node(&layout, &authority, *member, &extra)?;
            let own = voters.iter().find(|voter| voter.node == member.node);
            let directory = own.map_or_else(|| DirectoryId(env.random_u128()), |voter| voter.directory);
            let formatted = Formatted {
                cluster,
                node: member.node,
                directory,
                voters: if joins { Vec::new() } else { voters.clone() },
            };
            files::write(&layout.data_dir(member.node).join(FILE_NAME), &formatted.render())?;
        }
        let ports = members.iter().map(|member| (member.node, member.reached_at())).collect();
        Ok(Self { layout, ports, program: None, running: BTreeMap::new(), outlives: false, keep: false })
    }

    /// The cluster that [`LocalCluster::create`] made in `dir` before.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        let layout = Layout { dir: files::absolute(dir)? };
        let mut ports = BTreeMap::new();
        for node in (1..).map(NodeId).take_while(|node| layout.config(*node).exists()) {
            let text = files::read(&layout.data_dir(node).join(FILE_NAME))?;
            let formatted =
                Formatted::parse(&text).map_err(|what| Failure::failed(what, "remove the directory"))?;
            let own = formatted.voters.iter().find(|voter| voter.node == node);
            let own =
                own.ok_or_else(|| Failure::failed("the directory is of another kind", "name another --dir"))?;
            ports.insert(node, own.endpoint.port);
        }
        Ok(Self { layout, ports, program: None, running: BTreeMap::new(), outlives: false, keep: false })
    }

    /// A client of it, with the certificate that was made for it. Which servers it asks first is read from the cluster's
    /// files, whatever `settings` say.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn client(&self, env: &Env, settings: ClientSettings) -> Result<Client, Failure> {
        self.layout.client(env, settings)
    }

    /// Processes that are started from here on may outlive this one. Others are killed by the system when it ends,
    /// however it ends.
    pub fn outlive(&mut self) {
        self.outlives = true;
    }

    /// The processes go on when this is dropped.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Starts a node.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        let Program { path, environment } = match &self.program {
            Some(program) => program.clone(),
            None => Program::this()?,
        };
        let log = files::append(&self.layout.log(node))?;
        let errors = log.try_clone().map_err(|error| Failure::file(&self.layout.log(node), &error))?;
        let mut command = Command::new(&path);
        command.args(["server", "--config"]).arg(self.layout.config(node));
        if !self.outlives {
            command.arg("--with-parent").arg(std::process::id().to_string());
        }
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_kept_from_children) {
                command.env_remove(name);
            }
        }
        let child = command
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::file(&path, &error))?;
        self.running.insert(node, child);
        Ok(())
    }

    /// Ends a node with SIGKILL; returns when it is gone.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill(&mut self, node: NodeId) -> Result<(), Failure> {
        self.kill_all(&[node]).await
    }

    /// Ends nodes with SIGKILL, all at once; returns when they are gone.
    ///
    /// # Errors
    /// If one cannot be killed.
    pub async fn kill_all(&mut self, nodes: &[NodeId]) -> Result<(), Failure> {
        let failed = |error| Failure::failed(format!("{nodes:?} not killed: {error}"), "");
        let mut killed = Vec::new();
        for child in nodes.iter().filter_map(|node| self.running.remove(node)) {
            killed.push(child);
        }
        for child in &mut killed {
            child.start_kill().map_err(failed)?;
        }
        for child in &mut killed {
            child.wait().await.map_err(failed)?;
        }
        Ok(())
    }

    /// Asks a node to stop, with SIGTERM, and waits until it is gone; tells how it ended. One that is not gone after
    /// `patience` is killed.
    ///
    /// # Errors
    /// If it does not run, or did not stop in time.
    pub async fn terminate(
        &mut self,
        env: &Env,
        node: NodeId,
        patience: Duration,
    ) -> Result<ExitStatus, Failure> {
        let gone = || Failure::failed(format!("node {node} does not run"), "");
        let mut child = self.running.remove(&node).ok_or_else(gone)?;
        send(&child, rustix::process::Signal::TERM);
        match env.timeout(patience, child.wait()).await {
            Ok(status) => status.map_err(|error| Failure::failed(error.to_string(), "")),
            Err(_) => {
                // It is gone at the latest when it is dropped.
                let _ = child.kill().await;
                let message = format!("node {node} did not stop within {} s", patience.as_secs());
                Err(Failure::failed(message, format!("see {}", self.layout.log(node).display())))
            }
        }
    }

    /// Holds every broker but this one (SIGSTOP), or lets them go on (SIGCONT).
    pub(crate) fn hold_others(&self, node: NodeId, hold: bool) {
        self.running.keys().filter(|other| **other != node).for_each(|other| self.hold(*other, hold));
    }

    /// Holds a broker still (SIGSTOP), or lets it go on (SIGCONT).
    pub fn hold(&self, node: NodeId, hold: bool) {
        let signal = if hold { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        self.running.get(&node).into_iter().for_each(|child| send(child, signal));
    }

    /// The process id of a broker.
    pub fn process(&self, node: NodeId) -> Option<u32> {
        self.running.get(&node).and_then(Child::id)
    }

    /// A broker that has ended by itself, with the end of what it said.
    pub fn ended(&mut self) -> Option<Failure> {
        let (node, status) = self.find_ended()?;
        let log = self.layout.log(node);
        let said = files::read(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let message = format!("broker {node} has ended ({status}): {}", last.join(" | "));
        Some(Failure::failed(message, format!("see {}", log.display())))
    }

    /// Forgets a broker that has ended by itself, and tells which it is and how it ended.
    pub(crate) fn take_ended(&mut self) -> Option<(NodeId, ExitStatus)> {
        let ended = self.find_ended()?;
        self.running.remove(&ended.0);
        Some(ended)
    }

    fn find_ended(&mut self) -> Option<(NodeId, ExitStatus)> {
        self.running.iter_mut().find_map(|(node, child)| {
            let status = child.try_wait().ok().flatten()?;
            Some((*node, status))
        })
    }

    /// How many of its processes run.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Asks every broker to stop, waits for at most `patience`, and kills those that are left.
    pub async fn stop(&mut self, env: &Env, patience: Duration) {
        for child in self.running.values() {
            send(child, rustix::process::Signal::TERM);
        }
        let deadline = env.now() + patience;
        for child in self.running.values_mut() {
            if env.timeout_at(deadline, child.wait()).await.is_err() {
                // As above.
                let _ = child.kill().await;
            }
        }
        self.running.clear();
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for child in self.running.values_mut() {
            // One that is gone already needs no signal.
            let _ = child.start_kill();
        }
    }
}

fn send(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id {
        // One that is gone already needs no signal.
        let _ = rustix::process::kill_process(id, signal);
    }
}

impl Program {
    /// The program that runs now.
    fn this() -> Result<Self, Failure> {
        let path = std::env::current_exe().map_err(|error| Failure::failed(error.to_string(), ""))?;
        Ok(Self { path, environment: Vec::new() })
    }
}

impl Member {
    fn endpoint(&self) -> Endpoint {
        Endpoint { host: "127.0.0.1".to_owned(), port: self.reached_at() }
    }

    fn reached_at(&self) -> u16 {
        self.advertised_port.unwrap_or(self.port)
    }

    /// As a value of `process.roles`.
    fn roles(&self) -> &'static str {
        match self.roles {
            Roles { broker: true, controller: true } => "broker,controller",
            Roles { broker: false, controller: true } => "controller",
            Roles { controller: false, .. } => "broker",
        }
    }
}

/// As `controller.quorum.voters` has them.
fn addresses(voters: &[InitialVoter]) -> String {
    voters.iter().map(|voter| format!("{}@{}", voter.node, voter.endpoint)).collect::<Vec<_>>().join(",")
}

/// Addresses of all brokers, as `HOST:PORT,…`.
fn bootstrap(ports: impl Iterator<Item = u16>) -> String {
    ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

fn certificate(error: impl std::fmt::Display) -> Failure {
    Failure::new(exit::FAILED, format!("certificate not made: {error}"), "")
}

fn write_client(layout: &Layout, authority: &LabAuthority, bootstrap: &str) -> Result<(), Failure> {
    let issued = authority.issue_client("admin").map_err(certificate)?;
    let pem = layout.dir.join("client.pem");
    files::write_secret(&pem, &format!("{}{}", issued.key_pem, issued.certificate_pem))?;
    let text = format!(
        "bootstrap.servers={bootstrap}\nssl.keystore.location={}\nssl.truststore.location={}\n",
        pem.display(),
        layout.dir.join("ca.pem").display(),
    );
    files::write(&layout.client_properties(), &text)
}

fn write_node(
    layout: &Layout,
    authority: &LabAuthority,
    member: Member,
    extra: &[(&str, String)],
) -> Result<(), Failure> {
    let node = member.node;
    files::create_dir(&layout.data_dir(node))?;
    let issued = authority.issue_broker(node, &["127.0.0.1", "localhost"]).map_err(certificate)?;
    let pem = layout.node_dir(node).join("broker.pem");
    files::write_secret(&pem, &format!("{}{}", issued.key_pem, issued.certificate_pem))?;
    let mut text = format!(
        "node.id={node}\nprocess.roles={}\nlisteners=QUIC://127.0.0.1:{}\nadvertised.listeners=QUIC://{}\nlog.dirs={}\n\
         ssl.keystore.location={}\nssl.truststore.location={}\n",
        member.roles(),
        member.port,
        member.endpoint(),
        layout.data_dir(node).display(),
        pem.display(),
        layout.dir.join("ca.pem").display(),
    );
    for (name, value) in extra {
        text.push_str(&format!("{name}={value}\n"));
    }
    files::write(&layout.config(node), &text)
}
