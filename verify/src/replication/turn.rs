//! A broker's turn: one event at one broker, which makes of it what its core and its disk do, and tells others of it.
//!
//! Nothing but the broker and the event decide it, so it is worked out once ([`Memory`](super::memory::Memory)).
//! Effects are carried out at once and in order; what concerns others is told with what the disk held at that moment.

use highwater_model::fault::{Bug, Faults as _};
use highwater_model::id::{Offset, ProducerEpoch, ProducerId, RequestId, Sequence};
use highwater_model::invariant::replication::leader_leaves_nothing_undone;
use highwater_model::replication::{
    BatchKind, BatchProducer, BatchSummary, Batches, Effect, FetchBody, FlushPolicy, Input, Message,
    PartitionView, Refusal, ReplicaIdx, Tenure, Timer,
};

use super::World;
use super::disk::{Disk, Entries, Entry, small};
use super::network::Envelope;
use super::part::{self, Part};
use super::state::{Broker, Run};

/// What may happen to a running broker, whatever the others do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// It applies metadata.
    View(Part<PartitionView>),
    /// Its oldest write ends.
    Write,
    /// Its oldest write finds no room.
    NoRoom,
    /// Its oldest sync ends.
    Flush,
    /// A timer runs out.
    Expired(Timer),
    /// A client produces this record.
    Produce(u8),
    /// A message for it is delivered.
    Delivered(Part<Envelope>),
    /// Whatever is committed is deleted (R80).
    Delete,
}

impl Event {
    /// A number that tells this event from every other one.
    pub(super) fn key(self) -> u64 {
        let (kind, what) = match self {
            Self::View(view) => (0, view.address()),
            Self::Write => (1, 0),
            Self::NoRoom => (2, 0),
            Self::Flush => (3, 0),
            Self::Expired(timer) => (4, number_of(timer)),
            Self::Produce(value) => (5, u64::from(value)),
            Self::Delivered(envelope) => (6, envelope.address()),
            Self::Delete => (7, 0),
        };
        part::key(kind, what)
    }
}

fn number_of(timer: Timer) -> u64 {
    match timer {
        Timer::FetchRetry => 0,
        Timer::AlterPartitionRetry => 1,
        Timer::Room => 2,
        Timer::Lag(replica) => 3 + u64::from(replica.0),
    }
}

/// What came of an event.
#[derive(Debug)]
pub struct Turn {
    /// The broker as it is now.
    pub(super) after: Part<Broker>,
    /// The core's refusal, if it refused the event.
    pub(super) refused: Option<Refusal>,
    /// What others have to know of, in order.
    pub(super) told: Vec<Told>,
    /// What its core would do at an input that concerns nothing: that should be nothing (RL5).
    pub(super) undone: Option<String>,
}

/// What a turn tells to others.
#[derive(Debug)]
pub(super) enum Told {
    /// A message goes out.
    Send(Part<Envelope>),
    /// Records were cut.
    Truncated,
    /// Records were deleted from the log's start on.
    Trimmed,
    /// The log begins anew where its leader's begins.
    Restarted,
    /// A client is told that its record is held.
    Acknowledged {
        /// Of which produce.
        request_id: RequestId,
        /// Where the record is.
        offset: Offset,
        /// The broker's disk at that moment.
        held: Held,
    },
    /// A client is told that its produce failed; whether surely nothing of it was written.
    Refused(RequestId, bool),
    /// A leader's high watermark rose to this.
    Visible(Offset, Held),
    /// A follower's high watermark is this.
    Covered(Offset, Held),
}

/// The records of a disk, and how many of them the flush policy counts.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) entries: Entries,
    pub(super) counted: u8,
}

impl Held {
    /// What `disk` holds under this policy.
    pub(super) fn of(disk: &Disk, flush: FlushPolicy) -> Self {
        let counted = match flush {
            FlushPolicy::Os => disk.written,
            FlushPolicy::Commit => disk.flushed,
        };
        Self { entries: disk.entries.clone(), counted }
    }
}

