//! The driver of one replica of one partition.
//!
//! A task owns the [`Replica`] core and the partition's log. Producers, readers and other replicas come through its
//! inbox; the effects of each step are issued in order; writes, syncs and reads are submitted, many may be under way,
//! and their ends come back as inputs. Bytes pass through by reference: nothing is decoded, copied or encoded again.

mod clients;
mod effects;
mod explain;
mod monitoring;
mod portions;
mod recording;
mod slips;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::{Acks, ApiError, OffsetSpec, ReplicaDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{DirectoryId, LeaderEpoch, LogGeneration, NodeId, Offset, RequestId};
use highwater_model::metadata::Image;
use highwater_model::replication::{
    AlterPartitionAnswer, Batches, Effect, Input, Message, Recovered, Refusal, Replica, ReplicaIdx, Tenure,
    Timer,
};
use highwater_model::trace::Act;
use highwater_transport::batch::{self, Batch};
use highwater_transport::env::{Env, Instant};
use tokio::sync::{Notify, mpsc, oneshot};

pub(crate) use explain::missing_replica;
pub(crate) use summary::of as summary_of;

use self::monitoring::ReplicaMonitor;
use self::portions::Portions;
use crate::controller_client::ControllerClient;
use crate::disk::Fault;
use crate::driver::issued::Issued;
use crate::driver::reads::{Reading, Reads};
use crate::driver::timers::{Deferral, Timers};
use crate::log::{self, Flushed, PartitionLog, Written};
use crate::monitor::{Monitors, Place};
use crate::peers::Peers;
use crate::peers::wire::ReplicaMessage;
use crate::server::{Limits, Timing};
use crate::trace::edge::{EdgeLog, EdgeTimers, Reply, Watched};
use crate::trace::{CoreTrace, Recorder};

/// What a client is told, or why not.
pub(crate) type Told<T> = Result<T, ApiError>;

/// Something for the task of a replica.
pub(crate) enum Command {
    /// The broker applied more of the metadata log.
    Image(Arc<Image>),
    /// A client wants a batch appended, which has been validated.
    Produce(Produce),
    /// A client wants to read.
    Read(Read),
    /// A client wants to know where the log begins or ends.
    ListOffset {
        /// Which end.
        spec: OffsetSpec,
        /// When to give up.
        deadline: Instant,
        /// Where the answer goes.
        reply: oneshot::Sender<Told<(Offset, LeaderEpoch)>>,
    },
    /// Another replica says something.
    Message {
        /// The node that the connection belongs to.
        from: NodeId,
        /// What it says.
        message: Message,
        /// The bytes beside it.
        payload: Vec<Bytes>,
    },
    /// The controller answered a proposal.
    ProposalAnswered(AlterPartitionAnswer),
    /// A link to another node was made or lost.
    LinkChanged,
    /// Somebody wants to look at it.
    Describe(oneshot::Sender<Vec<ReplicaDetail>>),
    /// The task is to end, and to give the log back.
    Stop(oneshot::Sender<PartitionLog>),
}

/// A client's batch.
pub(crate) struct Produce {
    /// When to answer.
    pub(crate) acks: Acks,
    /// The batch.
    pub(crate) batch: Batch,
    /// When to give up.
    pub(crate) deadline: Instant,
    /// Where the answer goes; with [`Acks::None`] only a refusal of the batch itself is told.
    pub(crate) reply: oneshot::Sender<Told<Offset>>,
}

/// A client's fetch of one partition.
pub(crate) struct Read {
    /// First offset wanted, inclusive.
    pub(crate) from: Offset,
    /// About how many bytes.
    pub(crate) bytes_max: usize,
    /// The leader epoch that the reader believes in.
    pub(crate) leader_epoch: Option<LeaderEpoch>,
    /// Woken when more can be read, or when this replica can no longer say.
    pub(crate) wake: Arc<Notify>,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Told<Grant>>,
}

/// What a reader may have.
pub(crate) struct Grant {
    /// End of what may be read, exclusive.
    pub(crate) high_watermark: Offset,
    /// First offset of the log, inclusive.
    pub(crate) log_start: Offset,
    /// The bytes.
    pub(crate) reading: Reading,
}

/// What a replica's driver is made of.
pub(crate) struct ReplicaParts<F> {
    pub(crate) env: Env,
    pub(crate) faults: F,
    pub(crate) tenure: Tenure,
    pub(crate) directory: DirectoryId,
    pub(crate) log: PartitionLog,
    pub(crate) recovered: log::Recovered,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) peers: Peers,
    pub(crate) controller: ControllerClient,
    /// Told of a directory that failed.
    pub(crate) failures: mpsc::Sender<DirectoryId>,
    /// Told when the replica goes offline though its directory is sound.
    pub(crate) retired: Retired,
    pub(crate) recorder: Recorder,
    pub(crate) monitors: Monitors,
}

