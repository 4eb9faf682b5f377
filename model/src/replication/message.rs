//! What replicas of a partition say to each other.
//!
//! A request is fenced by leader epoch, broker epoch (which orders the incarnations of its sender) and request id, an
//! answer by what it echoes of these and by the log generation (R11, R13). A fenced message is not answered: the
//! sender's timer asks again.

use serde::{Deserialize, Serialize};

use crate::id::{BrokerEpoch, LeaderEpoch, LogGeneration, Offset, RequestId};
use crate::log::EpochEnd;

/// A round of fetches that linearizable end reads wait for; 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadRound(pub u32);

/// A message of one replica to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message {
    /// Follower to leader: what I have, and send me more.
    Fetch(Fetch),
    /// Follower to leader: I have synced more since my last fetch.
    Progress(Progress),
    /// Leader to follower.
    FetchAnswer(FetchAnswer),
}

/// A follower's fetch (R10). A valid one is the acknowledgement of everything below its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fetch {
    /// The leader epoch that the follower believes in.
    pub leader_epoch: LeaderEpoch,
    /// The follower's registration, and so its incarnation.
    pub broker_epoch: BrokerEpoch,
    /// Which request this is: of one incarnation in one leader epoch, a later one has a larger id, and a repetition the
    /// same.
    pub request_id: RequestId,
    /// Generation of the follower's log; the answer echoes it.
    pub generation: LogGeneration,
    /// Its log end, exclusive; all below is written. Divergence is tested here.
    pub fetch_offset: Offset,
    /// What it has synced, exclusive; at most `fetch_offset`.
    pub durable_end: Offset,
    /// Epoch of its last record, if its log has any epoch.
    pub last_epoch: Option<LeaderEpoch>,
    /// Where its log starts, inclusive.
    pub log_start: Offset,
    /// The last round that the leader of this epoch announced to it.
    pub round: ReadRound,
}

/// Raises a follower's durable end while its fetch is parked at the leader (R10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Progress {
    /// The leader epoch that the follower believes in.
    pub leader_epoch: LeaderEpoch,
    /// The follower's registration, and so its incarnation.
    pub broker_epoch: BrokerEpoch,
    /// The fetch that it amends: what was synced of a log that has been cut since must not count.
    pub request_id: RequestId,
    /// What it has synced, exclusive; counts at most up to the offset of that fetch.
    pub durable_end: Offset,
}

/// Which request an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Answered {
    /// The request's id.
    pub request_id: RequestId,
    /// The requester's registration, as in the request.
    pub broker_epoch: BrokerEpoch,
    /// The generation of the requester's log, as in the request.
    pub generation: LogGeneration,
}

/// A leader's answer to a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FetchAnswer {
    /// What it answers.
    pub answered: Answered,
    /// The leader epoch under which it was answered.
    pub leader_epoch: LeaderEpoch,
    /// The leader's high watermark, exclusive.
    pub high_watermark: Offset,
    /// Where the leader's log starts, inclusive.
    pub log_start: Offset,
    /// The leader's current round.
    pub round: ReadRound,
    /// The answer proper.
    pub body: FetchBody,
}

/// What a leader has for a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FetchBody {
    /// The records of `[from, end)`, or a prefix of them that ends at a batch boundary: the sending driver attaches as
    /// many whole batches as it likes, at least one if there is any; the receiving driver gives their summaries beside
    /// the message. `from == end` says that there is nothing new but the round.
    Records {
        /// The offset that was asked for, inclusive.
        from: Offset,
        /// End of what the leader has written, exclusive.
        end: Offset,
    },
    /// The follower's log parts from the leader's, at the latest at this end of this epoch (R33).
    Diverging(EpochEnd<LeaderEpoch>),
    /// The follower's log ends below the leader's start, or in no epoch that the leader knows (R16, R32).
    OutOfRange,
}
