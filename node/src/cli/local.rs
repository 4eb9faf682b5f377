//! A cluster of processes on this machine: certificates, ports, configuration, formatting, starting and killing.
//!
//! For `dev` and `quickstart`. Everything lies in one directory; the processes are those of any cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use highwater_model::id::{ClusterId, DirectoryId, NodeId};
use highwater_transport::certs::LabAuthority;
use highwater_transport::env::Env;
use tokio::process::{Child, Command};

use super::failure::{Failure, exit};
use super::files;
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use crate::config::value::Endpoint;

/// How the processes of a cluster are laid out in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The directory of the whole cluster.
    pub(crate) dir: PathBuf,
}

impl Layout {
    /// The directory of one broker.
    pub(crate) fn node_dir(&self, node: NodeId) -> PathBuf {
        self.dir.join(format!("broker-{node}"))
    }

    /// Its log directory.
    pub(crate) fn data_dir(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("data")
    }

    /// Its configuration.
    pub(crate) fn config(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("server.properties")
    }

    /// What it said.
    pub(crate) fn log(&self, node: NodeId) -> PathBuf {
        self.node_dir(node).join("server.log")
    }

    /// What a client needs: addresses and certificate.
    pub(crate) fn client_properties(&self) -> PathBuf {
        self.dir.join("client.properties")
    }
}

/// A cluster on this machine.
#[derive(Debug)]
pub(crate) struct LocalCluster {
    /// Where its files are.
    pub(crate) layout: Layout,
    /// The brokers, by id, and their ports.
    pub(crate) ports: BTreeMap<NodeId, u16>,
    running: BTreeMap<NodeId, Child>,
    keep: bool,
}