/// In which leader epoch a replica went offline though its directory is sound, if it did. In a later one it may be
/// started anew from its log: what it had said belongs to that leader epoch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retired(Arc<OnceLock<LeaderEpoch>>);

impl Retired {
    /// When that was.
    pub(crate) fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.0.get().copied()
    }

    /// It went offline in this leader epoch.
    pub(crate) fn set(&self, leader_epoch: LeaderEpoch) {
        let _ = self.0.set(leader_epoch);
    }
}

/// The task's state.
pub(crate) struct ReplicaDriver<F: Faults> {
    parts: Held<F>,
    core: Replica<F>,
    trace: CoreTrace,
    monitor: ReplicaMonitor,
    log: EdgeLog,
    inbox: mpsc::Receiver<Command>,
    /// For what this task starts aside.
    own: mpsc::WeakSender<Command>,
    image: Option<Arc<Image>>,
    timers: EdgeTimers<Timer>,
    deadlines: Timers<RequestId, Instant>,
    deferral: Deferral,
    writes: Issued<Watched<Written>, LogGeneration>,
    syncs: Issued<Watched<Flushed>, LogGeneration>,
    /// Records to be sent, and how often the log had been cut when they were asked for.
    sends: Reads<ReplicaMessage>,
    /// Whether the last write found no room.
    lacks_room: bool,
    portions: Portions,
    open: BTreeMap<RequestId, Open>,
    /// The batch of the produce of this turn.
    produced: Option<(RequestId, Batch)>,
    /// What came with the message of this turn.
    attached: Vec<Batch>,
    /// Fetches that have overtaken this broker's metadata, the last of each sender.
    early: BTreeMap<ReplicaIdx, Message>,
    /// Readers that wait for more.
    readers: Vec<Arc<Notify>>,
    last_request: u64,
    /// Counts the chances of a planted slip.
    chances: u32,
    /// Why this replica does nothing any more, if storage failed it.
    failed: Option<String>,
}

/// What a driver has and does not change.
struct Held<F> {
    env: Env,
    faults: F,
    tenure: Tenure,
    directory: DirectoryId,
    timing: Timing,
    limits: Limits,
    peers: Peers,
    controller: ControllerClient,
    failures: mpsc::Sender<DirectoryId>,
    retired: Retired,
}

/// A client that waits.
enum Open {
    Produce(Reply<Offset, ApiError>, Acks),
    EndRead(Reply<(Offset, LeaderEpoch), ApiError>),
}

/// What woke the task.
enum Turn {
    Step(Input),
    Command(Command),
    Send(Bytes, NodeId, ReplicaMessage),
    Expired(RequestId),
    Failed(Fault),
    Nothing,
    Ended,
}

