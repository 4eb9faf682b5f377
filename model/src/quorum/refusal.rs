//! Why a replica of the quorum log says no. On a refusal its state is as it was.

use core::fmt;

use super::input::Timer;
use super::message::SnapshotId;
use super::voter::VoterKey;
use crate::id::{Offset, QuorumEpoch, RequestId};

/// The protocol says no, with the facts of both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A message of an epoch that is over.
    StaleEpoch {
        /// The message's.
        theirs: QuorumEpoch,
        /// This replica's.
        ours: QuorumEpoch,
    },
    /// An answer to a request that is not, or no longer, waited for.
    NotAsked {
        /// The request that it answers.
        request: RequestId,
    },
    /// A fetch that a later one of the same run has overtaken.
    StaleRequest {
        /// The request.
        request: RequestId,
    },
    /// Says that a leader resigned which this replica does not follow.
    NotFollowing {
        /// Who resigned.
        from: VoterKey,
    },
    /// A stored vote older than one that is known to be stored.
    StaleVote {
        /// The completed one's epoch.
        completed: QuorumEpoch,
        /// The epoch stored since.
        stored: QuorumEpoch,
    },
    /// The message is for another replica: another disk under this node's id (Q4).
    NotAddressed {
        /// Who was addressed.
        addressed: VoterKey,
        /// Who this is.
        ours: VoterKey,
    },
    /// A vote request whose last epoch cannot be (Q3, Q6).
    MalformedVote {
        /// The epoch that it asks for.
        quorum_epoch: QuorumEpoch,
        /// The epoch of its last record.
        last_epoch: QuorumEpoch,
    },
    /// Fetched batches that do not continue the log.
    Discontinuous {
        /// Where they begin, or where the first gap or impossible epoch is.
        at: Offset,
        /// Where the log ends, exclusive.
        log_end: Offset,
    },
    /// The leader says to cut below the known high watermark. Must never happen; nothing is cut (Q16).
    TruncationBelowHighWatermark {
        /// Where to cut, exclusive.
        end: Offset,
        /// The high watermark, exclusive.
        high_watermark: Offset,
    },
    /// Two replicas claim one epoch. Must never happen (QI1).
    TwoLeaders {
        /// The epoch.
        quorum_epoch: QuorumEpoch,
        /// The one known before.
        known: VoterKey,
        /// The one that claims it too.
        claimant: VoterKey,
    },
    /// This replica does not lead.
    NotLeader {
        /// The leader that it knows.
        leader: Option<VoterKey>,
        /// Its epoch.
        quorum_epoch: QuorumEpoch,
    },
    /// The proposal was decided in another epoch (Q57).
    WrongEpoch {
        /// The proposal's.
        theirs: QuorumEpoch,
        /// This leader's.
        ours: QuorumEpoch,
    },
    /// The leader has not committed a record of its own epoch yet (Q15, Q31a); try again soon.
    NotEstablished {
        /// Its epoch.
        quorum_epoch: QuorumEpoch,
    },
    /// A batch needs at least one record.
    EmptyProposal,
    /// So many proposals or reads wait already; try again soon.
    Overloaded {
        /// How many wait.
        waiting: u32,
    },
    /// Another voter change is not committed yet (Q31b, Q31c).
    ChangeInProgress {
        /// Offset of its record.
        offset: Offset,
        /// The high watermark, exclusive.
        high_watermark: Offset,
    },
    /// That node votes already (Q31d).
    AlreadyVoter {
        /// The key it votes under.
        voter: VoterKey,
    },
    /// That replica does not vote.
    NotVoter {
        /// The replica.
        key: VoterKey,
    },
    /// The last voter stays.
    LastVoter {
        /// The voter.
        voter: VoterKey,
    },
    /// The replica has not caught up with the leader in this epoch (Q31e).
    NotCaughtUp {
        /// The replica.
        key: VoterKey,
        /// How far it has fetched, exclusive; `None` if it has not.
        reached: Option<Offset>,
        /// The high watermark, exclusive.
        high_watermark: Offset,
    },
    /// A voter set with a node twice, or too large.
    BadVoterSet {
        /// Number of keys in it.
        size: u32,
    },
    /// The timer is not armed.
    NotArmed {
        /// The timer.
        timer: Timer,
    },
    /// The snapshot is not of this log, not wholly committed and flushed, or older than the log's start (Q40).
    BadSnapshot {
        /// The snapshot.
        id: SnapshotId,
        /// The log's start.
        log_start: Offset,
        /// The high watermark, exclusive, if known.
        high_watermark: Option<Offset>,
    },
    /// A completion of a log since cut, or of a vote since replaced (B-46).
    StaleCompletion {
        /// Where the completed operation ended, exclusive.
        end: Offset,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaleEpoch { theirs, ours } => {
                write!(f, "a message of quorum epoch {theirs}, which {ours} followed")
            }
            Self::NotAsked { request } => {
                write!(f, "an answer to request {request}, which is not waited for")
            }
            Self::StaleRequest { request } => write!(f, "fetch {request} was overtaken by a later one"),
            Self::NotFollowing { from } => write!(f, "{from} resigned, which is not followed"),
            Self::StaleVote { completed, stored } => {
                write!(f, "a vote of epoch {completed} stored after {stored}")
            }
            Self::NotAddressed { addressed, ours } => {
                write!(f, "a request to {addressed}, but this is {ours}")
            }
            Self::MalformedVote { quorum_epoch, last_epoch } => {
                write!(f, "a vote request for epoch {quorum_epoch} with a last record of epoch {last_epoch}")
            }
            Self::Discontinuous { at, log_end } => {
                write!(f, "batches that do not fit at offset {at}, with a log end of {log_end}")
            }
            Self::TruncationBelowHighWatermark { end, high_watermark } => {
                write!(f, "told to truncate to {end}, below the high watermark {high_watermark}")
            }
            Self::TwoLeaders { quorum_epoch, known, claimant } => {
                write!(f, "{claimant} claims epoch {quorum_epoch}, which {known} leads")
            }
            Self::BadVoterSet { size } => write!(f, "a voter set of {size} with a node twice, or too large"),
            Self::NotArmed { timer } => write!(f, "the timer {timer:?} is not armed"),
            Self::BadSnapshot { id, log_start, high_watermark } => {
                write!(
                    f,
                    "snapshot {id:?} does not fit a log from {log_start} with high watermark {high_watermark:?}"
                )
            }
            Self::StaleCompletion { end } => write!(f, "a completion up to {end} of a log since cut"),
            Self::NotLeader { .. }
            | Self::WrongEpoch { .. }
            | Self::NotEstablished { .. }
            | Self::EmptyProposal
            | Self::Overloaded { .. } => self.fmt_request(f),
            Self::ChangeInProgress { .. }
            | Self::AlreadyVoter { .. }
            | Self::NotVoter { .. }
            | Self::LastVoter { .. }
            | Self::NotCaughtUp { .. } => self.fmt_change(f),
        }
    }
}

