//! What a broker records of itself, so that others can see whether it followed its cores (design §3.6): the bodies of
//! the records of a trace.
//!
//! A *step* is recorded by whoever steps a core; an *act* where something really leaves the core's driver or comes back to
//! it: the write that is submitted, the sync that has ended, the frame that is handed over, the answer that is given. The
//! two are recorded apart, so that a driver that drops, adds or reorders cannot hide it. How records lie in files is said
//! in docs/TRACE.md; what acts a step owes is judged by the checker.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::id::{BrokerEpoch, IncarnationId, LeaderEpoch, NodeId, Offset, RequestId};
use crate::log::LogShape;
use crate::metadata::{self, BrokerRequest, CommandRefusal, Image, LifecycleTenure};
use crate::quorum::{self, ProposalId, Vote};
use crate::replication::{self, AlterPartition, AlterPartitionAnswer, BatchSummary};

/// Kinds of records, as they are written before each body.
pub mod kind {
    /// A [`Header`](super::Header), the first record of every file.
    pub const HEADER: u8 = 0;
    /// A [`Began`](super::Began).
    pub const BEGAN: u8 = 1;
    /// A [`Step`](super::Step).
    pub const STEP: u8 = 2;
    /// An [`Acted`](super::Acted).
    pub const ACT: u8 = 3;
    /// A [`Gap`](super::Gap).
    pub const GAP: u8 = 4;
    /// An [`Ended`](super::Ended).
    pub const ENDED: u8 = 5;
    /// The recording was closed in order; the body is empty.
    pub const CLOSED: u8 = 6;
}

/// The version of every body here.
pub const VERSION: u8 = 1;

/// Messages to one node that wait at most until their records are read: one more is not sent, as if it were lost. Whoever
/// asks again so often is not helped by more answers, and each holds memory. Of the quorum's, the newest alone waits.
pub const READS_MAX: usize = 8;

/// One life of one core within one run of a process: from its recovery to its end, numbered from 1 in the order of their
/// beginnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CoreNumber(pub u32);

impl core::fmt::Display for CoreNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whose recording it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The node.
    pub node: NodeId,
    /// This run of its process.
    pub incarnation: IncarnationId,
    /// When it started, in milliseconds since 1970, or right after the start of the last run of the node whose files lay
    /// there, if the clock was set back since: only to tell runs of one node apart and to sort them.
    pub started_ms: u64,
    /// Version of the program.
    pub build: String,
    /// What was planted in it on purpose, if anything.
    pub planted: Option<String>,
    /// Number of this file within the run, from 0.
    pub file: u32,
}

/// A core begins its life, or is shown as it is because records before may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Began {
    /// Its number.
    pub core: CoreNumber,
    /// What it is and what it begins from.
    pub life: Life,
}

/// What a core is and what it begins from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each life of a core, and it is encoded at once"
)]
pub enum Life {
    /// A replica of a partition.
    Replica {
        /// What does not change.
        tenure: replication::Tenure,
        /// What it begins from.
        from: Beginning<ReplicaRecovered>,
    },
    /// A member of the metadata quorum.
    Quorum {
        /// What does not change.
        tenure: quorum::Tenure,
        /// What it begins from.
        from: Beginning<quorum::Recovered>,
    },
    /// The controller of a node that may lead the quorum.
    Controller {
        /// What does not change.
        tenure: metadata::Tenure,
        /// What it begins from: the snapshot's image, or an empty one.
        from: Beginning<Image>,
    },
    /// A broker's standing in the cluster.
    Lifecycle {
        /// What does not change.
        tenure: LifecycleTenure,
        /// What it begins from, which is nothing.
        from: Beginning<()>,
    },
}

/// What a core begins from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Beginning<R> {
    /// What was found on disk, and a digest of the effects of its recovery.
    Recovered(R, Effects),
    /// In the midst of its life.
    Shown(Shown),
}

/// What was given to [`replication::Replica::recover`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaRecovered {
    /// The log.
    pub log: LogShape<LeaderEpoch>,
    /// The high watermark that was kept.
    pub high_watermark: Offset,
    /// The log's batches.
    pub batches: Vec<BatchSummary>,
}

/// A core in the midst of its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The core, encoded.
    pub state: Vec<u8>,
    /// What has been submitted for it and has not come back.
    pub under_way: UnderWay,
}

/// How many acts of each kind have been submitted and have not come back, and what else the edge keeps for a core.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Writes.
    pub writes: u32,
    /// Syncs.
    pub syncs: u32,
    /// Votes.
    pub stores: u32,
    /// Messages that wait for records to be read.
    pub sends: u32,
    /// How many writes wait for room; `None` if nothing does, not even a vote.
    pub stalled: Option<u32>,
    /// The timers that run: the postcard bytes of their list.
    pub armed: Vec<u8>,
}

/// A core took an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<I> {
    /// Which core.
    pub core: CoreNumber,
    /// What came of it.
    pub outcome: Outcome,
    /// The input, whole.
    pub input: I,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The core refused it.
    Refused,
    /// The core took it.
    Took(Effects),
}

/// The effects of a step: how many, and the digest of them, encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// How many.
    pub count: u32,
    /// The low 32 bits of the XXH3 of the postcard bytes of their list; 0 if there are none.
    pub digest: u32,
}

