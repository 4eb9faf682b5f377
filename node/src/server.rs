//! A whole node: its endpoint, its quorum member, its replicas and its request handling, assembled over an environment
//! and disks.
//!
//! Reaches no clock, file or socket but through these, so that the same code runs in the simulator. A kill of a
//! simulated process is a kill of its environment; an orderly end is [`ServerHandle::shutdown`].

mod directories;
mod joining;
mod settings;
mod start;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use highwater_model::id::{BrokerEpoch, DirectoryId, NodeId};
use highwater_transport::env::{Env, Task};
use highwater_transport::quic::Endpoint;
use highwater_transport::watch;
use tokio::sync::{mpsc, oneshot};

pub use self::settings::{Limits, Roles, Settings, Timing, TopicDefaults};
pub use self::start::StartError;
use crate::driver::lifecycle::Standing;
use crate::driver::quorum::Ask;
use crate::kept::LogDirectories;
use crate::partitions::ToHost;
use crate::peers::Peers;

/// How long the quorum's farewell has to leave.
const FAREWELL: Duration = Duration::from_millis(20);

/// Starts servers.
#[derive(Clone, Copy, Debug)]
pub struct Server;

/// A running server. Dropping it leaves the server running.
#[derive(Debug)]
pub struct ServerHandle {
    env: Env,
    node: NodeId,
    address: SocketAddr,
    settings: Settings,
    endpoint: Endpoint,
    peers: Peers,
    directories: LogDirectories,
    /// The one that holds the metadata.
    metadata: DirectoryId,
    quorum: mpsc::Sender<Ask>,
    broker: Option<BrokerHandle>,
    fatal: watch::Receiver<Option<String>>,
    tasks: Vec<Task>,
}

/// What an orderly end of the broker's part needs.
#[derive(Debug)]
struct BrokerHandle {
    standing: Standing,
    stop: watch::Sender<bool>,
    host: mpsc::Sender<ToHost>,
    /// The active controller, if known.
    leaders: watch::Receiver<Option<NodeId>>,
}

impl ServerHandle {
    /// Its id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Where its endpoint is bound, with its port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the server cannot go on, and tells why. Never completes while it can.
    pub async fn failed(&mut self) -> String {
        match self.fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => "the server's tasks have ended".to_owned(),
        }
    }

    /// Waits until the broker is registered and unfenced; at once on a node that is no broker.
    pub async fn ready(&mut self) {
        if let Some(broker) = &mut self.broker {
            // Without a sender the server has ended, and is as ready as it will be.
            drop(broker.standing.fenced.wait_for(|fenced| !fenced).await);
        }
    }

    /// Stops in order: leaderships move away, logs are closed, the quorum is told, its log is closed, and only then, when
    /// nothing writes any more, the directories are marked clean (Q56, R60). At the latest after `controlled.shutdown.max.ms` it stops without the controller's leave.
    pub async fn shutdown(mut self) {
        tracing::info!(node = %self.node, "shutting down");
        let left = match self.broker.take() {
            Some(broker) => self.stop_broker(broker).await,
            None => None,
        };
        // A quorum that has ended needs no word.
        drop(self.quorum.send(Ask::Resign).await);
        self.env.sleep(FAREWELL).await;
        let is_quorum_closed = self.close_quorum().await;
        self.peers.close();
        self.endpoint.close().await;
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            task.finished().await;
        }
        if let Some((broker_epoch, mut closed)) = left {
            closed.retain(|directory| is_quorum_closed || *directory != self.metadata);
            self.directories.note_clean_stop(broker_epoch, &closed).await;
        }
        self.settings.trace.close().await;
        tracing::info!(node = %self.node, "stopped");
    }

    /// Ends the quorum's task, and tells whether its log is closed in order.
    async fn close_quorum(&self) -> bool {
        let (done, closed) = oneshot::channel();
        self.quorum.send(Ask::Close(done)).await.is_ok() && closed.await.is_ok()
    }

    /// Gives the registration that the broker leaves, if it had one, and the directories whose logs are closed in order.
    async fn stop_broker(&self, mut broker: BrokerHandle) -> Option<(BrokerEpoch, Vec<DirectoryId>)> {
        broker.stop.send_replace(true);
        let leave = async {
            tokio::select! {
                biased;
                leave = broker.standing.may_stop.wait_for(Option::is_some) => leave.ok().and_then(|leave| *leave),
                () = self.no_controller(&mut broker.leaders) => None,
            }
        };
        let leave = self.env.timeout(self.settings.timing.controlled_shutdown, leave).await;
        let left = leave.ok().flatten().unwrap_or_else(|| {
            tracing::warn!("no controller said that this broker may stop; stopping all the same");
            *broker.standing.broker_epoch.borrow()
        });
        let (done, closed) = oneshot::channel();
        broker.host.send(ToHost::Close(done)).await.ok()?;
        let closed = closed.await.ok()?;
        left.map(|broker_epoch| (broker_epoch, closed))
    }

    /// Waits until there has been no active controller for two sessions: nobody is there to give leave.
    async fn no_controller(&self, leaders: &mut watch::Receiver<Option<NodeId>>) {
        loop {
            let limit = self.settings.timing.session * 2;
            let appeared = self.env.timeout(limit, leaders.wait_for(Option::is_some)).await;
            let gone = !matches!(appeared, Ok(Ok(_)));
            drop(appeared);
            let gone = gone || leaders.wait_for(Option::is_none).await.is_err();
            if gone {
                return;
            }
        }
    }
}