impl Refusal {
    /// Refusals of proposals and reads.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller has picked the variants")]
    fn fmt_request(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader: Some(leader), quorum_epoch } => {
                write!(f, "not the leader; {leader} leads epoch {quorum_epoch}")
            }
            Self::NotLeader { leader: None, quorum_epoch } => {
                write!(f, "not the leader, and none is known in epoch {quorum_epoch}; try again soon")
            }
            Self::WrongEpoch { theirs, ours } => {
                write!(f, "decided in quorum epoch {theirs}, but this is {ours}")
            }
            Self::NotEstablished { quorum_epoch } => {
                write!(f, "the leader of epoch {quorum_epoch} has not committed in it yet; try again soon")
            }
            Self::EmptyProposal => f.write_str("a batch needs at least one record"),
            Self::Overloaded { waiting } => write!(f, "{waiting} requests wait already; try again soon"),
            other => write!(f, "{other:?}"),
        }
    }

    /// Refusals of voter changes.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the caller has picked the variants")]
    fn fmt_change(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeInProgress { offset, high_watermark } => {
                write!(
                    f,
                    "the voter change at offset {offset} is not committed; the high watermark is {high_watermark}"
                )
            }
            Self::AlreadyVoter { voter } => write!(f, "{voter} is a voter already"),
            Self::NotVoter { key } => write!(f, "{key} is not a voter"),
            Self::LastVoter { voter } => write!(f, "{voter} is the last voter"),
            Self::NotCaughtUp { key, reached: Some(reached), high_watermark } => {
                write!(f, "{key} has reached {reached}, and the high watermark is {high_watermark}")
            }
            Self::NotCaughtUp { key, reached: None, .. } => {
                write!(f, "{key} has not fetched from this leader")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl core::error::Error for Refusal {}
