//! What a replica wants done, in order.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::{
    Acknowledgement, AlterPartition, Batches, EndOfLog, Message, Refusal, ReplicaIdx, VisibleHighWatermark,
};
use crate::id::{LeaderEpoch, LogGeneration, Offset, RequestId};

/// Effects of one step, in the order in which they must be issued.
pub type Effects = Vec<Effect>;

/// A timer of one replica. Arming an armed timer starts it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timer {
    /// A fetch was sent and not answered. It may be long where the link is known to be up, because an idle leader keeps
    /// the fetch; when the link to the leader was lost or is made anew, the driver lets it run out at once.
    FetchRetry,
    /// A proposal was sent and not answered, or was refused and may be made again after a while.
    AlterPartitionRetry,
    /// A follower's write found no room: it fetches again when this has run out. The driver may let it run out as soon as
    /// there is room.
    Room,
    /// `replica.lag.time.max`, since this replica was last caught up (R41).
    Lag(ReplicaIdx),
}

/// One thing to do. Writes, syncs and sends are submitted in this order and never awaited before the next input.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Effect {
    /// Stamp the batch of this produce with its base offset and leader epoch, and submit its write.
    AppendLocal {
        /// The produce whose bytes they are.
        request_id: RequestId,
        /// Offset of its first record.
        base_offset: Offset,
        /// Offset after its last record: what [`Input::Written`](super::Input::Written) reports.
        end: Offset,
        /// The leader epoch to stamp.
        leader_epoch: LeaderEpoch,
        /// The generation to report.
        generation: LogGeneration,
    },
    /// Submit the write of these batches, which came with the message of this step; drop whatever else came with it.
    AppendFetched {
        /// The batches, as they came.
        batches: Batches,
        /// Offset after the last record.
        end: Offset,
        /// The generation to report.
        generation: LogGeneration,
    },
    /// Cut the log. Later appends go behind the cut. No completion: no promise rests on it.
    Truncate {
        /// The new end, exclusive.
        to: Offset,
        /// The generation after the cut.
        generation: LogGeneration,
    },
    /// Throw the whole log away and begin again, empty. No completion: no promise rests on it.
    RestartLog {
        /// The new start and end.
        at: Offset,
        /// The generation after it.
        generation: LogGeneration,
    },
    /// Delete what lies below; whole segments, and not necessarily at once.
    TrimLog {
        /// The new log start, inclusive.
        to: Offset,
    },
    /// Sync everything that was written up to there. At most one is outstanding per generation: syncs group themselves.
    Sync {
        /// End of what must be covered, exclusive.
        up_to: Offset,
        /// The generation to report.
        generation: LogGeneration,
    },
    /// Send a message; with [`FetchBody::Records`](super::FetchBody::Records), attach the batches of its range.
    Send {
        /// To whom.
        to: ReplicaIdx,
        /// What.
        message: Message,
    },
    /// Send a proposal to the active controller.
    ProposeIsr(AlterPartition),
    /// Answer a produce.
    Acknowledge(Acknowledgement),
    /// Answer a produce or an end read negatively. Its records may be committed all the same (R3, R6).
    Refuse {
        /// The request.
        request_id: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// Answer an end read.
    EndKnown(EndOfLog),
    /// A leader's high watermark rose: consumers that wait may read up to there.
    HighWatermark(VisibleHighWatermark),
    /// A follower's high watermark changed, up or down. Worth a checkpoint (a hint, R63); never told to a client (E10).
    FollowerHighWatermark(Offset),
    /// Start a timer, anew if it runs.
    Arm(Timer),
    /// Stop a timer.
    Disarm(Timer),
}
