//! The task that starts, feeds, stops and deletes replicas as the metadata says.

mod start;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_model::fault::Faults;
use highwater_model::id::{BrokerEpoch, DirectoryId, LeaderEpoch, NodeId, Offset, TopicPartition};
use highwater_model::metadata::Image;
use highwater_model::replication::PartitionView;
use highwater_transport::env::Env;
use highwater_transport::watch;
use tokio::sync::{mpsc, oneshot};

use self::start::NotStarted;
use super::found::FoundLog;
use super::{FoundLogs, Partitions};
use crate::controller_client::ControllerClient;
use crate::disk::Fault;
use crate::driver::replication::{Command, Retired};
use crate::kept::{LogDirectories, LogDirectory};
use crate::log::PartitionLog;
use crate::monitor::Monitors;
use crate::peers::{LinkChange, Peers};
use crate::server::{Limits, Timing};
use crate::trace::Recorder;

/// How often recovery points are written.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Something for the task.
pub(crate) enum ToHost {
    /// Stop all replicas and close their logs; the broker is about to stop. Told which directories have all their logs
    /// closed in order.
    Close(oneshot::Sender<Vec<DirectoryId>>),
}

/// What the task is made of.
pub(crate) struct HostParts<F> {
    pub(crate) env: Env,
    pub(crate) faults: F,
    pub(crate) own: NodeId,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) directories: LogDirectories,
    pub(crate) peers: Peers,
    pub(crate) controller: ControllerClient,
    pub(crate) images: watch::Receiver<Arc<Image>>,
    pub(crate) broker_epoch: watch::Receiver<Option<BrokerEpoch>>,
    pub(crate) failures: mpsc::Sender<DirectoryId>,
    pub(crate) partitions: Partitions,
    pub(crate) inbox: mpsc::Receiver<ToHost>,
    pub(crate) recorder: Recorder,
    pub(crate) monitors: Monitors,
}

/// The task's state.
pub(crate) struct Host<F> {
    parts: HostParts<F>,
    /// Logs that no task has yet.
    idle: BTreeMap<TopicPartition, FoundLog>,
    running: BTreeMap<TopicPartition, Running>,
    /// Logs that were gone when this process started.
    missing: Vec<(DirectoryId, String)>,
    failed: Vec<DirectoryId>,
    /// Whether a log could not be created for want of room.
    lacks_room: bool,
}

/// A replica with its task.
struct Running {
    task: mpsc::Sender<Command>,
    directory: DirectoryId,
    broker_epoch: BrokerEpoch,
    retired: Retired,
    told: Option<Told>,
}

impl Running {
    /// Whether it is to be started anew: the broker has registered anew, or it has gone offline in an earlier leader
    /// epoch with a sound log.
    fn is_over(&self, broker_epoch: BrokerEpoch, leader_epoch: LeaderEpoch) -> bool {
        self.broker_epoch != broker_epoch
            || self.retired.leader_epoch().is_some_and(|last| last < leader_epoch)
    }
}

/// What a task was told last. An image that says the same of its partition is no news to it.
#[derive(PartialEq, Eq)]
struct Told {
    /// Without the metadata offset, which every image raises.
    view: PartitionView,
    /// `segment.bytes` of the topic.
    segment_bytes: u64,
}

impl<F: Faults> Host<F> {
    /// Hosts what was found, once the broker is registered and has seen so.
    pub(crate) fn new(parts: HostParts<F>, found: FoundLogs) -> Self {
        let (idle, running) = (found.logs, BTreeMap::new());
        Self { parts, idle, running, missing: found.missing, failed: found.failed, lacks_room: false }
    }

    /// Runs until it is told to close.
    pub(crate) async fn run(mut self) {
        let mut links = self.parts.peers.changes();
        let mut checkpoint_at = self.parts.env.now() + CHECKPOINT_INTERVAL;
        loop {
            tokio::select! {
                biased;
                asked = self.parts.inbox.recv() => {
                    let Some(ToHost::Close(done)) = asked else { return };
                    let closed = self.close().await;
                    drop(done.send(closed));
                    return;
                }
                Ok(()) = self.parts.broker_epoch.changed() => self.follow().await,
                Ok(()) = self.parts.images.changed() => self.follow().await,
                Ok(()) = links.changed() => {
                    let change: LinkChange = *links.borrow_and_update();
                    tracing::trace!(?change, "told the replicas of a link");
                    for running in self.running.values() {
                        drop(running.task.send(Command::LinkChanged).await);
                    }
                }
                () = self.parts.env.sleep_until(checkpoint_at) => {
                    checkpoint_at = self.parts.env.now() + CHECKPOINT_INTERVAL;
                    self.checkpoint().await;
                    let is_retired = self.running.values().any(|running| running.retired.leader_epoch().is_some());
                    if std::mem::take(&mut self.lacks_room) || is_retired {
                        self.follow().await;
                    }
                }
            }
        }
    }

    /// Makes what runs here what the newest image says.
    async fn follow(&mut self) {
        let Some(broker_epoch) = *self.parts.broker_epoch.borrow_and_update() else { return };
        let image = Arc::clone(&self.parts.images.borrow_and_update());
        // An image from before this registration says nothing about it.
        if image.broker(self.parts.own).map(|broker| broker.broker_epoch) != Some(broker_epoch) {
            return;
        }
        self.forget_missing();
        self.drop_unassigned(&image).await;
        let assigned: Vec<TopicPartition> =
            image.partitions_on(self.parts.own).map(|(name, _)| name).collect();
        for partition in assigned {
            self.feed(partition, broker_epoch, &image).await;
        }
    }