impl<F: Faults> ReplicaDriver<F> {
    /// A replica as it was found on disk. It does nothing before the first image.
    pub(crate) fn new(
        parts: ReplicaParts<F>,
        own: &mpsc::Sender<Command>,
        inbox: mpsc::Receiver<Command>,
    ) -> Self {
        let batches: Vec<_> = parts.recovered.batches.iter().map(summary::of).collect();
        let recovered = Recovered {
            log: parts.recovered.shape(LeaderEpoch),
            high_watermark: parts.recovered.start,
            batches: &batches,
        };
        let mut trace = parts.recorder.core();
        recording::begin(&mut trace, &parts.tenure, &recovered);
        let core = Replica::recover(&parts.tenure, parts.faults, recovered);
        let place = Place::Partition(parts.tenure.partition);
        let monitor =
            ReplicaMonitor::new(parts.monitors.core(&parts.env, place), &parts.recovered, core.generation());
        Self {
            core,
            monitor,
            log: EdgeLog::new(parts.log, &trace),
            inbox,
            own: own.downgrade(),
            image: None,
            timers: EdgeTimers::<Timer>::new(&trace),
            trace,
            deadlines: Timers::new(),
            deferral: Deferral::default(),
            writes: Issued::new(),
            syncs: Issued::new(),
            sends: Reads::new(),
            lacks_room: false,
            portions: Portions::new(parts.limits.replica_fetch_bytes_max),
            open: BTreeMap::new(),
            produced: None,
            attached: Vec::new(),
            early: BTreeMap::new(),
            readers: Vec::new(),
            last_request: 0,
            chances: 0,
            failed: None,
            parts: Held {
                env: parts.env,
                faults: parts.faults,
                tenure: parts.tenure,
                directory: parts.directory,
                timing: parts.timing,
                limits: parts.limits,
                peers: parts.peers,
                controller: parts.controller,
                failures: parts.failures,
                retired: parts.retired,
            },
        }
    }

    /// Runs until it is told to stop, or nobody can tell it anything any more.
    pub(crate) async fn run(mut self) {
        loop {
            match self.turn().await {
                Turn::Step(input) => self.step_or_trace(input),
                Turn::Send(bytes, to, message) => self.send_records(bytes, to, &message),
                Turn::Expired(request_id) => self.step_or_trace(Input::RequestExpired { request_id }),
                Turn::Failed(fault) => self.fail(&fault),
                Turn::Command(Command::Stop(reply)) => {
                    self.let_go("the replica is being stopped");
                    self.trace.ended();
                    drop(reply.send(self.log.into_inner()));
                    return;
                }
                Turn::Command(command) => self.on_command(command),
                Turn::Nothing => {}
                Turn::Ended => return,
            }
        }
    }

    /// Waits for the next thing to happen. Completions come before commands, so that what is done is not waited for.
    async fn turn(&mut self) -> Turn {
        let now = self.parts.env.now();
        let deadline = [self.timers.next(), self.deadlines.next()].into_iter().flatten().min();
        if self.deferral.is_due(deadline.is_some_and(|deadline| deadline <= now), self.inbox.is_empty()) {
            return self.expire(now);
        }
        let asleep = self.parts.env.sleep_until(deadline.unwrap_or(now + Duration::from_secs(3_600)));
        tokio::select! {
            biased;
            (written, generation) = self.writes.next() => match written {
                Ok(written) => {
                    self.monitor.written(written.end, generation);
                    Turn::Step(Input::Written { end: written.end, generation: self.named(generation) })
                }
                // Submitted behind one that found no room, it did not continue the log.
                Err(Fault::Misplaced { .. }) if generation != self.core.generation() => Turn::Nothing,
                Err(fault) if fault.is_full() => self.no_room(&fault, generation),
                Err(fault) => Turn::Failed(fault),
            },
            (flushed, generation) = self.syncs.next() => match flushed {
                Ok(flushed) => {
                    self.monitor.flushed(flushed.end, generation);
                    Turn::Step(Input::Flushed { end: flushed.end, generation: self.named(generation) })
                }
                Err(fault) => Turn::Failed(fault),
            },
            (read, (cuts, to, message)) = self.sends.next() => match read {
                _ if self.parts.faults.slips(Slip::DropReads) => Turn::Nothing,
                // The log was cut meanwhile: the read may have met anything, and the message is void with it.
                _ if cuts != self.log.cuts() => self.not_sent(to),
                Ok(bytes) => Turn::Send(bytes, to, message),
                Err(fault) => {
                    let is_gone = matches!(fault, Fault::OutOfRange { .. });
                    let not_sent = self.not_sent(to);
                    if is_gone { not_sent } else { Turn::Failed(fault) }
                }
            },
            command = self.inbox.recv() => command.map_or(Turn::Ended, Turn::Command),
            () = asleep => Turn::Nothing,
        }
    }

