//! The driver of the metadata quorum and of the controller upon it.
//!
//! One task owns both cores: the [`Quorum`] core replicates the metadata log, the [`Controller`] core folds what is
//! committed into the image and, where the quorum is led, decides. They are stepped by turns: a decision is placed in the
//! log before the controller is given anything else. The driver moves bytes, timers and messages; what is committed,
//! who leads and what may be told is the cores' to say.

mod calls;
mod decisions;
mod effects;
mod image_monitoring;
mod monitoring;
mod open;
mod recording;
mod records;
mod room;
mod slips;
mod snapshots;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_model::fault::Faults;
use highwater_model::id::{LogGeneration, NodeId, Offset, RequestId};
use highwater_model::invariant::metadata::Subject;
use highwater_model::metadata::{self, Controller, Image};
use highwater_model::quorum::{self, Input, Message, ProposalId, Quorum, ReadId, Vote};
use highwater_transport::batch::{self, Batch};
use highwater_transport::env::{Env, Instant};
use highwater_transport::watch;
use tokio::sync::{mpsc, oneshot};

use crate::disk::{Disk, Fault};
use crate::driver::issued::Issued;
use crate::driver::reads::Reads;
use crate::driver::timers::Deferral;
use crate::log::{Flushed, OffsetCheckpoint, Written};
use crate::peers::Peers;
use crate::peers::wire::{ControllerAnswer, ControllerCall};
use crate::server::Timing;
use crate::trace::CoreTrace;
use crate::trace::edge::{EdgeLog, EdgeTimers, Watched};

pub(crate) use open::{LOG_DIRECTORY, OpenError, QuorumParts};
pub(crate) use records::RecordsError;

/// How long after a sync the recovery point is written at the latest.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Something for the quorum's task.
#[derive(Debug)]
pub(crate) enum Ask {
    /// A message of another node's replica.
    Message {
        /// The node that the connection belongs to.
        from: NodeId,
        /// What it says.
        message: Message,
        /// The bytes beside it.
        payload: Vec<Bytes>,
    },
    /// Somebody wants a decision, or to know something, from the node that leads.
    Call {
        /// What is wanted.
        call: ControllerCall,
        /// Where the answer goes; dropped without one when the task ends.
        reply: oneshot::Sender<ControllerAnswer>,
    },
    /// A snapshot was fetched for the core, or why it was not.
    SnapshotFetched {
        /// The snapshot.
        id: quorum::SnapshotId,
        /// Its bytes, and what they hold.
        fetched: Result<(Bytes, Box<snapshots::Content>), String>,
    },
    /// A snapshot was encoded that is taken here.
    SnapshotEncoded {
        /// The snapshot.
        id: quorum::SnapshotId,
        /// Its bytes.
        encoded: Result<Bytes, RecordsError>,
    },
    /// Leadership is to be given up: the node is about to stop.
    Resign,
    /// The task is to end; told once the log is closed in order.
    Close(oneshot::Sender<()>),
}

/// What the quorum's task tells everybody.
#[derive(Clone, Debug)]
pub(crate) struct QuorumFeeds {
    /// For the task.
    pub(crate) asks: mpsc::Sender<Ask>,
    /// The newest committed image.
    pub(crate) images: watch::Receiver<Arc<Image>>,
    /// The leader of the quorum, which is the active controller, if known.
    pub(crate) leader: watch::Receiver<Option<NodeId>>,
    /// The voters of the newest set.
    pub(crate) voters: watch::Receiver<Vec<NodeId>>,
}