/// An act at the edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted<T> {
    /// The core on whose behalf.
    pub core: CoreNumber,
    /// What was done.
    pub act: Act<T>,
}

/// Batches beside a message or in a write, or the records of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Carried {
    /// How many.
    pub count: u32,
    /// The low 32 bits of the XXH3 of the postcard bytes of the list of their summaries, or of the records; 0 if there
    /// are none.
    pub digest: u32,
}

/// How something ended that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It is done up to here, exclusive.
    Done(Offset),
    /// There was no room for it.
    NoRoom,
    /// Storage failed.
    Failed,
}

/// What somebody who asked was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// Where the batch lies that was acknowledged.
    Acknowledged(Offset),
    /// The end of the log, and the leader epoch that vouches for it.
    End(Offset, LeaderEpoch),
    /// A point up to which a linearizable reader must have applied.
    ReadPoint(Offset),
    /// It is done.
    Done,
    /// No.
    Refused,
    /// Nothing: nobody waits any more.
    Nobody,
}

/// What a broker is told of its own standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stands {
    /// It is registered under this epoch, which its requests carry from here on.
    Registered(BrokerEpoch),
    /// It is fenced, or is so no longer.
    Fenced(bool),
    /// It may stop, and mark its directories clean under this registration.
    MayStop(Option<BrokerEpoch>),
}

/// Something that was really done for a core, or came back to it. `T` names its timers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act<T> {
    /// A write was submitted.
    Write {
        /// Offset of its first record, from the bytes.
        from: Offset,
        /// Offset after its last record, from the bytes.
        end: Offset,
        /// What it holds, from the bytes.
        carried: Carried,
    },
    /// The oldest write that was under way has ended.
    WriteEnded(How),
    /// A sync was submitted, of a log that ends there.
    Sync(Offset),
    /// The oldest sync that was under way has ended.
    SyncEnded(How),
    /// The log was cut; where it ends now.
    Cut(How),
    /// The log was thrown away and begun again; where it begins now.
    Restart(How),
    /// The log begins there from now on.
    Trim(Offset),
    /// The storing of a vote was submitted.
    Store(Vote),
    /// The oldest vote that was under way is stored, or not.
    StoreEnded(How),
    /// What should have been written or stored waits for room, and is submitted again later.
    Stalled,
    /// A frame is given to the transport.
    Sent {
        /// To whom.
        to: NodeId,
        /// Its body.
        body: Vec<u8>,
        /// The batches beside it, from the bytes.
        carried: Carried,
        /// Whether there is a link that may take it; otherwise it is lost.
        has_link: bool,
    },
    /// The oldest message to this node that waited for its records will not be sent.
    NotSent {
        /// To whom.
        to: NodeId,
    },
    /// A message was put aside until its records are read.
    Reading {
        /// To whom.
        to: NodeId,
        /// From where on, inclusive.
        from: Offset,
        /// Where to stop, exclusive.
        end: Offset,
    },
    /// A timer was started.
    Armed(T),
    /// A timer was stopped.
    Disarmed(T),
    /// A timer ran out, or was let run out.
    Expired(T),
    /// Somebody who asked was answered.
    Replied {
        /// The request, by the name that the core knows it by.
        request: u64,
        /// What was said.
        told: Told,
    },
    /// Consumers that waited were woken.
    Woke,
    /// A consumer was told up to where it may read, and by which leader epoch; `None` if it was refused.
    Shown(Option<(Offset, LeaderEpoch)>),
    /// A proposal was handed to the controller.
    Proposed(AlterPartition),
    /// The controller's answer came.
    ProposalAnswered(AlterPartitionAnswer),
    /// A snapshot is being fetched.
    FetchingSnapshot(quorum::SnapshotId),
    /// The driver does nothing more for this core but to refuse who waits.
    Offline,
    /// A decision was handed to the quorum, to be placed in the metadata log.
    Decided {
        /// The name by which the quorum knows it; `None` if it was not handed over: nobody was in office any more.
        proposal: Option<ProposalId>,
        /// Its records, from the bytes.
        carried: Carried,
    },
    /// Somebody who asked the controller for a decision was told this.
    Answered {
        /// The request, by the name that the core knows it by.
        request: RequestId,
        /// What was said.
        answer: Result<metadata::Outcome, CommandRefusal>,
    },
    /// The active controller, whoever that is, is asked.
    Asked {
        /// The request, by the name that the core knows it by.
        request: RequestId,
        /// What is asked.
        body: BrokerRequest,
    },
    /// What came of asking the active controller; nothing, if there was no answer.
    Heard {
        /// The request.
        request: RequestId,
        /// The answer.
        answer: Option<Result<metadata::Outcome, CommandRefusal>>,
    },
    /// The start-up records of the log directories name this registration (R60).
    Noted(BrokerEpoch),
    /// The rest of the broker was told how it stands.
    Stands(Stands),
    /// A message will not be sent, nor its records read: [`READS_MAX`] to this node wait already.
    Unread {
        /// To whom.
        to: NodeId,
        /// From where on, inclusive.
        from: Offset,
        /// Where to stop, exclusive.
        end: Offset,
    },
}

/// Records are missing here: of every core, whatever it did since the record before is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many records.
    pub records: u64,
}

/// A core's life ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Which core.
    pub core: CoreNumber,
}
