//! What replicas of the quorum log say to each other.
//!
//! Every message names its sender's replica, incarnation and quorum epoch; an answer names the incarnation and request that
//! it answers. Messages may be lost, delayed, reordered and repeated. Record bytes travel beside [`Fetched::Records`].

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::voter::{VoterKey, VoterSet};
use crate::id::{IncarnationId, Offset, QuorumEpoch, RequestId};
use crate::log::EpochEnd;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The sender. The driver has checked that the connection's peer is this node.
    pub from: VoterKey,
    /// The sender's run.
    pub incarnation: IncarnationId,
    /// The sender's epoch, durable before the message left (Q2).
    pub quorum_epoch: QuorumEpoch,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Body {
    /// Asks for a vote, or whether one would be given.
    Vote(VoteRequest),
    /// Answers [`Body::Vote`].
    VoteAnswer(VoteAnswer),
    /// Asks the leader for records, and acknowledges everything below its offset (Q10, Q12).
    Fetch(Fetch),
    /// Answers [`Body::Fetch`].
    FetchAnswer(FetchAnswer),
    /// The sender leads its epoch.
    BeginQuorum,
    /// The sender led its epoch and leads no more.
    EndQuorum {
        /// Voters by how far they had fetched, furthest first; the first may stand at once.
        successors: Vec<VoterKey>,
    },
}

/// Asks for a vote (Q3) or a pre-vote (Q6).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoteRequest {
    /// Identity of the round of requests; the same towards every voter.
    pub request: RequestId,
    /// Whether it only asks if a vote would be given; its epoch is then the sender's current one, not one higher.
    pub pre_vote: bool,
    /// The voter that is addressed (Q4).
    pub voter: VoterKey,
    /// Epoch of the sender's last record.
    pub last_epoch: Option<QuorumEpoch>,
    /// The sender's log end, exclusive.
    pub log_end: Offset,
}

/// The request that an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Asked {
    /// The requester's run.
    pub incarnation: IncarnationId,
    /// The request within that run.
    pub request: RequestId,
}

/// Answers [`VoteRequest`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoteAnswer {
    /// The request.
    pub asked: Asked,
    /// Whether it was a pre-vote.
    pub pre_vote: bool,
    /// Whether the vote is given.
    pub granted: bool,
    /// The leader of the answer's epoch, if known.
    pub leader: Option<VoterKey>,
}

/// Asks for records. A replica asks only when everything that it has is flushed, so that `fetch_offset` is its durable
/// end (Q20a).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fetch {
    /// Identity of the request.
    pub request: RequestId,
    /// The next offset wanted: the log end, everything below it durable.
    pub fetch_offset: Offset,
    /// Epoch of the record before `fetch_offset`, of the snapshot that ends there, or none of an empty log.
    pub last_fetched_epoch: Option<QuorumEpoch>,
    /// The high watermark that the requester knows, so that the leader sees when there is news (KIP-1166).
    pub high_watermark: Option<Offset>,
    /// The last leader round that reached the requester in this epoch (Q18).
    pub round: u64,
}

/// Answers [`Fetch`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FetchAnswer {
    /// The request.
    pub asked: Asked,
    /// What came of it.
    pub fetched: Fetched,
}

/// What came of a fetch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fetched {
    /// The batches from the fetch offset on, perhaps none; their bytes travel beside the message.
    Records {
        /// The leader's high watermark, if known in this epoch (Q15).
        high_watermark: Option<Offset>,
        /// The leader's round, to be echoed (Q18).
        round: u64,
        /// Whole batches, gap-free from the fetch offset on.
        batches: Vec<Batch>,
    },
    /// The requester's log parts from the leader's, at the latest here (Q11).
    Diverging(EpochEnd<QuorumEpoch>),
    /// The requester must begin from this snapshot (Q42).
    Snapshot(SnapshotId),
    /// Not served: the epochs differ or the answerer does not lead. The answer's epoch and this leader say where to go.
    Refused {
        /// The leader of the answer's epoch, if known.
        leader: Option<VoterKey>,
    },
}

/// Identity of a snapshot (Q40).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SnapshotId {
    /// Offset after the last record that it includes, exclusive.
    pub end: Offset,
    /// Epoch of that record.
    pub quorum_epoch: QuorumEpoch,
}

/// Summary of one batch of records: a decision that is wholly in a log or not at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Batch {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Number of its records, at least 1.
    pub count: u32,
    /// Epoch of the leader that wrote it.
    pub quorum_epoch: QuorumEpoch,
    /// What its records are.
    pub kind: BatchKind,
}

impl Batch {
    /// Offset after its last record, exclusive.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.base_offset.after(u64::from(self.count))
    }
}

/// What the records of a batch are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BatchKind {
    /// Records of the state machine, opaque here.
    Data,
    /// The control record by which a leader begins (Q14).
    LeaderChange,
    /// The control record that changes the voters (Q30).
    Voters(VoterSet),
}