    /// A write found no room. Those before it have ended, and those behind it did not continue the log: so the log ends
    /// where the core is to go on from.
    fn no_room(&mut self, fault: &Fault, generation: LogGeneration) -> Turn {
        if !std::mem::replace(&mut self.lacks_room, true) {
            let partition = self.parts.tenure.partition;
            tracing::warn!(%partition, %fault, "the replica takes no records until there is room");
        }
        Turn::Step(Input::WriteFailed { end: self.log.end(), generation })
    }

    fn expire(&mut self, now: Instant) -> Turn {
        if let Some(timer) = self.timers.expired(now) {
            return Turn::Step(Input::Expired(timer));
        }
        Turn::Expired(self.deadlines.expired(now).expect("a timer that is due is one of these"))
    }

    fn on_command(&mut self, command: Command) {
        if let Some(failed) = &self.failed {
            let error = ApiError::new(ErrorCode::KafkaStorageError, failed.clone());
            return refuse(command, &error);
        }
        match command {
            Command::Image(image) => self.on_image(image),
            Command::Produce(produce) => self.on_produce(produce),
            Command::Read(read) => self.on_read(read),
            Command::ListOffset { spec, deadline, reply } => self.on_list_offset(spec, deadline, reply),
            Command::Message { from, message, payload } => self.on_message(from, message, payload),
            Command::ProposalAnswered(answer) => self.step_or_trace(Input::AlterPartitionAnswered(answer)),
            Command::LinkChanged => {
                // The fetch may have been lost with the link; the core asks again.
                if self.timers.expire(Timer::FetchRetry) {
                    self.step_or_trace(Input::Expired(Timer::FetchRetry));
                }
            }
            Command::Describe(reply) => drop(reply.send(self.describe())),
            Command::Stop(_) => unreachable!("the loop ends at a stop"),
        }
    }

    fn on_image(&mut self, image: Arc<Image>) {
        let partition = self.parts.tenure.partition;
        if let Some(topic) = image.topic(partition.topic) {
            self.log.set_segment_bytes_max(topic.config.segment_bytes());
        }
        let view = image.partition_view(partition);
        self.image = Some(image);
        if let Some(view) = view {
            self.step_or_trace(Input::View(view));
            self.invent();
            for (from, message) in std::mem::take(&mut self.early) {
                self.take_message(from, message, Batches::new());
            }
        }
        // Whoever waits to read may wait in vain now, or may read already.
        self.wake_readers();
    }

    fn on_message(&mut self, from: NodeId, message: Message, payload: Vec<Bytes>) {
        let Some(from) = self.replica_on(from) else { return };
        let mut attached = Vec::new();
        for bytes in payload {
            match batch::split(bytes) {
                Ok(batches) => attached.extend(batches),
                Err(error) => {
                    return tracing::warn!(%from, %error, "dropped a message with malformed batches");
                }
            }
        }
        if let Some(error) = attached.iter().find_map(|batch| batch.check_crc().err()) {
            return tracing::warn!(%from, %error, "dropped a message with a wrong checksum");
        }
        let batches = attached.iter().map(|batch| summary::of(batch.header())).collect();
        let message = self.passed_off(message);
        self.attached = attached;
        self.take_message(from, message, batches);
        self.attached.clear();
    }

    /// A fetch for a leader epoch that is news here is kept until the metadata comes, which spares its sender the wait
    /// for its timer after every election. The core fences it then like any other.
    fn take_message(&mut self, from: ReplicaIdx, message: Message, batches: Batches) {
        match self.step(Input::Message { from, message, batches }) {
            Err(Refusal::UnknownLeaderEpoch { .. }) if matches!(message, Message::Fetch(_)) => {
                self.early.insert(from, message);
            }
            Err(refusal) => {
                let partition = self.parts.tenure.partition;
                tracing::trace!(%partition, %from, %refusal, "the replica refused a message");
            }
            Ok(()) => {}
        }
    }