/// Identity of the produce of a record: one open request per record.
pub(super) fn request_of(value: u8) -> RequestId {
    RequestId(u64::from(value))
}

/// The record that a request is about.
pub(super) fn value_of(request_id: RequestId) -> u8 {
    u8::try_from(request_id.0).expect("a request is named after its record")
}

/// A record as the cores see it: a batch of its own.
pub(super) fn summary(base_offset: Offset, entry: Entry) -> BatchSummary {
    let sequence = Sequence(u32::from(entry.value));
    let producer = BatchProducer {
        id: ProducerId(1),
        producer_epoch: ProducerEpoch(0),
        first_sequence: sequence,
        last_sequence: sequence,
    };
    BatchSummary {
        base_offset,
        count: 1,
        leader_epoch: entry.leader_epoch,
        producer: entry.numbered.then_some(producer),
        kind: BatchKind::Data,
    }
}

/// The turn of a running broker.
pub(super) fn take(world: &World, before: &Broker, event: Event) -> Turn {
    let mut taker = Taker { world, broker: before.clone(), attached: Attached::default(), told: Vec::new() };
    if taker.broker.disk.lowers {
        taker.broker.disk.lower_claim();
    }
    let input = taker.input_of(event);
    let run = taker.run();
    let tenure = Tenure { broker_epoch: run.broker_epoch, ..world.tenure(before.replica) };
    let mut effects = Vec::new();
    let refused = run.core.step(&tenure, input, &mut effects).err();
    effects.into_iter().for_each(|effect| taker.carry_out(effect));
    let run = taker.run();
    // Without an open fetch its timer is refused when it runs out.
    if run.core.open_fetch().is_none() {
        run.set(Timer::FetchRetry, false);
    }
    let undone = leader_leaves_nothing_undone(&tenure, &run.core).err().map(|found| found.details);
    Turn { after: world.memory.brokers.share(taker.broker), refused, told: taker.told, undone }
}

/// The bytes that came with an input: records from this offset on.
#[derive(Clone, Debug, Default)]
struct Attached {
    from: Offset,
    records: Entries,
}

impl Attached {
    fn entry(&self, offset: Offset) -> Entry {
        let at = usize::try_from(offset.since(self.from)).expect("a handful of records");
        *self.records.get(at).expect("a core appends batches that came with the message")
    }
}

/// A turn under way.
struct Taker<'a> {
    world: &'a World,
    broker: Broker,
    attached: Attached,
    told: Vec<Told>,
}

