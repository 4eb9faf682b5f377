//! What nodes say to each other, as frames: kinds, versions and bodies.
//!
//! Bodies are postcard; record bytes travel beside them. A kind or version that is unknown here is an error of the frame
//! alone: the rest of the link goes on. Nothing here looks into a message.

use bytes::Bytes;
use highwater_model::api::{ApiError, QuorumDetail, VoterChange};
use highwater_model::id::{NodeId, Offset, TopicPartition};
use highwater_model::metadata::{Command, CommandRefusal, Outcome};
use highwater_model::{quorum, replication};
use serde::{Deserialize, Serialize};

/// A one-way [`quorum::Message`]; its batches are the payload.
pub(crate) const QUORUM: u16 = 0x0100;
/// A one-way [`ReplicaMessage`]; its batches are the payload.
pub(crate) const REPLICATION: u16 = 0x0101;
/// A [`ControllerCall`], answered by a [`ControllerAnswer`] under the same correlation id.
pub(crate) const CONTROLLER: u16 = 0x0102;
/// A one-way [`Hello`], the first frame of a link.
pub(crate) const HELLO: u16 = 0x0103;
/// The version of every body above.
pub(crate) const VERSION: u8 = 0;

/// Where the sender is reached. A node that no metadata names yet, such as a broker that is about to register, can be
/// answered only then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// `host:port`.
    pub(crate) address: String,
}

/// A message between two replicas of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReplicaMessage {
    /// Which partition.
    pub(crate) partition: TopicPartition,
    /// What is said.
    pub(crate) message: replication::Message,
}

/// What a node asks of the active controller, or of the leader of the quorum, which is the same node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ControllerCall {
    /// A decision.
    Decide(Command),
    /// A linearizable read point (Q18).
    ReadPoint,
    /// The quorum as its leader sees it.
    DescribeQuorum,
    /// A change of the voters (Q30).
    ChangeVoters(VoterChange),
    /// A part of a snapshot of the metadata (Q42).
    FetchSnapshot {
        /// Who asks.
        replica: quorum::VoterKey,
        /// The snapshot.
        id: quorum::SnapshotId,
        /// First byte wanted, counted from 0.
        position: u64,
    },
}

/// What the active controller answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ControllerAnswer {
    /// To [`ControllerCall::Decide`].
    Decided(Result<Outcome, CommandRefusal>),
    /// To [`ControllerCall::ReadPoint`]: what must have been applied, exclusive.
    ReadPoint(Offset),
    /// To [`ControllerCall::DescribeQuorum`].
    Quorum(QuorumDetail),
    /// To [`ControllerCall::ChangeVoters`]: the change is committed.
    VotersChanged,
    /// The node that was asked does not lead; nothing was done.
    NotController {
        /// Who leads, if it knows.
        leader: Option<NodeId>,
    },
    /// Not done.
    Refused(ApiError),
    /// To [`ControllerCall::FetchSnapshot`]: bytes from the position on, as many as fit.
    SnapshotPart {
        /// Length of the whole snapshot in bytes.
        total: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// One message as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerFrame {
    /// One of the kinds above.
    pub(crate) kind: u16,
    /// Its body.
    pub(crate) body: Bytes,
    /// Record bytes.
    pub(crate) payload: Vec<Bytes>,
}

impl PeerFrame {
    /// A message of the quorum.
    pub(crate) fn quorum(message: &quorum::Message, payload: Vec<Bytes>) -> Self {
        Self { kind: QUORUM, body: encode(message), payload }
    }

    /// A message between replicas.
    pub(crate) fn replication(message: &ReplicaMessage, payload: Vec<Bytes>) -> Self {
        Self { kind: REPLICATION, body: encode(message), payload }
    }
}

/// The bytes of a body.
pub(crate) fn encode<T: Serialize>(body: &T) -> Bytes {
    postcard::to_allocvec(body).map(Bytes::from).expect("a message is a plain value, which always encodes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{BrokerEpoch, LeaderEpoch, LogGeneration, PartitionIndex, RequestId, TopicId};
    use highwater_model::replication::{Fetch, Message, ReadRound};
    use highwater_transport::frame::decode_body;

    fn fetch() -> ReplicaMessage {
        let message = Message::Fetch(Fetch {
            leader_epoch: LeaderEpoch(3),
            broker_epoch: BrokerEpoch(7),
            request_id: RequestId(9),
            generation: LogGeneration(1),
            fetch_offset: Offset(300),
            durable_end: Offset(200),
            last_epoch: Some(LeaderEpoch(2)),
            log_start: Offset(0),
            round: ReadRound(5),
        });
        ReplicaMessage {
            partition: TopicPartition { topic: TopicId(1), partition: PartitionIndex(2) },
            message,
        }
    }

    #[test]
    fn a_replica_message_keeps_its_bytes() {
        let golden = [1, 2, 0, 3, 7, 9, 1, 172, 2, 200, 1, 1, 2, 0, 5];

        assert_eq!(encode(&fetch()).as_ref(), golden);
        assert_eq!(decode_body::<ReplicaMessage>(&golden), Ok(fetch()));
    }
}
