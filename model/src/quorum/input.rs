//! What happens to a replica of the quorum log: every fact that its driver reports.

use serde::{Deserialize, Serialize};

use super::message::{Message, SnapshotId};
use super::voter::{VoterKey, VoterSet};
use crate::id::{LogGeneration, Offset, QuorumEpoch};

/// Identity of something that was proposed, chosen by the proposer, unique within an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProposalId(pub u64);

/// Identity of a linearizable read, chosen by the reader, unique within an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadId(pub u64);

/// What is kept of elections: written to disk, whole, before a message rests on it (Q1, Q2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vote {
    /// The current epoch.
    pub quorum_epoch: QuorumEpoch,
    /// Whom this replica voted for in it.
    pub voted_for: Option<VoterKey>,
}

/// Timers that the core arms and disarms; the driver knows how long they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// Without a leader for so long: stand, or ask again. Its length is random, anew each time it is armed.
    Election,
    /// No answer from the leader for so long: it may be gone.
    FetchTimeout,
    /// A fetch unanswered for so long is sent again; longer than [`Timer::LongPoll`].
    FetchRetry,
    /// Without a leader: ask the next voter who it is.
    Probe,
    /// A leader that a majority has not fetched from for so long resigns (Q7): 1.5 times the fetch timeout.
    CheckQuorum,
    /// Parked fetches are answered after so long though there is no news, so that idle followers see a live leader.
    LongPoll,
    /// The leader announces itself again to voters that have no fetch waiting at it.
    Announce,
}

/// A change of the voter set by one voter (Q30).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VoterChange {
    /// Makes a caught-up observer a voter.
    Add(VoterKey),
    /// Makes a voter an observer.
    Remove(VoterKey),
}

/// A fact from outside, decoded and checked for shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A message arrived.
    Received(Message),
    /// This vote is durable. Stores complete in the order in which they were issued.
    VoteStored(Vote),
    /// The kernel has everything below `end` (X10).
    Written {
        /// End of the write, exclusive.
        end: Offset,
        /// The generation that the write was issued in.
        generation: LogGeneration,
    },
    /// Everything below `end` survives a power loss (X11).
    Flushed {
        /// End of what is covered, exclusive.
        end: Offset,
        /// The generation that the sync was issued in.
        generation: LogGeneration,
    },
    /// An armed timer ran out; it is no longer armed.
    Expired(Timer),
    /// The state machine asks to append one batch of data: one decision, all or none of it.
    Propose {
        /// Names it in the effects that follow.
        id: ProposalId,
        /// The epoch that the decision was made in; another one refuses it (Q57).
        quorum_epoch: QuorumEpoch,
        /// Number of records, at least 1.
        count: u32,
    },
    /// Asks for a linearizable read point (Q18).
    Read {
        /// Names it in the effects that follow.
        id: ReadId,
    },
    /// Asks for a change of the voters (Q31).
    ChangeVoters {
        /// Names it in the effects that follow.
        id: ProposalId,
        /// The change.
        change: VoterChange,
    },
    /// Gives up leadership, for a shutdown in order.
    Resign,
    /// The state machine has a complete, durable snapshot; what is below the end of the one before it may go (Q40, Q41).
    /// It holds [`Quorum::snapshot_voters`](super::Quorum::snapshot_voters) of `id.end`.
    SnapshotTaken {
        /// The snapshot.
        id: SnapshotId,
    },
    /// The snapshot asked for by `Effect::FetchSnapshot` is complete, durable and published under its name (Q43).
    SnapshotInstalled {
        /// The snapshot.
        id: SnapshotId,
        /// The voters in it.
        voters: VoterSet,
    },
    /// The snapshot asked for by `Effect::FetchSnapshot` was not to be had.
    SnapshotFailed {
        /// The snapshot.
        id: SnapshotId,
    },
    /// A replica has read from a snapshot here; that counts as hearing from it (Q7).
    SnapshotServed {
        /// The replica.
        to: VoterKey,
    },
}
