//! The active controller: turns commands into decisions, and decisions into atomic batches of records.
//!
//! It runs on every node that may lead the metadata quorum. There it follows the committed log ([`Input::Committed`]);
//! once elected it decides from committed state and its own appended decisions, and answers a command when everything
//! that the answer rests on is committed under the epoch in which it was decided (Q57, X5). Deposed, it forgets what was
//! not committed. Election and replication of the log are left to [`crate::quorum`].
//!
//! The driver owes it: after [`Effect::Append`] the next input is [`Input::Appended`] or [`Input::NotAppended`] of that
//! batch; every batch of the metadata log comes once as [`Input::Committed`], in order, control batches as empty ones.

use alloc::vec::Vec;

use serde::Serialize;
use smallvec::SmallVec;

use super::{Command, CommandRefusal, Image, Outcome, Record};
use crate::fault::Faults;
use crate::id::{NodeId, Offset, QuorumEpoch, RequestId};

/// What is fixed for a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Timer {
    /// A broker has not been heard from for a session (Q53, `broker.session.timeout.ms`).
    Session(NodeId),
    /// It is time to look for partitions that their preferred leader does not lead (R52).
    LeaderRebalance,
}

/// A fact for the controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Debug, PartialEq, Eq)]
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

/// The answer to a command. Only the controller can make one, once everything that it rests on is committed.
///
/// ```compile_fail
/// use highwater_model::metadata::{Outcome, Reply};
/// use highwater_model::id::RequestId;
/// let early = Reply { request: RequestId(1), answer: Ok(Outcome::Done) };
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    request: RequestId,
    answer: Result<Outcome, CommandRefusal>,
}

impl Reply {
    /// Which command it answers.
    #[must_use]
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// What came of it.
    #[must_use]
    pub fn answer(&self) -> &Result<Outcome, CommandRefusal> {
        &self.answer
    }

    /// What came of it, by value.
    #[expect(clippy::missing_errors_doc, reason = "the error is the answer")]
    pub fn into_answer(self) -> Result<Outcome, CommandRefusal> {
        self.answer
    }
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

/// A decision that is not committed yet, or an answer that waits for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Pending {
    /// The answer is due when this much is committed, exclusive.
    end: Offset,
    request: RequestId,
    answer: Result<Outcome, CommandRefusal>,
}

/// A batch whose place in the log is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Unplaced {
    records: Vec<Record>,
    /// Whom to answer, and with what, once it is committed.
    reply: Option<(RequestId, Outcome)>,
}

/// What the controller knows of a broker that it has heard from in this tenure of office (Q53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Session {
    node: NodeId,
    /// End of the metadata that it has applied, exclusive; noted only while some broker is shutting down (Q56).
    reached: Offset,
}

/// What an active controller has beyond the committed log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
struct Office {
    quorum_epoch: QuorumEpoch,
    /// The image with its own appended decisions, while some are not committed.
    speculative: Option<Image>,
    unplaced: SmallVec<[Unplaced; 1]>,
    /// In the order in which they fall due.
    pending: SmallVec<[Pending; 2]>,
    /// Brokers heard from, by node.
    sessions: SmallVec<[Session; 4]>,
}

/// The controller core.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Controller<F> {
    #[serde(skip)]
    faults: F,
    committed: Image,
    office: Option<Office>,
}

impl<F: Faults> Controller<F> {
    /// A controller that has the committed log as far as `image` goes, and is not active.
    #[must_use]
    pub fn new(faults: F, image: Image) -> Self {
        Self { faults, committed: image, office: None }
    }

    /// The image of the committed log.
    #[must_use]
    pub fn committed(&self) -> &Image {
        &self.committed
    }

    /// The image that it decides from: the committed one and its own decisions (Q57).
    #[must_use]
    pub fn image(&self) -> &Image {
        self.office.as_ref().and_then(|office| office.speculative.as_ref()).unwrap_or(&self.committed)
    }

    /// The quorum epoch in which it is active.
    #[must_use]
    pub fn active_in(&self) -> Option<QuorumEpoch> {
        self.office.as_ref().map(|office| office.quorum_epoch)
    }

    /// Takes one input to completion.
    ///
    /// # Errors
    /// [`Refusal`] when the input does not belong here; the state is as it was.
    pub fn step(&mut self, tenure: &Tenure, input: Input, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        let _ = (tenure, input, effects);
        Err(Refusal::NotActive)
    }
}
