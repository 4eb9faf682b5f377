//! Putting a node together, in the order that a start needs: directories, endpoint, quorum, logs, registration.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use highwater_model::fault::Faults;
use highwater_model::id::{ClusterId, DirectoryId, IncarnationId, NodeId};
use highwater_model::metadata::{self, DirectoryFacts, Image, LifecycleTenure};
use highwater_model::quorum::{self, VoterKey, VoterSet};
use highwater_model::trace::Header;
use highwater_transport::env::{Env, Task};
use highwater_transport::identity::{Identity, Principal};
use highwater_transport::quic::{self, BindError, Endpoint};
use highwater_transport::watch;
use tokio::sync::mpsc;

use super::{BrokerHandle, Server, ServerHandle, Settings, directories};
use crate::controller_client::ControllerClient;
use crate::disk::Disk;
use crate::driver::lifecycle::{LifecycleDriver, LifecycleParts, Standing};
use crate::driver::quorum::{OpenError, QuorumDriver, QuorumFeeds, QuorumParts};
use crate::kept::{DirectoryError, LogDirectories};
use crate::listener::{self, Routes};
use crate::partitions::{FoundLogs, Host, HostParts, Partitions};
use crate::peers::Peers;
use crate::requests::{HandlerParts, RequestHandler};

/// Directories whose failure may wait to be reported.
const FAILURES_MAX: usize = 64;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A log directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// There is no log directory.
    #[error("no log directory is configured; set log.dirs")]
    NoDirectory,
    /// The metadata of this node is in another directory than the one that comes first.
    #[error(
        "{first} comes first in log.dirs, but the metadata is in {found}; put that one first, or set metadata.log.dir to it"
    )]
    MetadataElsewhere {
        /// The directory that comes first.
        first: String,
        /// The one with the metadata.
        found: String,
    },
    /// Two directories say that they are the same: one is a copy of the other.
    #[error("{first} and {second} both have directory.id {id}; one is a copy of the other: leave it out")]
    SameDirectory {
        /// The id.
        id: DirectoryId,
        /// One directory.
        first: String,
        /// The other.
        second: String,
    },
    /// A directory belongs to another cluster than the first one, or than the configuration says.
    #[error("a log directory was formatted for cluster {found}, but this node is of cluster {expected}")]
    OfAnotherCluster {
        /// What the directory says.
        found: ClusterId,
        /// What was expected.
        expected: ClusterId,
    },
    /// The certificate is not this node's.
    #[error(
        "the certificate is that of {found}, but this is node {node}; use a certificate for broker {node}"
    )]
    NotOwnCertificate {
        /// Whom it names.
        found: Principal,
        /// This node.
        node: NodeId,
    },
    /// The voters that the directory was formatted with are not a set.
    #[error("the metadata directory was formatted with an impossible set of voters: {0:?}")]
    Voters(quorum::Refusal),
    /// The metadata directory names no voters, and neither does the configuration.
    #[error(
        "{directory} was formatted without controllers; name those of the cluster in controller.quorum.voters, as \
         ID@HOST:PORT,…"
    )]
    NoVoters {
        /// The directory.
        directory: String,
    },
    /// The node joins, and no controller has said who votes.
    #[error(
        "this node joins a cluster, and no controller of controller.quorum.voters has said in {} s who votes: {heard}",
        after.as_secs()
    )]
    NobodySaysWhoVotes {
        /// How long they were asked.
        after: Duration,
        /// What each of them said last, or why it said nothing.
        heard: String,
    },
    /// The endpoint cannot be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Quorum(#[from] OpenError),
}

/// What the parts of a starting server share.
pub(super) struct Start<F> {
    pub(super) env: Env,
    faults: F,
    pub(super) settings: Settings,
    incarnation: IncarnationId,
    directories: LogDirectories,
    metadata: DirectoryId,
    cluster: ClusterId,
    endpoint: Endpoint,
    advertised: String,
    pub(super) peers: Peers,
    fatal: watch::Sender<Option<String>>,
    tasks: Mutex<Vec<Task>>,
}

