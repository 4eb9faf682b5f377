//! ListOffsets: where logs begin and end.

use highwater_model::api::{ApiError, ListOffsetsPartition, ListedOffset};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{LeaderEpoch, Offset};
use highwater_transport::env::Instant;
use tokio::sync::oneshot;

use super::RequestHandler;
use crate::driver::replication::Command;

impl RequestHandler {
    pub(super) async fn list_offsets(&self, partitions: &[ListOffsetsPartition]) -> Vec<ListedOffset> {
        let deadline = self.env.now() + self.timing.request;
        let mut listed = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let result = self.list_offset(partition, deadline).await;
            listed.push(ListedOffset { partition: partition.partition, result });
        }
        listed
    }

    async fn list_offset(
        &self,
        asked: &ListOffsetsPartition,
        deadline: Instant,
    ) -> Result<(Offset, LeaderEpoch), ApiError> {
        let task = self.partitions.get(asked.partition)?;
        let (reply, answer) = oneshot::channel();
        let stopped = || {
            ApiError::new(ErrorCode::NotLeaderOrFollower, "the replica is being stopped; look up the leader")
        };
        let command = Command::ListOffset { spec: asked.spec, deadline, reply };
        task.send(command).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}
