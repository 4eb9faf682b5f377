//! The driver of this world: feeds a core and carries out its effects, each at once and in order.
//!
//! It owes a core what the node's driver owes it. Claims about a step itself (an acknowledgement, a watermark) are tested
//! here, effect by effect, because a wrong value may live within a step only (B-17).

use highwater_model::id::{LeaderEpoch, Offset, RequestId};
use highwater_model::replication::{
    Effect, FetchBody, FlushPolicy, Input, IsrSet, Message, Refusal, ReplicaIdx, Tenure,
};

use super::World;
use super::claims::name;
use super::disk::{Entries, Entry, small};
use super::network::Envelope;
use super::state::{Standing, State};
use crate::world::Notes;

/// A state under change, and where to note what the change shows.
pub(super) struct Driver<'a> {
    pub(super) world: &'a World,
    pub(super) state: &'a mut State,
    pub(super) notes: &'a mut Notes,
}

/// The bytes that came with an input: records from this offset on.
#[derive(Clone, Debug, Default)]
pub(super) struct Attached {
    pub(super) from: Offset,
    pub(super) records: Entries,
}

/// Identity of the produce of a record: one open request per record.
pub(super) fn request_of(value: u8) -> RequestId {
    RequestId(u64::from(value))
}

fn value_of(request_id: RequestId) -> u8 {
    u8::try_from(request_id.0).expect("a request is named after its record")
}