    /// The registration has stated that these logs are gone.
    fn forget_missing(&mut self) {
        for (directory, log) in std::mem::take(&mut self.missing) {
            let Some(directory) = self.directory(directory) else { continue };
            directory.recovery_points.forget(&log);
            if let Err(fault) = directory.recovery_points.lower(&log, Offset::ZERO) {
                tracing::error!(log, %fault, "cannot write the recovery points");
            }
        }
    }

    /// Deletes the replicas that the image does not know (R82).
    async fn drop_unassigned(&mut self, image: &Image) {
        let own = self.parts.own;
        let is_assigned = |partition: &TopicPartition| {
            image.partition(*partition).is_some_and(|state| state.replicas.contains(&own))
        };
        let gone: Vec<_> = self.running.keys().filter(|partition| !is_assigned(partition)).copied().collect();
        for partition in gone {
            let directory = self.running.get(&partition).map(|running| running.directory);
            if let (Some(log), Some(directory)) = (self.stop(partition).await, directory) {
                self.delete(partition, directory, log).await;
            }
        }
        let idle = std::mem::take(&mut self.idle);
        let (kept, stale) = idle.into_iter().partition(|(partition, _)| is_assigned(partition));
        self.idle = kept;
        for (partition, found) in stale {
            self.delete(partition, found.directory, found.log).await;
        }
    }

    async fn delete(&self, partition: TopicPartition, directory: DirectoryId, log: PartitionLog) {
        tracing::info!(%partition, log = log.directory(), "deleted a replica that is assigned no longer");
        if let Some(directory) = self.directory(directory) {
            directory.recovery_points.forget(log.directory());
        }
        if let Err(fault) = log.delete().await {
            tracing::error!(%partition, %fault, "cannot delete a log");
        }
    }

    /// Tells a replica what is new, and starts it if it does not run under this registration.
    async fn feed(&mut self, partition: TopicPartition, broker_epoch: BrokerEpoch, image: &Arc<Image>) {
        let leader_epoch = image.partition(partition).map(|state| state.leader_epoch).unwrap_or_default();
        if self.running.get(&partition).is_some_and(|running| running.is_over(broker_epoch, leader_epoch)) {
            self.reopen(partition).await;
        }
        if !self.running.contains_key(&partition) {
            match self.start(partition, broker_epoch, image).await {
                Ok(running) => {
                    self.parts.partitions.insert(partition, running.task.clone());
                    self.running.insert(partition, running);
                }
                Err(NotStarted::Failed(directory, fault)) => self.fail(partition, directory, &fault).await,
                Err(NotStarted::NotAssigned) => {}
                Err(NotStarted::NoRoom(fault)) => {
                    tracing::warn!(%partition, %fault, "a log is created when there is room");
                    self.lacks_room = true;
                }
                Err(NotStarted::Withheld) => tracing::debug!(
                    %partition,
                    "no log is created while a log directory is failed: it may hold the log"
                ),
            }
        }
        let (Some(view), Some(topic)) = (image.partition_view(partition), image.topic(partition.topic))
        else {
            return;
        };
        let Some(running) = self.running.get_mut(&partition) else { return };
        let view = PartitionView { metadata_offset: Offset::ZERO, ..view };
        let told = Some(Told { view, segment_bytes: topic.config.segment_bytes() });
        if running.told != told {
            running.told = told;
            drop(running.task.send(Command::Image(Arc::clone(image))).await);
        }
    }

    /// Ends a replica's task. Its log is free then, but what was submitted to it may still be under way.
    async fn stop(&mut self, partition: TopicPartition) -> Option<PartitionLog> {
        self.parts.partitions.remove(partition);
        let running = self.running.remove(&partition)?;
        let (reply, log) = oneshot::channel();
        running.task.send(Command::Stop(reply)).await.ok()?;
        log.await.ok()
    }

    /// A log cannot be used: its directory is reported, so that others take over.
    async fn fail(&mut self, partition: TopicPartition, directory: DirectoryId, fault: &Fault) {
        tracing::error!(%partition, %directory, %fault, "cannot open a log");
        self.failed.push(directory);
        let _ = self.parts.failures.send(directory).await;
    }

    /// Stops everything and syncs it, so that a clean-stop marker may be written in the directories that it gives.
    async fn close(&mut self) -> Vec<DirectoryId> {
        let running: Vec<(TopicPartition, DirectoryId)> =
            self.running.iter().map(|(partition, running)| (*partition, running.directory)).collect();
        for (partition, directory) in running {
            let closed = match self.stop(partition).await {
                Some(log) => {
                    let is_whole = log.is_whole();
                    log.close().await.map(|_| is_whole)
                }
                None => Err(Fault::Gone),
            };
            match closed {
                Ok(true) => continue,
                Ok(false) => tracing::warn!(%partition, "a log is left in the midst of a cut"),
                Err(fault) => tracing::error!(%partition, %fault, "cannot close a log in order"),
            }
            self.failed.push(directory);
        }
        let ids = self.parts.directories.iter().map(LogDirectory::id);
        ids.filter(|directory| !self.failed.contains(directory)).collect()
    }

    async fn checkpoint(&self) {
        for directory in self.parts.directories.iter() {
            if let Err(fault) = directory.recovery_points.store().await {
                tracing::warn!(directory = %directory.id(), %fault, "cannot write the recovery points");
            }
        }
    }
}