/// Free UDP ports of the loopback address. All are held until all are found, so that they differ.
pub(crate) fn free_ports(count: u32) -> Result<Vec<u16>, Failure> {
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
pub(crate) fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl LocalCluster {
    /// Makes a new cluster in `dir`, with `extra` properties for every broker.
    pub(crate) fn create(
        env: &Env,
        dir: &Path,
        ports: Vec<u16>,
        extra: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let layout = Layout { dir: files::absolute(dir)? };
        let ports: BTreeMap<NodeId, u16> = (1u32..).map(NodeId).zip(ports).collect();
        files::create_dir(&layout.dir)?;
        let authority = LabAuthority::new("highwater local cluster").map_err(certificate)?;
        files::write(&layout.dir.join("ca.pem"), authority.certificate_pem())?;
        write_client(&layout, &authority, &ports)?;
        let cluster = ClusterId(env.random_u128());
        let voter = |(node, port): (&NodeId, &u16)| InitialVoter {
            node: *node,
            endpoint: Endpoint { host: "127.0.0.1".to_owned(), port: *port },
            directory: DirectoryId(env.random_u128()),
        };
        let voters: Vec<InitialVoter> = ports.iter().map(voter).collect();
        for voter in &voters {
            write_broker(&layout, &authority, voter, extra)?;
            let (node, directory, voters) = (voter.node, voter.directory, voters.clone());
            let formatted = Formatted { cluster, node, directory, voters };
            files::write(&layout.data_dir(node).join(FILE_NAME), &formatted.render())?;
        }
        Ok(Self { layout, ports, running: BTreeMap::new(), keep: false })
    }

    /// The cluster that was made in `dir` before.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
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
        Ok(Self { layout, ports, running: BTreeMap::new(), keep: false })
    }

    /// Addresses of all brokers, as `HOST:PORT,…`.
    pub(crate) fn bootstrap(&self) -> String {
        bootstrap(&self.ports)
    }

    /// The processes go on when this ends.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// Starts a broker: this program again, as `server`.
    pub(crate) fn start(&mut self, node: NodeId) -> Result<(), Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::failed(error.to_string(), ""))?;
        let log = files::append(&self.layout.log(node))?;
        let errors = log.try_clone().map_err(|error| Failure::file(&self.layout.log(node), &error))?;
        let child = Command::new(&program)
            .args(["server", "--config"])
            .arg(self.layout.config(node))
            .env_remove("HIGHWATER_OUTPUT")
            .env_remove("HIGHWATER_CONFIG")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::file(&program, &error))?;
        self.running.insert(node, child);
        Ok(())
    }

    /// Ends a broker with SIGKILL; returns when it is gone.
    pub(crate) async fn kill(&mut self, node: NodeId) -> Result<(), Failure> {
        let Some(mut child) = self.running.remove(&node) else { return Ok(()) };
        child.kill().await.map_err(|error| Failure::failed(format!("broker {node} not killed: {error}"), ""))
    }

    /// Holds every broker but this one (SIGSTOP), or lets them go on (SIGCONT).
    pub(crate) fn hold_others(&self, node: NodeId, hold: bool) {
        let signal = if hold { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        for (_, child) in self.running.iter().filter(|(other, _)| **other != node) {
            send(child, signal);
        }
    }

    /// The process id of a broker.
    pub(crate) fn process(&self, node: NodeId) -> Option<u32> {
        self.running.get(&node).and_then(Child::id)
    }

    /// A broker that has ended by itself, with the end of what it said.
    pub(crate) fn ended(&mut self) -> Option<Failure> {
        let (node, status) = self.running.iter_mut().find_map(|(node, child)| {
            let status = child.try_wait().ok().flatten()?;
            Some((*node, status))
        })?;
        let log = self.layout.log(node);
        let said = files::read(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(5).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let message = format!("broker {node} has ended ({status}): {}", last.join(" | "));
        Some(Failure::failed(message, format!("see {}", log.display())))
    }

    /// Asks every broker to stop, waits for at most `patience`, and kills those that are left.
    pub(crate) async fn stop(&mut self, env: &Env, patience: Duration) {
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

fn bootstrap(ports: &BTreeMap<NodeId, u16>) -> String {
    ports.values().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
}

fn certificate(error: impl std::fmt::Display) -> Failure {
    Failure::new(exit::FAILED, format!("certificate not made: {error}"), "")
}

fn write_client(
    layout: &Layout,
    authority: &LabAuthority,
    ports: &BTreeMap<NodeId, u16>,
) -> Result<(), Failure> {
    let issued = authority.issue_client("admin").map_err(certificate)?;
    let pem = layout.dir.join("client.pem");
    files::write_secret(&pem, &format!("{}{}", issued.key_pem, issued.certificate_pem))?;
    let text = format!(
        "bootstrap.servers={}\nssl.keystore.location={}\nssl.truststore.location={}\n",
        bootstrap(ports),
        pem.display(),
        layout.dir.join("ca.pem").display(),
    );
    files::write(&layout.client_properties(), &text)
}

fn write_broker(
    layout: &Layout,
    authority: &LabAuthority,
    voter: &InitialVoter,
    extra: &[(&str, String)],
) -> Result<(), Failure> {
    let node = voter.node;
    files::create_dir(&layout.data_dir(node))?;
    let issued = authority.issue_broker(node, &["127.0.0.1", "localhost"]).map_err(certificate)?;
    let pem = layout.node_dir(node).join("broker.pem");
    files::write_secret(&pem, &format!("{}{}", issued.key_pem, issued.certificate_pem))?;
    let mut text = format!(
        "node.id={node}\nprocess.roles=broker,controller\nlisteners=QUIC://{}\nlog.dirs={}\n\
         ssl.keystore.location={}\nssl.truststore.location={}\n",
        voter.endpoint,
        layout.data_dir(node).display(),
        pem.display(),
        layout.dir.join("ca.pem").display(),
    );
    for (name, value) in extra {
        text.push_str(&format!("{name}={value}\n"));
    }
    files::write(&layout.config(node), &text)
}