impl Server {
    /// Starts a node on `disks`, one per log directory, formatted, the first of which holds the metadata. Returns when
    /// its logs are recovered; registration and elections go on by themselves.
    ///
    /// # Errors
    /// A [`StartError`] that says what to do.
    pub async fn start<F: Faults>(
        env: Env,
        disks: Vec<Arc<dyn Disk>>,
        identity: &Identity,
        settings: Settings,
        faults: F,
    ) -> Result<ServerHandle, StartError> {
        let node = settings.node;
        if *identity.principal() != Principal::Broker(node) {
            return Err(StartError::NotOwnCertificate { found: identity.principal().clone(), node });
        }
        let directories = directories::take(disks, node).await?;
        let first = directories.first().ok_or(StartError::NoDirectory)?;
        let (metadata, cluster) = (first.id(), first.formatted.cluster);
        let others = directories.iter().map(|directory| directory.formatted.cluster);
        if let Some(found) = others.chain(settings.cluster).find(|found| *found != cluster) {
            return Err(StartError::OfAnotherCluster { found, expected: cluster });
        }
        directories::check(&directories, node)?;
        let of_endpoint = quic::Settings {
            request_bytes_of_clients_max: settings.limits.queued_request_bytes_max,
            ..quic::Settings::default()
        };
        let endpoint = Endpoint::bind(&env, settings.listen, identity, of_endpoint)?;
        let address = endpoint.local_address();
        let advertised = settings.advertised.clone().unwrap_or_else(|| address.to_string());
        let peers = Peers::new(&env, node, endpoint.clone(), &advertised);
        let (fatal, fatal_fed) = watch::channel(None);
        let start = Start {
            incarnation: IncarnationId(env.random_u128()),
            directories: LogDirectories::new(directories),
            env,
            faults,
            settings,
            metadata,
            cluster,
            endpoint,
            advertised,
            peers,
            fatal,
            tasks: Mutex::default(),
        };
        start.settings.trace.begin(&start.env, start.header());
        start.assemble(fatal_fed).await
    }
}

impl<F: Faults> Start<F> {
    /// What a trace of this run begins with.
    fn header(&self) -> Header {
        Header {
            node: self.settings.node,
            incarnation: self.incarnation,
            started_ms: self.env.wall_ms(),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            planted: self.faults.planted().map(str::to_owned),
            file: 0,
        }
    }

    async fn assemble(self, fatal: watch::Receiver<Option<String>>) -> Result<ServerHandle, StartError> {
        let quorum = self.start_quorum().await?;
        self.follow_addresses(quorum.images.clone());
        let controller =
            ControllerClient::new(&self.env, self.settings.node, quorum.clone(), self.peers.clone());
        let partitions = Partitions::default();
        let (registered, broker) = match self.settings.roles.broker {
            true => {
                let broker = self.start_broker(&quorum, &controller, &partitions).await;
                (broker.standing.broker_epoch.clone(), Some(broker))
            }
            false => {
                self.note_recovered().await?;
                (watch::channel(None).1, None)
            }
        };
        let requests = RequestHandler::new(HandlerParts {
            env: self.env.clone(),
            own: self.settings.node,
            cluster: self.cluster,
            timing: self.settings.timing.clone(),
            topic_configs: self.settings.topics.configs.clone(),
            controller: controller.clone(),
            partitions: partitions.clone(),
            images: quorum.images.clone(),
            broker_epoch: registered,
            monitors: self.settings.monitors.clone(),
        });
        let asks = quorum.asks.clone();
        let routes = Routes {
            env: self.env.clone(),
            timing: self.settings.timing.clone(),
            limits: self.settings.limits.clone(),
            peers: self.peers.clone(),
            quorum,
            controller,
            partitions,
            requests,
        };
        self.run("listener", listener::run(self.endpoint.clone(), routes));
        tracing::info!(node = %self.settings.node, address = self.advertised, "started");
        Ok(ServerHandle {
            node: self.settings.node,
            address: self.endpoint.local_address(),
            env: self.env,
            settings: self.settings,
            endpoint: self.endpoint,
            peers: self.peers,
            directories: self.directories,
            metadata: self.metadata,
            quorum: asks,
            broker,
            fatal,
            tasks: self.tasks.into_inner().unwrap_or_else(PoisonError::into_inner),
        })
    }