/// Why the task ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuorumStopped {
    /// Storage does not do what it must.
    #[error("metadata log: {0}")]
    Storage(#[from] Fault),
    /// Records that cannot be read or written.
    #[error(transparent)]
    Records(#[from] RecordsError),
}

/// Batches of the log's end, with their bytes.
type Tail = VecDeque<Batch>;

/// The task's state.
pub(crate) struct QuorumDriver<F: Faults> {
    env: Env,
    timing: Timing,
    tenure: quorum::Tenure,
    faults: F,
    core: Quorum<F>,
    trace: CoreTrace,
    monitor: monitoring::QuorumMonitor,
    image_monitor: image_monitoring::ImageMonitor,
    controller_tenure: metadata::Tenure,
    controller: Controller<F>,
    controller_trace: CoreTrace,
    disk: Arc<dyn Disk>,
    recovery_points: Arc<OffsetCheckpoint>,
    /// When the recovery point is to be written, if it has moved.
    checkpoint_at: Option<Instant>,
    log: EdgeLog,
    peers: Peers,
    inbox: mpsc::Receiver<Ask>,
    /// For what this task starts aside.
    own: mpsc::WeakSender<Ask>,
    images: watch::Sender<Arc<Image>>,
    leader: watch::Sender<Option<NodeId>>,
    voters: watch::Sender<Vec<NodeId>>,
    timers: EdgeTimers<quorum::Timer>,
    controller_timers: EdgeTimers<metadata::Timer>,
    writes: Issued<Watched<Written>, LogGeneration>,
    syncs: Issued<Watched<Flushed>, LogGeneration>,
    votes: Issued<Watched<()>, Vote>,
    /// Messages that wait for their records.
    sends: Reads<Message>,
    /// What finds no room.
    stalled: room::Stalled,
    deferral: Deferral,
    /// Appended and not yet applied.
    unapplied: Tail,
    /// Bytes of proposals between their making and their append, which is the same turn.
    proposed: BTreeMap<ProposalId, Bytes>,
    /// What came with the message of this turn.
    attached: Vec<Batch>,
    /// For the controller, in order; placements go first.
    placements: VecDeque<metadata::Input>,
    decisions: VecDeque<metadata::Input>,
    snapshots: snapshots::Keeping,
    waiting: Waiting,
    next_id: u64,
    /// Counts the chances of a planted slip.
    chances: u32,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Waiting {
    commands: BTreeMap<RequestId, (Subject, oneshot::Sender<ControllerAnswer>)>,
    reads: BTreeMap<ReadId, oneshot::Sender<ControllerAnswer>>,
    changes: BTreeMap<ProposalId, oneshot::Sender<ControllerAnswer>>,
}

/// What woke the task.
enum Turn {
    /// It is time to try again what found no room.
    Room,
    Quorum(Input),
    Controller(metadata::Input),
    /// The records of a message were read, or not.
    Read(Result<Bytes, Fault>, (u64, NodeId, Message)),
    /// A snapshot was published, or could not be.
    Published(snapshots::Kept, Result<(), Fault>),
    Asked(Ask),
    Ended,
}

impl<F: Faults> QuorumDriver<F> {
    /// Runs until the inbox is closed.
    ///
    /// # Errors
    /// When storage or the log's own records fail: the node cannot go on.
    pub(crate) async fn run(mut self, begun: Vec<quorum::Effect>) -> Result<(), QuorumStopped> {
        self.issue_all(begun)?;
        self.settle()?;
        loop {
            match self.turn().await? {
                Turn::Room => self.try_room()?,
                Turn::Quorum(input) => self.step(input)?,
                Turn::Controller(input) => self.decisions.push_back(input),
                Turn::Read(read, message) => {
                    self.send_read(read, message);
                    continue;
                }
                Turn::Published(kept, published) => self.on_published(kept, published)?,
                Turn::Asked(Ask::Close(closed)) => {
                    self.forget_sends();
                    self.controller_trace.ended();
                    self.trace.ended();
                    self.log.close().await?;
                    let _ = closed.send(());
                    return Ok(());
                }
                Turn::Asked(ask) => self.on_ask(ask)?,
                Turn::Ended => return Ok(()),
            }
            self.settle()?;
            self.judge_state();
        }
    }

    /// Waits for the next thing to happen. Completions come before messages, so that what is done is not waited for.
    async fn turn(&mut self) -> Result<Turn, QuorumStopped> {
        let now = self.env.now();
        if self.checkpoint_at.is_some_and(|at| at <= now) {
            self.checkpoint_at = None;
            // Issued, not awaited: the next one is written in its place.
            drop(self.recovery_points.store());
        }
        if self.stalled.is_due(now) {
            return Ok(Turn::Room);
        }
        let deadline = [self.timers.next(), self.controller_timers.next()].into_iter().flatten().min();
        if self.deferral.is_due(deadline.is_some_and(|deadline| deadline <= now), self.inbox.is_empty()) {
            return Ok(self.expire(now));
        }
        let wake_at = [deadline, self.checkpoint_at, self.stalled.retry_at()].into_iter().flatten().min();
        let asleep = self.env.sleep_until(wake_at.unwrap_or(now + Duration::from_secs(3_600)));
        tokio::select! {
            biased;
            (stored, vote) = self.votes.next() => match stored {
                Err(fault) if fault.is_full() => {
                    self.stalled.keep_vote(&fault, now);
                    return Box::pin(self.turn()).await;
                }
                stored => stored.map(|()| Turn::Quorum(Input::VoteStored(vote))),
            },
            (written, generation) = self.writes.next() => {
                written.map(|written| Turn::Quorum(Input::Written { end: written.end, generation }))
            }
            (flushed, generation) = self.syncs.next() => {
                flushed.map(|flushed| Turn::Quorum(Input::Flushed { end: flushed.end, generation }))
            }
            (read, message) = self.sends.next() => return Ok(Turn::Read(read, message)),
            (published, kept) = self.snapshots.published() => return Ok(Turn::Published(kept, published)),
            ask = self.inbox.recv() => return Ok(ask.map_or(Turn::Ended, Turn::Asked)),
            () = asleep => return Box::pin(self.turn()).await,
        }
        .map_err(QuorumStopped::from)
    }

    fn expire(&mut self, now: Instant) -> Turn {
        if let Some(timer) = self.timers.expired(now) {
            return Turn::Quorum(Input::Expired(timer));
        }
        let timer = self.controller_timers.expired(now).expect("a timer that is due is one of these");
        Turn::Controller(metadata::Input::Expired { timer, at_ms: self.env.wall_ms() })
    }

    fn on_ask(&mut self, ask: Ask) -> Result<(), QuorumStopped> {
        match ask {
            Ask::Message { from, message, payload } => self.on_message(from, message, payload),
            Ask::Call { call, reply } => self.on_call(call, reply),
            Ask::SnapshotFetched { id, fetched } => self.on_snapshot_fetched(id, fetched),
            Ask::SnapshotEncoded { id, encoded } => self.on_snapshot_encoded(id, encoded),
            Ask::Resign => self.step(Input::Resign),
            Ask::Close(_) => unreachable!("the loop ends at a close"),
        }
    }

    /// A message is taken only from the node that it names, and its bytes must be what it says they are.
    fn on_message(
        &mut self,
        from: NodeId,
        message: Message,
        payload: Vec<Bytes>,
    ) -> Result<(), QuorumStopped> {
        if message.from.id != from {
            tracing::warn!(%from, claimed = %message.from.id, "dropped a quorum message in another node's name");
            return Ok(());
        }
        match attached(&message, &payload) {
            Ok(batches) => self.attached = batches,
            Err(what) => {
                tracing::warn!(%from, what, "dropped a quorum message with other bytes than it speaks of");
                return Ok(());
            }
        }
        self.step(Input::Received(message))?;
        self.attached.clear();
        Ok(())
    }

    /// One step of the quorum's core, and its effects in order. A refusal changes nothing and needs nothing done.
    fn step(&mut self, input: Input) -> Result<(), QuorumStopped> {
        let mut effects = Vec::new();
        if let Input::Flushed { end, generation } = &input {
            self.note_flushed(*end, *generation);
        }
        if let Err(refusal) = self.take(input, &mut effects) {
            tracing::debug!(?refusal, "the quorum refused an input");
            return Ok(());
        }
        self.issue_all(effects)
    }

    /// Moves the recovery point, unless the sync was of before a cut.
    fn note_flushed(&mut self, end: Offset, generation: LogGeneration) {
        if generation == self.core.log().generation() {
            self.log.note_flushed(end);
            self.checkpoint_at.get_or_insert_with(|| self.env.now() + CHECKPOINT_INTERVAL);
        }
    }

    fn issue_all(&mut self, effects: Vec<quorum::Effect>) -> Result<(), QuorumStopped> {
        for effect in effects {
            self.issue(effect)?;
        }
        Ok(())
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The leader's records, as far as is committed, in order.
    fn committed_tail(&mut self, up_to: Offset) -> Vec<Batch> {
        let due = self.unapplied.iter().take_while(|batch| batch.header().end_offset() <= up_to).count();
        self.unapplied.drain(..due).collect()
    }
}

/// The batches beside a message, if they are the ones that it speaks of.
fn attached(message: &Message, payload: &[Bytes]) -> Result<Vec<Batch>, &'static str> {
    let spoken = match &message.body {
        quorum::Body::FetchAnswer(answer) => match &answer.fetched {
            quorum::Fetched::Records { batches, .. } => batches.as_slice(),
            quorum::Fetched::Diverging(_)
            | quorum::Fetched::Snapshot(_)
            | quorum::Fetched::Refused { .. } => &[],
        },
        quorum::Body::Vote(_)
        | quorum::Body::VoteAnswer(_)
        | quorum::Body::Fetch(_)
        | quorum::Body::BeginQuorum
        | quorum::Body::EndQuorum { .. } => &[],
    };
    let mut found = Vec::new();
    for bytes in payload {
        found.extend(batch::split(bytes.clone()).map_err(|_| "the bytes are no batches")?);
    }
    if found.iter().any(|batch| batch.check_crc().is_err()) {
        return Err("a checksum is wrong");
    }
    let summaries: Result<Vec<_>, _> = found.iter().map(records::summary).collect();
    match summaries {
        Ok(summaries) if summaries == spoken => Ok(found),
        _ => Err("the batches are others than announced"),
    }
}
