//! The replicas that this broker hosts: finds their logs when it starts, runs a task for each, and tells each what
//! changed in the metadata.
//!
//! Which replicas a broker hosts is in the image; what a replica does is its driver's. Routes requests and messages to
//! the tasks by partition.

mod found;
mod host;
mod strays;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use highwater_model::api::{ApiError, ReplicaDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{NodeId, TopicPartition};
use tokio::sync::{mpsc, oneshot};

use crate::driver::replication::Command;
use crate::peers::wire::ReplicaMessage;

pub(crate) use found::FoundLogs;
pub(crate) use host::{Host, HostParts, ToHost};

/// Routes to the tasks of the replicas that are hosted here. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Partitions {
    tasks: Arc<RwLock<BTreeMap<TopicPartition, mpsc::Sender<Command>>>>,
}

impl Partitions {
    /// The way to a replica, if it is hosted here.
    pub(crate) fn find(&self, partition: TopicPartition) -> Option<mpsc::Sender<Command>> {
        self.tasks.read().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    /// The way to a replica.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC_OR_PARTITION` when it is not hosted here.
    pub(crate) fn get(&self, partition: TopicPartition) -> Result<mpsc::Sender<Command>, ApiError> {
        self.find(partition).ok_or_else(|| {
            let message = format!("this broker hosts no replica of {partition}; look up who leads it");
            ApiError::new(ErrorCode::UnknownTopicOrPartition, message)
        })
    }

    /// Hands a message of another broker to its replica; dropped if it is not hosted here.
    pub(crate) async fn deliver(&self, from: NodeId, wrapped: ReplicaMessage, payload: Vec<Bytes>) {
        let Some(task) = self.find(wrapped.partition) else { return };
        // A task that ends meanwhile has no use for it.
        drop(task.send(Command::Message { from, message: wrapped.message, payload }).await);
    }

    /// What the replica hosted here knows.
    pub(crate) async fn describe(&self, partition: TopicPartition) -> Vec<ReplicaDetail> {
        let Some(task) = self.find(partition) else { return Vec::new() };
        let (reply, answer) = oneshot::channel();
        if task.send(Command::Describe(reply)).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }

    fn insert(&self, partition: TopicPartition, task: mpsc::Sender<Command>) {
        self.tasks.write().unwrap_or_else(PoisonError::into_inner).insert(partition, task);
    }

    fn remove(&self, partition: TopicPartition) {
        self.tasks.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }
}
