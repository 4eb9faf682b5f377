//! What the controller is told and what it wants done.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::super::{Command, Record};
use super::Reply;
use crate::id::{NodeId, Offset, QuorumEpoch, RequestId};

/// What is fixed for a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tenure {
    /// Partitions of a topic that does not say (`num.partitions`).
    pub partitions_default: u32,
    /// Replicas of a partition of a topic that does not say (`default.replication.factor`).
    pub replication_factor_default: u16,
    /// How many producer ids a broker is given at a time.
    pub producer_ids_per_block: u32,
    /// Whether preferred leaders are elected by themselves from time to time (`auto.leader.rebalance.enable`, R52).
    pub leader_rebalance: bool,
}

impl Default for Tenure {
    fn default() -> Self {
        Self {
            partitions_default: 1,
            replication_factor_default: 1,
            producer_ids_per_block: 1000,
            leader_rebalance: false,
        }
    }
}

/// A timer of the active controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A broker has not been heard from for a session (Q53, `broker.session.timeout.ms`).
    Session(NodeId),
    /// It is time to look for partitions that their preferred leader does not lead (R52).
    LeaderRebalance,
}

/// A fact for the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A batch of the metadata log is committed and ends at `end`, exclusive.
    Committed {
        /// End of the batch, exclusive.
        end: Offset,
        /// The epoch of the quorum leader under which this node learned that it is committed.
        quorum_epoch: QuorumEpoch,
        /// Its records; none for a control batch.
        records: Vec<Record>,
    },
    /// This node leads the quorum in `quorum_epoch`, and a record of that epoch is committed (Q15).
    Elected {
        /// The epoch.
        quorum_epoch: QuorumEpoch,
        /// The quorum's high watermark, exclusive; everything below it has come as [`Input::Committed`].
        committed: Offset,
    },
    /// This node no longer leads the quorum.
    Deposed,
    /// The batch of the oldest unplaced [`Effect::Append`] is in the log and ends at this offset, exclusive.
    Appended {
        /// End of the batch, exclusive.
        end: Offset,
    },
    /// The batch of the oldest unplaced [`Effect::Append`] was not appended; [`Input::Deposed`] follows.
    NotAppended,
    /// Somebody asks for a decision.
    Asked {
        /// Names the answer.
        request: RequestId,
        /// Wall clock, in ms, for the records that people read.
        at_ms: u64,
        /// What is asked.
        command: Command,
    },
    /// A timer ran out.
    Expired {
        /// Which.
        timer: Timer,
        /// Wall clock, in ms, for the records that people read.
        at_ms: u64,
    },
}

/// Something that the driver must do. Not `Clone`: a reply is told once.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// Append this as one batch to the metadata log, and say where it ends.
    Append(Vec<Record>),
    /// Answer a command.
    Reply(Reply),
    /// Start or restart a timer.
    Arm(Timer),
    /// Stop a timer.
    Disarm(Timer),
}

/// An input came where it does not belong; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A command or a timer came while this node is not the active controller: answer NOT_CONTROLLER.
    NotActive,
    /// A command or a timer came before the last batch was placed: feed [`Input::Appended`] first, then this again.
    AppendUnderWay,
    /// The controller was elected before it had been given the committed log.
    Behind {
        /// The quorum's high watermark, exclusive.
        committed: Offset,
        /// What it was given, exclusive.
        applied: Offset,
    },
    /// A committed batch came twice or out of order.
    OutOfOrder {
        /// Where the batch ends, exclusive.
        end: Offset,
        /// What had been given before, exclusive.
        applied: Offset,
    },
    /// A placement came and no batch is waiting for one.
    NothingToPlace,
}
