//! What a replica of the quorum log asks of its driver.

use alloc::vec::Vec;
use serde::Serialize;

use super::input::{ProposalId, Timer, Vote};
use super::message::{Batch, Message, SnapshotId};
use super::token::{Commitment, CommittedEnd, ReadPoint};
use crate::id::{LogGeneration, NodeId, Offset, QuorumEpoch};

/// Something that the driver must do. The effects of one step are issued in order; none is awaited.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub enum Effect {
    /// Replace the stored vote, durably and atomically; then report `Input::VoteStored`.
    StoreVote(Vote),
    /// Append these batches, gap-free from the log end; then report `Input::Written` with the last one's end.
    Append {
        /// The batches.
        batches: Vec<Batch>,
        /// Where their bytes are.
        origin: Origin,
        /// Goes back with the completion.
        generation: LogGeneration,
    },
    /// Sync everything below `end`; then report `Input::Flushed`. Several may be outstanding and be done by one sync.
    Sync {
        /// End of what must be durable, exclusive.
        end: Offset,
        /// Goes back with the completion.
        generation: LogGeneration,
    },
    /// Cut the log back to `end` before anything that follows. Writes and syncs of earlier generations are void.
    Truncate {
        /// The new log end, exclusive.
        end: Offset,
        /// The generation from here on.
        generation: LogGeneration,
    },
    /// Throw the whole log away and begin it again at `start`, where a durable snapshot ends (Q43).
    RestartLog {
        /// The new log start and end.
        start: Offset,
        /// The generation from here on.
        generation: LogGeneration,
    },
    /// Segments wholly below `start` may be deleted (Q41).
    TrimLog {
        /// The new log start, inclusive.
        start: Offset,
    },
    /// Hand this message to the transport.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: Message,
    },
    /// Fill the message's empty list of batches with whole batches from the log, `from` inclusive to `end` exclusive, in
    /// order, as many as fit but at least one, and send it with their bytes. All of them are written.
    SendRecords {
        /// The receiver.
        to: NodeId,
        /// A `FetchAnswer` of `Fetched::Records` without batches.
        message: Message,
        /// Offset of the first batch.
        from: Offset,
        /// Where to stop at the latest, exclusive.
        end: Offset,
    },
    /// Start this timer, or start it anew.
    Arm(Timer),
    /// Stop this timer; it will not expire.
    Disarm(Timer),
    /// This replica leads. It may not decide anything yet (Q15).
    BecameLeader {
        /// The epoch that it leads.
        quorum_epoch: QuorumEpoch,
    },
    /// A record of this leader's own epoch is committed: reads, voter changes and decisions are served from here on, once
    /// the state machine has applied everything that is committed.
    LeadershipEstablished {
        /// The epoch that it leads.
        quorum_epoch: QuorumEpoch,
    },
    /// This replica leads no more. What it had appended and not committed may still commit or may vanish; reads that it had
    /// not answered are void.
    LostLeadership {
        /// The epoch that it led.
        quorum_epoch: QuorumEpoch,
    },
    /// The leader that this replica knows changed; for routing requests.
    LeaderChanged {
        /// The current epoch.
        quorum_epoch: QuorumEpoch,
        /// Its leader, if known.
        leader: Option<NodeId>,
    },
    /// The high watermark moved up.
    Committed(CommittedEnd),
    /// A proposal or a voter change is committed, in the epoch that it was made in.
    ProposalCommitted(Commitment),
    /// A linearizable read may be served.
    ReadReady(ReadPoint),
    /// Fetch this snapshot, publish it atomically, and report `Input::SnapshotInstalled`, or `Input::SnapshotFailed`.
    FetchSnapshot {
        /// The leader.
        from: NodeId,
        /// The snapshot.
        id: SnapshotId,
    },
    /// The snapshot being fetched is no longer wanted; nothing is to be reported about it.
    AbandonSnapshot {
        /// The snapshot.
        id: SnapshotId,
    },
}

/// Where the bytes of appended batches are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Origin {
    /// With the proposer.
    Proposal(ProposalId),
    /// Nowhere yet: the driver writes the control record that the batch's kind describes.
    Control,
    /// Beside the message that this step consumed, in the same order.
    Message,
}

/// Where a step puts its effects.
pub type Effects = Vec<Effect>;