impl Driver<'_> {
    /// One input to a running core. Gives the refusal, if it was refused.
    pub(super) fn feed(&mut self, at: ReplicaIdx, input: Input, attached: &Attached) -> Option<Refusal> {
        let run = self.state.broker_mut(at).run.as_mut().expect("only running brokers are fed");
        let tenure = Tenure { broker_epoch: run.broker_epoch, ..self.world.tenure(at) };
        let mut effects = Vec::new();
        let refused = run.core.step(&tenure, input, &mut effects).err();
        for effect in effects {
            self.carry_out(at, effect, attached);
        }
        refused
    }

    fn carry_out(&mut self, at: ReplicaIdx, effect: Effect, attached: &Attached) {
        match effect {
            Effect::AppendLocal { request_id, end, leader_epoch, generation, .. } => {
                let numbered = self.world.is_idempotent();
                let entry = Entry { leader_epoch, value: value_of(request_id), numbered };
                self.state.broker_mut(at).disk.append(&[entry], end, generation);
            }
            Effect::AppendFetched { batches, end, generation } => {
                let entry = |offset: Offset| attached.entry(offset);
                let entries: Entries = batches.iter().map(|batch| entry(batch.base_offset)).collect();
                self.state.broker_mut(at).disk.append(&entries, end, generation);
            }
            Effect::Truncate { to, .. } => self.truncate(at, to),
            Effect::RestartLog { at: start, .. } => {
                assert_eq!(start, Offset::ZERO, "no log of this world is ever trimmed");
                self.truncate(at, start);
            }
            Effect::TrimLog { to } => assert_eq!(to, Offset::ZERO, "no log of this world is ever trimmed"),
            Effect::Sync { up_to, generation } => self.state.broker_mut(at).disk.sync(up_to, generation),
            Effect::Send { to, message } => self.send(at, to, message),
            Effect::ProposeIsr(proposal) => {
                self.state.network.send(Envelope::Proposal { from: at, proposal });
            }
            Effect::Acknowledge(token) => self.acknowledged(at, token.request_id(), token.base_offset()),
            // Nobody ever sees a record that found no room, unless it was produced before.
            Effect::Refuse { request_id, refusal: Refusal::NoRoom { .. } } if !self.world.is_idempotent() => {
                self.settle(request_id, Standing::Refused);
            }
            Effect::Refuse { request_id, .. } => self.settle(request_id, Standing::Unknown),
            Effect::EndKnown(_) => {}
            Effect::HighWatermark(visible) => self.visible(at, visible.offset(), visible.leader_epoch()),
            Effect::FollowerHighWatermark(offset) => self.covered(at, offset),
            Effect::Arm(timer) => self.running(at).set(timer, true),
            Effect::Disarm(timer) => self.running(at).set(timer, false),
        }
    }

    fn running(&mut self, at: ReplicaIdx) -> &mut super::state::Run {
        self.state.broker_mut(at).run.as_mut().expect("effects come from running brokers")
    }

    fn truncate(&mut self, at: ReplicaIdx, to: Offset) {
        let disk = &mut self.state.broker_mut(at).disk;
        if small(to) < disk.end() {
            self.notes.event(name::TRUNCATED);
        }
        disk.truncate(to);
    }

    fn send(&mut self, from: ReplicaIdx, to: ReplicaIdx, message: Message) {
        let mut records = Entries::new();
        if let Message::FetchAnswer(answer) = &message
            && let FetchBody::Records { from: start, end } = answer.body
        {
            let disk = &self.state.broker(from).disk;
            let range = usize::from(small(start))..usize::from(small(end));
            records.extend_from_slice(disk.entries.get(range).expect("a leader sends what it has"));
        }
        self.state.network.send(Envelope::Peer { from, to, message, records });
    }

    fn settle(&mut self, request_id: RequestId, standing: Standing) {
        let known = self.state.clients.get_mut(usize::from(value_of(request_id)));
        let known = known.expect("answers name requests that were made");
        if *known != Standing::Acknowledged {
            *known = standing;
        }
    }

    /// A client is told that its record is held (RI8).
    fn acknowledged(&mut self, at: ReplicaIdx, request_id: RequestId, offset: Offset) {
        self.notes.event(name::ACKED);
        self.settle(request_id, Standing::Acknowledged);
        let value = value_of(request_id);
        let holders = self.holders(offset, value);
        let maximal = self.state.run(at).and_then(|run| run.core.maximal_isr()).unwrap_or_default();
        let durable = !self.world.counts_unsynced();
        // What a power loss takes of an unsynced log is beyond what the policy promises (R62).
        let lossy = if durable { 0 } else { self.state.ghost.lossy };
        let all = self.world.acks_all();
        let needed = if all { self.state.cluster.partition().min_isr.saturating_sub(lossy) } else { 1 };
        let everywhere = !(all && durable) || maximal.is_subset(holders);
        if holders.count() < needed || !holders.contains(at) || !everywhere {
            self.notes.broke(name::ACKED_WAS_REPLICATED, || {
                format!(
                    "{at} acknowledged record {value} at offset {offset}; held as promised by {holders:?}, \
                     needed {needed}, maximal isr {maximal:?}"
                )
            });
        }
        let committed = self.state.ghost.committed.get(usize::from(small(offset)));
        if self.world.acks_all() && committed.is_none_or(|entry| entry.value != value) {
            self.notes.broke(name::ACKED_IS_COMMITTED, || {
                format!("{at} acknowledged record {value} at offset {offset}; committed there: {committed:?}")
            });
        }
    }

    /// Replicas whose disk holds the record at `offset` as the flush policy counts it.
    fn holders(&self, offset: Offset, value: u8) -> IsrSet {
        let counted = |replica: &ReplicaIdx| {
            let disk = &self.state.broker(*replica).disk;
            let end = match self.world.bounds.flush.0 {
                FlushPolicy::Os => disk.written,
                FlushPolicy::Commit => disk.flushed,
            };
            let entry = disk.entries.get(usize::from(small(offset)));
            small(offset) < end && entry.is_some_and(|entry| entry.value == value)
        };
        self.state.replicas().filter(counted).collect()
    }

    /// A leader's high watermark rose: everything below it is committed from here on.
    fn visible(&mut self, at: ReplicaIdx, end: Offset, _leader_epoch: LeaderEpoch) {
        self.covered(at, end);
        let disk = &self.state.broker(at).disk;
        let known = self.state.ghost.committed.len();
        let more = disk.entries.iter().take(usize::from(small(end))).skip(known).copied();
        let more: Entries = more.collect();
        self.state.ghost.committed.extend(more);
    }

    /// A replica's high watermark is `end`: what lies below is what was committed there (RI1).
    fn covered(&mut self, at: ReplicaIdx, end: Offset) {
        let held = &self.state.broker(at).disk.entries;
        let committed = &self.state.ghost.committed;
        let below = usize::from(small(end));
        let differs = committed.iter().zip(held).take(below).any(|(committed, held)| committed != held);
        let void =
            self.world.counts_unsynced() && self.state.ghost.lossy >= self.world.bounds.configured_min_isr();
        if (differs || held.len() < below) && !void {
            self.notes.broke(name::WATERMARK_IS_OF_COMMITTED, || {
                format!("{at} puts its high watermark at {end} of {held:?}; committed is {committed:?}")
            });
        }
    }
}

impl Attached {
    fn entry(&self, offset: Offset) -> Entry {
        let at = usize::try_from(offset.since(self.from)).expect("a handful of records");
        *self.records.get(at).expect("a core appends batches that came with the message")
    }
}
