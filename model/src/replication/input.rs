//! What may happen to a replica.

use serde::{Deserialize, Serialize};

use super::effect::Timer;
use super::{AlterPartitionAnswer, BatchSummary, Batches, Message, PartitionView, ReplicaIdx};
use crate::api::Acks;
use crate::id::{LogGeneration, Offset, ProducerId, RequestId};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The broker applied more of the metadata log. Refused, and harmless, when it is older than the last one or was
    /// taken before this incarnation's registration.
    View(PartitionView),
    /// A client wants a batch appended. A refusal of this step is the answer; otherwise the answer is an
    /// [`Effect::Acknowledge`](super::Effect::Acknowledge) or [`Effect::Refuse`](super::Effect::Refuse) with this
    /// request id, at once or later, or none with [`Acks::None`].
    Produce {
        /// When to answer.
        acks: Acks,
        /// The driver's name for the request, unique among all open produces and end reads of this replica.
        request_id: RequestId,
        /// The batch; its base offset and leader epoch are assigned here.
        batch: BatchSummary,
    },
    /// The client's own time limit for a produce or an end read has passed. It is answered, if it is still open; the
    /// records of a produce may still be committed (R3).
    RequestExpired {
        /// The request.
        request_id: RequestId,
    },
    /// A message of another replica has come.
    Message {
        /// Who sent it, by its authenticated identity.
        from: ReplicaIdx,
        /// The message.
        message: Message,
        /// For an answer with records: summaries of the batches attached to it, in order. Otherwise empty.
        batches: Batches,
    },
    /// A write ended: everything below `end` is with the kernel. Comes once per append effect, in their order.
    Written {
        /// End of what is written, exclusive.
        end: Offset,
        /// The generation that the append effect named.
        generation: LogGeneration,
    },
    /// A write found no room (design §5). Comes in the place of its [`Input::Written`]: nothing of it is in the log, nor of
    /// any write submitted after it in its generation; those need not be reported. What was written before stands.
    WriteFailed {
        /// Where the log ends now, exclusive.
        end: Offset,
        /// The generation that the append effect named.
        generation: LogGeneration,
    },
    /// A sync ended: everything below `end` is on stable storage. Comes once per
    /// [`Effect::Sync`](super::Effect::Sync); also legal unasked.
    Flushed {
        /// End of what the sync covers, exclusive.
        end: Offset,
        /// The generation that the sync effect named.
        generation: LogGeneration,
    },
    /// The controller answered a proposal. An unknown outcome is not an answer (R45): leave it to the timer.
    AlterPartitionAnswered(AlterPartitionAnswer),
    /// An armed timer ran out.
    Expired(Timer),
    /// A client wants the end of the log, linearizably (design §5). Answered as a produce is.
    EndRead {
        /// The driver's name for the request, as in a produce.
        request_id: RequestId,
    },
    /// Retention or an operator wants the log to begin at `to` (R80). The log start becomes the smaller of this, the high
    /// watermark and the flushed end.
    RaiseLogStart {
        /// The wanted log start, inclusive.
        to: Offset,
    },
    /// A producer has been inactive for longer than it is remembered (R72).
    ForgetProducer {
        /// The producer.
        producer_id: ProducerId,
    },
}