impl Taker<'_> {
    fn run(&mut self) -> &mut Run {
        self.broker.run.as_mut().expect("only running brokers take turns")
    }

    fn held(&self) -> Held {
        Held::of(&self.broker.disk, self.world.bounds.flush.0)
    }

    /// What the core is told of the event, once the disk and the timers have seen it.
    fn input_of(&mut self, event: Event) -> Input {
        match event {
            Event::View(view) => {
                let run = self.run();
                run.applied = view.metadata_offset;
                run.known = view.leader_epoch;
                Input::View(view.get().clone())
            }
            Event::Write => {
                let done = self.broker.disk.complete_write();
                Input::Written { end: done.end, generation: done.generation }
            }
            Event::NoRoom => {
                let failed = self.broker.disk.fail_writes();
                Input::WriteFailed { end: failed.end, generation: failed.generation }
            }
            Event::Flush => {
                let done = self.broker.disk.complete_sync();
                Input::Flushed { end: done.end, generation: done.generation }
            }
            Event::Expired(timer) => {
                self.run().set(timer, false);
                Input::Expired(timer)
            }
            Event::Produce(value) => {
                let entry = Entry { value, numbered: self.world.is_idempotent(), ..Entry::default() };
                let batch = summary(Offset::ZERO, entry);
                Input::Produce { acks: self.world.bounds.acks.0, request_id: request_of(value), batch }
            }
            Event::Delivered(envelope) => self.input_of_message(&envelope),
            Event::Delete => Input::RaiseLogStart { to: Offset(u64::MAX) },
        }
    }

    fn input_of_message(&mut self, envelope: &Envelope) -> Input {
        match envelope {
            Envelope::Peer { from, message, records, .. } => {
                let start = match message {
                    Message::FetchAnswer(answer) => match answer.body {
                        FetchBody::Records { from, .. } => from,
                        FetchBody::Diverging(_) | FetchBody::OutOfRange => Offset::ZERO,
                    },
                    Message::Fetch(_) | Message::Progress(_) => Offset::ZERO,
                };
                let offsets = (start.0..).map(Offset);
                let batches: Batches =
                    offsets.zip(records).map(|(offset, entry)| summary(offset, *entry)).collect();
                self.attached = Attached { from: start, records: records.clone() };
                Input::Message { from: *from, message: *message, batches }
            }
            Envelope::Decision { answer, .. } => Input::AlterPartitionAnswered(*answer),
            Envelope::Proposal { .. } => unreachable!("a proposal is for the controller"),
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::AppendLocal { request_id, end, leader_epoch, generation, .. } => {
                let numbered = self.world.is_idempotent();
                let entry = Entry { leader_epoch, value: value_of(request_id), numbered };
                self.broker.disk.append(&[entry], end, generation);
            }
            Effect::AppendFetched { batches, end, generation } => {
                let entries: Entries =
                    batches.iter().map(|batch| self.attached.entry(batch.base_offset)).collect();
                self.broker.disk.append(&entries, end, generation);
            }
            Effect::Truncate { to, .. } => self.truncate(to),
            Effect::RestartLog { at, .. } => {
                if self.broker.disk.end() > 0 {
                    self.told.push(Told::Truncated);
                }
                self.broker.disk.restart(at);
                self.told.push(Told::Restarted);
            }
            Effect::TrimLog { to } => {
                self.broker.disk.trim(to);
                self.told.push(Told::Trimmed);
            }
            Effect::Sync { up_to, generation } => self.broker.disk.sync(up_to, generation),
            Effect::Send { to, message } => self.send(to, message),
            Effect::ProposeIsr(proposal) => {
                self.post(Envelope::Proposal { from: self.broker.replica, proposal })
            }
            Effect::Acknowledge(token) => {
                let (request_id, offset) = (token.request_id(), token.base_offset());
                let held = self.held();
                self.told.push(Told::Acknowledged { request_id, offset, held });
            }
            // Nobody ever sees a record that found no room, unless it was produced before.
            Effect::Refuse { request_id, refusal } => {
                let surely = matches!(refusal, Refusal::NoRoom { .. }) && !self.world.is_idempotent();
                self.told.push(Told::Refused(request_id, surely));
            }
            Effect::EndKnown(_) => {}
            Effect::HighWatermark(visible) => {
                let held = self.held();
                self.told.push(Told::Visible(visible.offset(), held));
            }
            Effect::FollowerHighWatermark(offset) => {
                let held = self.held();
                self.told.push(Told::Covered(offset, held));
            }
            Effect::Arm(timer) => self.run().set(timer, true),
            Effect::Disarm(timer) => self.run().set(timer, false),
        }
    }

    fn truncate(&mut self, to: Offset) {
        if small(to) < self.broker.disk.end() {
            self.told.push(Told::Truncated);
        }
        self.broker.disk.truncate(to);
        // Derived state first, the log after it: else a process that ends in between leaves a claim to what is gone.
        if self.world.planted.has(Bug::IndexOverclaims) {
            self.broker.disk.lowers = true;
        } else {
            self.broker.disk.lower_claim();
        }
    }

    fn send(&mut self, to: ReplicaIdx, message: Message) {
        let mut records = Entries::new();
        if let Message::FetchAnswer(answer) = &message
            && let FetchBody::Records { from: start, end } = answer.body
        {
            let range = usize::from(small(start))..usize::from(small(end));
            records
                .extend_from_slice(self.broker.disk.entries.get(range).expect("a leader sends what it has"));
        }
        self.post(Envelope::Peer { from: self.broker.replica, to, message, records });
    }

    fn post(&mut self, envelope: Envelope) {
        self.told.push(Told::Send(self.world.memory.envelopes.share(envelope)));
    }
}