    /// Starts a task that lives as long as the server.
    fn run(&self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let task = self.env.spawn(name, task);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Recovers the metadata log and begins to take part in the quorum.
    async fn start_quorum(&self) -> Result<QuorumFeeds, StartError> {
        let directory = self.directories.iter().next().ok_or(StartError::NoDirectory)?;
        for voter in &directory.formatted.voters {
            self.peers.set_address(voter.node, &voter.endpoint.to_string());
        }
        for (node, address) in &self.settings.controllers {
            self.peers.set_address(*node, address);
        }
        let (voters, has_joined) = self.initial_voters(directory).await?;
        let keys = voters.iter().map(|voter| VoterKey { id: voter.node, directory: voter.directory });
        let formatted = VoterSet::new(keys).map_err(StartError::Voters)?;
        let controller_tenure = metadata::Tenure {
            partitions_default: self.settings.topics.partitions,
            replication_factor_default: self.settings.topics.replication_factor,
            ..metadata::Tenure::default()
        };
        let parts = QuorumParts {
            env: self.env.clone(),
            faults: self.faults,
            timing: self.settings.timing.clone(),
            tenure: quorum::Tenure {
                key: VoterKey { id: self.settings.node, directory: self.metadata },
                incarnation: self.incarnation,
            },
            controller_tenure,
            formatted,
            has_joined,
            disk: Arc::clone(&directory.disk),
            stop: directory.stop,
            recovery_points: Arc::clone(&directory.recovery_points),
            peers: self.peers.clone(),
            inbox_length: self.settings.limits.inbox_length,
            snapshot_bytes: self.settings.limits.metadata_snapshot_bytes,
            recorder: self.settings.trace.clone(),
            monitors: self.settings.monitors.clone(),
        };
        let (driver, begun, feeds) = QuorumDriver::open(parts).await?;
        let fatal = self.fatal.clone();
        let running = async move {
            if let Err(stopped) = driver.run(begun).await {
                tracing::error!(%stopped, "the metadata quorum's member cannot go on");
                fatal.send_replace(Some(stopped.to_string()));
            }
        };
        self.run("quorum", running);
        Ok(feeds)
    }

    /// Connects to every broker that registers.
    fn follow_addresses(&self, mut images: watch::Receiver<Arc<Image>>) {
        let peers = self.peers.clone();
        let following = async move {
            while images.changed().await.is_ok() {
                let image = Arc::clone(&images.borrow_and_update());
                for broker in image.brokers() {
                    peers.set_address(broker.node, &broker.address);
                }
            }
        };
        self.run("addresses", following);
    }

    /// Recovers the logs, then registers and hosts what the metadata assigns.
    async fn start_broker(
        &self,
        quorum: &QuorumFeeds,
        controller: &ControllerClient,
        partitions: &Partitions,
    ) -> BrokerHandle {
        let mut found = FoundLogs::find(&self.env, &self.directories).await;
        let (failures, failed) = mpsc::channel(FAILURES_MAX);
        for directory in &found.failed {
            let _ = failures.send(*directory).await;
        }
        let facts = found.facts(&self.directories);
        let (stop, stop_fed) = watch::channel(false);
        let standing = self.start_lifecycle(facts, quorum, controller, failed, stop_fed);
        let (host, inbox) = mpsc::channel(1);
        let parts = HostParts {
            env: self.env.clone(),
            faults: self.faults,
            own: self.settings.node,
            timing: self.settings.timing.clone(),
            limits: self.settings.limits.clone(),
            directories: self.directories.clone(),
            peers: self.peers.clone(),
            controller: controller.clone(),
            images: quorum.images.clone(),
            broker_epoch: standing.broker_epoch.clone(),
            failures,
            partitions: partitions.clone(),
            inbox,
            recorder: self.settings.trace.clone(),
            monitors: self.settings.monitors.clone(),
        };
        self.run("host", Host::new(parts, found).run());
        BrokerHandle { standing, stop, host, leaders: controller.leaders() }
    }

    /// A node that is no broker has no logs but the metadata's.
    async fn note_recovered(&self) -> Result<(), StartError> {
        for directory in self.directories.iter() {
            directory.note_recovered().await.map_err(DirectoryError::from)?;
        }
        Ok(())
    }

    fn start_lifecycle(
        &self,
        directories: Vec<DirectoryFacts>,
        quorum: &QuorumFeeds,
        controller: &ControllerClient,
        failures: mpsc::Receiver<DirectoryId>,
        stop: watch::Receiver<bool>,
    ) -> Standing {
        let tenure = LifecycleTenure {
            node: self.settings.node,
            incarnation: self.incarnation,
            address: self.advertised.clone(),
            directories,
        };
        let (driver, standing) = LifecycleDriver::new(LifecycleParts {
            env: self.env.clone(),
            faults: self.faults,
            timing: self.settings.timing.clone(),
            tenure,
            controller: controller.clone(),
            images: quorum.images.clone(),
            directories: self.directories.clone(),
            failures,
            monitors: self.settings.monitors.clone(),
            stop,
            recorder: self.settings.trace.clone(),
        });
        self.run("lifecycle", driver.run());
        standing
    }
}
