//! What clients ask, answered: one handler of the neutral requests, whatever the codec.
//!
//! Produces and reads go to the tasks of the replicas, decisions to the active controller, descriptions come from the
//! newest committed image. Nothing is decided here.

mod admin;
mod describe;
mod fetch;
mod offsets;
mod produce;
mod producer_ids;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::{Answer, ApiError, Request};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{BrokerEpoch, ClusterId, NodeId};
use highwater_model::metadata::Image;
use highwater_transport::env::Env;
use highwater_transport::watch;

use self::producer_ids::ProducerIds;
use crate::controller_client::ControllerClient;
use crate::monitor::Monitors;
use crate::partitions::Partitions;
use crate::server::Timing;

/// An answer and the record bytes beside it; none where none is expected.
pub(crate) type Handled = Option<(Answer, Vec<Bytes>)>;

/// The rest of a request's handling.
pub(crate) type Handling = Pin<Box<dyn Future<Output = Handled> + Send>>;

/// The longest that any request waits.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Handles requests of clients.
pub(crate) struct RequestHandler {
    env: Env,
    cluster: ClusterId,
    timing: Timing,
    topic_configs: Vec<(String, String)>,
    controller: ControllerClient,
    partitions: Partitions,
    images: watch::Receiver<Arc<Image>>,
    producer_ids: ProducerIds,
    own: NodeId,
    monitors: Monitors,
}

/// What a handler is made of.
pub(crate) struct HandlerParts {
    pub(crate) env: Env,
    pub(crate) own: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) timing: Timing,
    /// Configuration of a topic that is created without it.
    pub(crate) topic_configs: Vec<(String, String)>,
    pub(crate) controller: ControllerClient,
    pub(crate) partitions: Partitions,
    pub(crate) images: watch::Receiver<Arc<Image>>,
    pub(crate) broker_epoch: watch::Receiver<Option<BrokerEpoch>>,
    pub(crate) monitors: Monitors,
}

impl RequestHandler {
    pub(crate) fn new(parts: HandlerParts) -> Arc<Self> {
        let producer_ids = ProducerIds::new(parts.own, parts.controller.clone(), parts.broker_epoch);
        Arc::new(Self {
            env: parts.env,
            cluster: parts.cluster,
            timing: parts.timing,
            topic_configs: parts.topic_configs,
            controller: parts.controller,
            partitions: parts.partitions,
            images: parts.images,
            producer_ids,
            own: parts.own,
            monitors: parts.monitors,
        })
    }

    /// Begins to handle a request, and gives the rest back. A produce is with its replicas when this returns, so that
    /// produces that come one after another are appended in that order.
    pub(crate) async fn begin(self: &Arc<Self>, request: Request, payload: Vec<Bytes>) -> Handling {
        if let Request::Produce { acks, timeout_ms, partitions } = request {
            return self.begin_produce(acks, timeout_ms, partitions, payload).await;
        }
        let handler = Arc::clone(self);
        Box::pin(async move { handler.handle(request).await })
    }

    async fn handle(&self, request: Request) -> Handled {
        let answer = match request {
            Request::Fetch { wait_ms_max, bytes_min, bytes_max, partitions } => {
                return Some(self.fetch(wait_ms_max, bytes_min, bytes_max, &partitions).await);
            }
            Request::Metadata { topics } => told(self.metadata(topics.as_deref()).map(Answer::Metadata)),
            Request::ListOffsets { partitions } => Answer::ListOffsets(self.list_offsets(&partitions).await),
            Request::InitProducerId => {
                told(self.producer_ids.next(self.timing.request).await.map(Answer::Producer))
            }
            Request::CreateTopics { topics, timeout_ms, validate_only } => {
                Answer::CreatedTopics(self.create_topics(topics, wait(timeout_ms), validate_only).await)
            }
            Request::DeleteTopics { names, timeout_ms } => {
                Answer::Topics(self.delete_topics(names, wait(timeout_ms)).await)
            }
            Request::CreatePartitions { topics, timeout_ms } => {
                Answer::Topics(self.create_partitions(topics, wait(timeout_ms)).await)
            }
            Request::DescribeConfigs { topic, linearizable } => {
                told(self.describe_configs(&topic, linearizable).await.map(Answer::Configs))
            }
            Request::AlterConfigs { topic, changes, expected_offset } => {
                told(self.alter_configs(topic, changes, expected_offset).await)
            }
            Request::DescribeCluster { linearizable } => {
                told(self.describe_cluster(linearizable).await.map(Answer::Cluster))
            }
            Request::DescribeTopic { topic } => told(self.describe_topic(&topic).await.map(Answer::Topic)),
            Request::DescribeMonitors => Answer::Monitors(self.describe_monitors()),
            Request::DescribeQuorum => told(self.describe_quorum().await.map(Answer::Quorum)),
            Request::ChangeVoters { change, timeout_ms } => {
                told(self.change_voters(change, wait(timeout_ms)).await)
            }
            Request::Produce { .. } | _ => told(Err(ApiError::new(
                ErrorCode::UnsupportedVersion,
                "this broker does not know the request",
            ))),
        };
        Some((answer, Vec::new()))
    }

    /// The newest committed image that this node has.
    fn image(&self) -> Arc<Image> {
        Arc::clone(&self.images.borrow())
    }
}

/// An answer, or the refusal of the request as a whole.
fn told(answer: Result<Answer, ApiError>) -> Answer {
    answer.unwrap_or_else(Answer::Refused)
}

/// A client's time limit, bounded.
fn wait(timeout_ms: u32) -> Duration {
    Duration::from_millis(u64::from(timeout_ms)).min(WAIT_MAX)
}

fn unknown_topic(name: &str) -> ApiError {
    ApiError::new(ErrorCode::UnknownTopicOrPartition, format!("there is no topic {name:?}; list the topics"))
}