    fn replica_on(&self, node: NodeId) -> Option<ReplicaIdx> {
        let at = self.parts.tenure.replicas.iter().position(|replica| *replica == node)?;
        u8::try_from(at).ok().map(ReplicaIdx)
    }

    fn step_or_trace(&mut self, input: Input) {
        if let Err(refusal) = self.step(input) {
            tracing::trace!(partition = %self.parts.tenure.partition, %refusal, "the replica refused an input");
        }
    }

    /// One step, and its effects in order. A replica that has failed takes no step, and does nothing more of the one in
    /// which it failed: its core believes what its log does not hold.
    fn step(&mut self, input: Input) -> Result<(), Refusal> {
        if self.failed.is_some() {
            return Ok(());
        }
        let mut effects: Vec<Effect> = Vec::new();
        self.show_if_stale();
        if matches!(input, Input::Written { .. }) && std::mem::take(&mut self.lacks_room) {
            tracing::info!(partition = %self.parts.tenure.partition, "there is room again");
        }
        let flushed = if let Input::Flushed { end, .. } = &input { Some(*end) } else { None };
        let noted = self.trace.noted(&input);
        let before = self.before(&input);
        let taken = self.core.step(&self.parts.tenure, input, &mut effects);
        self.trace.stepped(noted, taken.is_ok().then_some(effects.as_slice()));
        taken?;
        if let Some(before) = &before {
            self.judge_step(before);
        }
        self.slip_in_order(&mut effects);
        // A sync of before a cut has been refused: it says nothing of the log as it is.
        if let Some(end) = flushed {
            self.log.note_flushed(end);
        }
        for effect in effects {
            if self.failed.is_none() {
                self.issue(effect);
            }
        }
        if let Some(before) = &before {
            self.judge_state(before);
        }
        Ok(())
    }

    fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    /// Storage failed: nothing can be promised here any more, and the directory is reported so that others take over.
    fn fail(&mut self, fault: &Fault) {
        if self.failed.is_some() {
            return;
        }
        if fault.is_full() {
            return self.retire(&fault.to_string());
        }
        self.go_offline(&fault.to_string());
        let (failures, directory) = (self.parts.failures.clone(), self.parts.directory);
        drop(self.parts.env.spawn("report a failed directory", async move {
            let _ = failures.send(directory).await;
        }));
    }

    /// The replica does nothing any more in this leader epoch. Its directory is sound, and so is its log, though after a
    /// cut that failed nobody knows where it ends until it is opened again.
    fn retire(&mut self, why: &str) {
        self.go_offline(why);
        self.parts.retired.set(self.core.view().leader_epoch);
    }

    fn go_offline(&mut self, why: &str) {
        tracing::error!(partition = %self.parts.tenure.partition, %why, "the replica is offline");
        self.failed = Some(format!("the replica is offline: {why}"));
        self.let_go(&format!("the replica went offline: {why}"));
    }

    /// Tells everyone who waits that no answer will come from here.
    fn let_go(&mut self, why: &str) {
        self.forget_sends();
        self.trace.did(|| Act::Offline);
        for open in std::mem::take(&mut self.open).into_values() {
            let error =
                ApiError::new(ErrorCode::NotLeaderOrFollower, format!("{why}; it may still take effect"));
            open.refuse(error);
        }
        self.wake_readers();
    }
}

impl Open {
    fn refuse(self, error: ApiError) {
        match self {
            Self::Produce(reply, _) => reply.send(Err(error)),
            Self::EndRead(reply) => reply.send(Err(error)),
        }
    }
}

/// Answers a command negatively, if it has an answer.
fn refuse(command: Command, error: &ApiError) {
    match command {
        Command::Produce(produce) => drop(produce.reply.send(Err(error.clone()))),
        Command::Read(read) => drop(read.reply.send(Err(error.clone()))),
        Command::ListOffset { reply, .. } => drop(reply.send(Err(error.clone()))),
        Command::Describe(reply) => drop(reply.send(Vec::new())),
        Command::Image(_)
        | Command::Message { .. }
        | Command::ProposalAnswered(_)
        | Command::LinkChanged
        | Command::Stop(_) => {}
    }
}
