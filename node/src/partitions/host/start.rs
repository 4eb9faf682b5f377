//! Starting a replica: its log, found or new or opened again, and the task that owns it.

use highwater_model::fault::Faults;
use highwater_model::id::{BrokerEpoch, DirectoryId, TopicPartition};
use highwater_model::metadata::{Image, Topic};
use highwater_model::replication::Tenure;
use tokio::sync::mpsc;

use super::{Host, Running};
use crate::disk::Fault;
use crate::driver::replication::{ReplicaDriver, ReplicaParts, Retired};
use crate::kept::LogDirectory;
use crate::log::{LogConfig, directory_of};
use crate::partitions::found::{self, FoundLog};

/// Why a replica was not started.
pub(super) enum NotStarted {
    /// The image does not assign it.
    NotAssigned,
    /// Its log cannot be used.
    Failed(DirectoryId, Fault),
    /// There is no room for a new log.
    NoRoom(Fault),
    /// It has no log here that could be used, and none may be created.
    Withheld,
}

impl<F: Faults> Host<F> {
    /// Starts a replica under this registration, with the log that was found for it, or with a new one.
    pub(super) async fn start(
        &mut self,
        partition: TopicPartition,
        broker_epoch: BrokerEpoch,
        image: &Image,
    ) -> Result<Running, NotStarted> {
        let topic = image.topic(partition.topic).ok_or(NotStarted::NotAssigned)?;
        let state = topic.partition(partition.partition).ok_or(NotStarted::NotAssigned)?;
        let own = state.replica_on(self.parts.own).ok_or(NotStarted::NotAssigned)?;
        let found = match self.idle.remove(&partition) {
            Some(found) => found,
            None => self.create(topic, partition).await?,
        };
        let tenure =
            Tenure { partition, own, replicas: state.replicas.iter().copied().collect(), broker_epoch };
        found.log.accept_recovered().map_err(|fault| NotStarted::Failed(found.directory, fault))?;
        let (task, inbox) = mpsc::channel(self.parts.limits.inbox_length);
        let parts = ReplicaParts {
            env: self.parts.env.clone(),
            faults: self.parts.faults,
            tenure,
            directory: found.directory,
            log: found.log,
            recovered: found.recovered,
            timing: self.parts.timing.clone(),
            limits: self.parts.limits.clone(),
            peers: self.parts.peers.clone(),
            controller: self.parts.controller.clone(),
            failures: self.parts.failures.clone(),
            retired: Retired::default(),
            recorder: self.parts.recorder.clone(),
            monitors: self.parts.monitors.clone(),
        };
        let retired = parts.retired.clone();
        let driver = ReplicaDriver::new(parts, &task, inbox);
        drop(self.parts.env.spawn("replica", driver.run()));
        let directory = found.directory;
        Ok(Running { task, directory, broker_epoch, retired, told: None })
    }

    /// Creates a log in the directory that has the fewest. Not while a directory is failed: the log may lie in that one,
    /// and an empty one beside it would pass for what the replica had counted once both are there again. A broker with a
    /// failed directory stays fenced, so that nothing is waited for in vain.
    async fn create(&self, topic: &Topic, partition: TopicPartition) -> Result<FoundLog, NotStarted> {
        if !self.failed.is_empty() {
            return Err(NotStarted::Withheld);
        }
        let running = self.running.values().map(|running| running.directory);
        let taken: Vec<DirectoryId> =
            running.chain(self.idle.values().map(|found| found.directory)).collect();
        let count = |id| taken.iter().filter(|directory| **directory == id).count();
        let directories = self.parts.directories.iter();
        let fewest = directories.min_by_key(|directory| count(directory.id()));
        let directory = fewest.ok_or(NotStarted::Withheld)?;
        let name = directory_of(&topic.name, partition.partition);
        let config = LogConfig { segment_bytes_max: topic.config.segment_bytes(), ..LogConfig::default() };
        let opened = found::open(directory, &name, partition, config).await;
        opened.map_err(|fault| {
            if fault.is_full() {
                NotStarted::NoRoom(fault)
            } else {
                NotStarted::Failed(directory.id(), fault)
            }
        })
    }

    /// Ends a replica that is over, and opens its log again where it is, for [`Self::start`].
    pub(super) async fn reopen(&mut self, partition: TopicPartition) {
        let Some(directory) = self.running.get(&partition).map(|running| running.directory) else { return };
        let stopped = self.stop(partition).await;
        let reopened = match (stopped, self.directory(directory)) {
            (Some(log), Some(directory)) => found::reopen(directory, partition, log).await,
            // The task ended without giving its log back: nobody knows what it has submitted.
            (None, _) | (_, None) => Err(Fault::Gone),
        };
        match reopened {
            Ok(found) => drop(self.idle.insert(partition, found)),
            Err(fault) => self.fail(partition, directory, &fault).await,
        }
    }

    pub(super) fn directory(&self, id: DirectoryId) -> Option<&LogDirectory> {
        self.parts.directories.iter().find(|directory| directory.id() == id)
    }
}
