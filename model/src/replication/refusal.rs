//! Why a replica does not do what it is asked, with the facts on both sides.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{IsrSet, ReplicaIdx};
use crate::error_code::ErrorCode;
use crate::id::{BrokerEpoch, LeaderEpoch, Offset, ProducerEpoch, RequestId, Sequence};

/// A refusal. When a step returns it, the state is as it was and there are no effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// This replica does not lead, or no longer (R1, R6).
    NotLeader {
        /// The leader as this replica knows it.
        leader: Option<ReplicaIdx>,
        /// The leader epoch as this replica knows it.
        leader_epoch: LeaderEpoch,
    },
    /// Fewer replicas are in sync than `min.insync.replicas`; nothing was written (R2).
    NotEnoughReplicas {
        /// The committed ISR.
        isr: IsrSet,
        /// How many are needed.
        min_isr: u8,
        /// The replicas that are not in the ISR.
        missing: IsrSet,
    },
    /// There is no room for the batch, or for one that it repeats: it is not in the log (design §5).
    NoRoom {
        /// Where the log ends, exclusive.
        log_end: Offset,
    },
    /// The client's time limit passed first. The records may still be committed (R3).
    TimedOut {
        /// The high watermark that was reached.
        high_watermark: Offset,
        /// The offset that it had to reach, exclusive.
        needed: Offset,
        /// The members of the maximal ISR that have not reached it.
        missing: IsrSet,
    },
    /// The high watermark of a new leader does not yet cover what earlier leaders wrote (R23).
    WatermarkNotApplied {
        /// The high watermark.
        high_watermark: Offset,
        /// Where the leader epoch starts.
        leader_epoch_start: Offset,
    },
    /// The batch itself is not legal: no offsets, or sequences that do not fit its count.
    MalformedBatch,
    /// The producer has been fenced by a newer one (R71).
    FencedProducer {
        /// The batch's epoch.
        given: ProducerEpoch,
        /// The known one.
        known: ProducerEpoch,
    },
    /// The batch does not follow the producer's last one, or is a duplicate from before the window (R71, R74).
    OutOfOrderSequence {
        /// Sequence of the batch's first record.
        given: Sequence,
        /// The one that would follow.
        expected: Sequence,
    },
    /// The request is of an older leader epoch (R11).
    FencedLeaderEpoch {
        /// The request's.
        given: LeaderEpoch,
        /// The own.
        known: LeaderEpoch,
    },
    /// The request is of a newer leader epoch (R11): it has overtaken this broker's metadata. A driver that keeps the
    /// last such message of each sender and gives it again after the next view spares the sender its retry timer.
    UnknownLeaderEpoch {
        /// The request's.
        given: LeaderEpoch,
        /// The own.
        known: LeaderEpoch,
    },
    /// The message is of, or answers, an earlier incarnation of a broker (R11, R13, KIP-903).
    StaleBrokerEpoch {
        /// The message's.
        given: BrokerEpoch,
        /// The current one.
        known: BrokerEpoch,
    },
    /// A later request of the same incarnation has come before.
    StaleRequest {
        /// The message's.
        given: RequestId,
        /// The last one that came.
        known: RequestId,
    },
    /// The answer is none that is waited for: of another request, log generation or offset (R13, R45).
    StaleAnswer,
    /// The sender is not another replica of this partition.
    NotAReplica {
        /// Its index.
        given: ReplicaIdx,
        /// The size of the assignment.
        replicas: u8,
    },
    /// The message contradicts itself or the protocol: a defect of its sender.
    MalformedMessage,
    /// The view is not newer than the one that is known (X3).
    StaleView {
        /// Its metadata offset.
        given: Offset,
        /// The known one.
        known: Offset,
    },
    /// The view was taken before this incarnation registered, or after a later one did, or is not of this assignment.
    NotThisIncarnation {
        /// The broker epoch that the view has for this replica.
        given: Option<BrokerEpoch>,
        /// The own one.
        known: BrokerEpoch,
    },
    /// A timer ran out that was not armed.
    NotArmed,
    /// The request that is named is not open.
    NoSuchRequest,
    /// A completion belongs to a log that has been cut since (B-46), or to nothing that was submitted.
    StaleCompletion,
    /// The log cannot begin there: not above its start, or above what is committed and flushed (R80).
    LogStartOutOfRange {
        /// The wanted start.
        given: Offset,
        /// The present one.
        start: Offset,
        /// The highest that is possible now.
        limit: Offset,
    },
}

impl Refusal {
    /// What a client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotLeader { .. } => ErrorCode::NotLeaderOrFollower,
            Self::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
            Self::NoRoom { .. } => ErrorCode::KafkaStorageError,
            Self::TimedOut { .. } => ErrorCode::RequestTimedOut,
            Self::WatermarkNotApplied { .. } => ErrorCode::LeaderNotAvailable,
            Self::MalformedBatch => ErrorCode::InvalidRecord,
            Self::FencedProducer { .. } => ErrorCode::InvalidProducerEpoch,
            Self::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequence,
            Self::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
            Self::StaleBrokerEpoch { .. } | Self::NotThisIncarnation { .. } => ErrorCode::StaleBrokerEpoch,
            Self::LogStartOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            Self::StaleRequest { .. }
            | Self::StaleAnswer
            | Self::NotAReplica { .. }
            | Self::MalformedMessage
            | Self::StaleView { .. }
            | Self::NotArmed
            | Self::NoSuchRequest
            | Self::StaleCompletion => ErrorCode::InvalidRequest,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader: Some(leader), leader_epoch } => {
                write!(f, "not the leader: {leader} leads in epoch {leader_epoch}")
            }
            Self::NotLeader { leader: None, leader_epoch } => {
                write!(f, "not the leader: there is none in epoch {leader_epoch}")
            }
            Self::NotEnoughReplicas { isr, min_isr, missing } => {
                write!(f, "in sync {isr:?}, {min_isr} needed, missing {missing:?}; nothing was written")
            }
            Self::NoRoom { log_end } => {
                write!(f, "no space left; nothing was written; the log ends at {log_end}")
            }
            Self::TimedOut { high_watermark, needed, missing } => {
                write!(
                    f,
                    "high watermark {high_watermark}, {needed} needed, waiting for {missing:?}; may still take effect"
                )
            }
            Self::WatermarkNotApplied { high_watermark, leader_epoch_start } => {
                write!(
                    f,
                    "high watermark {high_watermark} does not yet cover {leader_epoch_start}, where this leader began"
                )
            }
            Self::FencedProducer { given, known } => {
                write!(f, "producer epoch {given}, but {known} is known")
            }
            Self::OutOfOrderSequence { given, expected } => {
                write!(f, "sequence {given}, but {expected} follows")
            }
            Self::LogStartOutOfRange { given, start, limit } => {
                write!(f, "log start {given} is not within {start} and {limit}")
            }
            Self::MalformedBatch
            | Self::FencedLeaderEpoch { .. }
            | Self::UnknownLeaderEpoch { .. }
            | Self::StaleBrokerEpoch { .. }
            | Self::StaleRequest { .. }
            | Self::StaleAnswer
            | Self::NotAReplica { .. }
            | Self::MalformedMessage
            | Self::StaleView { .. }
            | Self::NotThisIncarnation { .. }
            | Self::NotArmed
            | Self::NoSuchRequest
            | Self::StaleCompletion => fmt::Debug::fmt(self, f),
        }
    }
}
