//! The driver of this world: gives events to brokers and requests to the controller, and hears what they tell others.
//!
//! Claims about a step itself (an acknowledgement, a watermark) are tested here, as each is told, because a wrong value
//! may live within a step only (B-17).

use highwater_model::id::{Offset, RequestId};
use highwater_model::invariant::replication::acked_is_committed;
use highwater_model::replication::{IsrSet, Refusal, ReplicaIdx};

use super::World;
use super::action::may_be_unfenced;
use super::bounds::{Bounds, Heartbeats, Syncs};
use super::claims::name;
use super::cluster::{Cluster, Request, Ruling};
use super::disk::{Entries, Entry, small};
use super::network::Envelope;
use super::part::Part;
use super::state::{Broker, Ledger, Standing, State};
use super::turn::{self, Event, Held, Told, value_of};
use crate::world::Notes;

/// A state under change, and where to note what the change shows.
pub(super) struct Driver<'a> {
    pub(super) world: &'a World,
    pub(super) state: &'a mut State,
    pub(super) notes: &'a mut Notes,
}

impl Driver<'_> {
    /// One event at a running broker. Gives the refusal, if its core refused it.
    pub(super) fn feed(&mut self, at: ReplicaIdx, event: Event) -> Option<Refusal> {
        if !matches!(event, Event::Write | Event::Flush) {
            self.complete_what_ends_before_it_acts(at);
        }
        self.take_turn(at, event)
    }

    fn complete_what_ends_before_it_acts(&mut self, at: ReplicaIdx) {
        let Bounds { syncs, heartbeats, .. } = self.world.bounds;
        if syncs == Syncs::InTurn {
            self.complete_syncs(at);
        }
        let applied = self.state.run(at).map(|run| run.applied);
        let is_heard = |applied| may_be_unfenced(self.world, self.state, at, applied);
        if heartbeats == Heartbeats::InTurn && applied.is_some_and(is_heard) {
            self.heartbeat(at, false);
        }
    }

    /// Ends every sync of a broker that is under way.
    pub(super) fn complete_syncs(&mut self, at: ReplicaIdx) {
        while !self.state.broker(at).disk.syncs.is_empty() {
            self.take_turn(at, Event::Flush);
        }
    }

    fn take_turn(&mut self, at: ReplicaIdx, event: Event) -> Option<Refusal> {
        let (world, before) = (self.world, self.state.part(at));
        let turn = before.fate(event.key(), || turn::take(world, &before, event));
        *self.state.part_mut(at) = turn.after;
        for told in &turn.told {
            self.hear(at, told);
        }
        if let Some(undone) = &turn.undone {
            self.notes.broke(name::NOTHING_UNDONE, || undone.clone());
        }
        turn.refused
    }

    /// Changes a broker from outside: its process ends or begins.
    pub(super) fn change(&mut self, at: ReplicaIdx, change: impl FnOnce(&mut Broker)) {
        let mut broker = self.state.broker(at).clone();
        change(&mut broker);
        *self.state.part_mut(at) = self.world.memory.brokers.share(broker);
    }

    /// A request to the controller.
    pub(super) fn ask(&mut self, request: Request) -> &'static Ruling {
        let (memory, before) = (&self.world.memory, self.state.cluster);
        let ruling = before.fate(request.key(), || before.ruling(request, memory));
        self.state.cluster = ruling.after;
        let may_lead = |cluster: Part<Cluster>| {
            let known = cluster.partition();
            !known.isr.union(known.eligible_leaders).is_empty()
        };
        let is_struck_off =
            !before.is_shared_with(ruling.after) && may_lead(before) && !may_lead(ruling.after);
        let known = before.partition();
        let could = known.isr.union(known.eligible_leaders);
        if is_struck_off && !could.iter().all(|replica| self.has_lost(replica, request)) {
            self.record(|ledger| ledger.ghost.struck_off = true);
        }
        ruling
    }

    /// Whether a replica may have lost what it had counted, as somebody registers: it did; or it is whoever registers, whose kernel
    /// does not run on since, and who did not stop cleanly (R60).
    fn has_lost(&self, whose: ReplicaIdx, request: Request) -> bool {
        let Request::Register { replica, same_boot, clean_stop } = request else { return false };
        let is_unsure = same_boot.or(clean_stop).is_none() && self.world.counts_unsynced();
        (is_unsure && whose == replica) || self.state.broker(whose).disk.unclean
    }

    /// Sends a message that no turn sends.
    pub(super) fn post(&mut self, envelope: Envelope) {
        self.state.network.send(self.world.memory.envelopes.share(envelope));
    }

    fn hear(&mut self, at: ReplicaIdx, told: &Told) {
        match told {
            Told::Send(envelope) => self.state.network.send(*envelope),
            Told::Truncated => self.notes.event(name::TRUNCATED),
            Told::Trimmed => self.notes.event(name::DELETED),
            Told::Restarted => self.notes.event(name::BEGUN_ANEW),
            Told::Acknowledged { request_id, offset, held } => {
                self.acknowledged(at, *request_id, *offset, held);
            }
            Told::Refused(request_id, surely) => {
                let standing = if *surely { Standing::Refused } else { Standing::Unknown };
                self.settle(*request_id, standing);
            }
            Told::Visible(end, held) => self.visible(at, *end, held),
            Told::Covered(end, held) => self.covered(at, *end, held),
        }
    }

    /// Changes what is remembered of clients, and for the claims.
    pub(super) fn record(&mut self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = self.state.ledger.get().clone();
        change(&mut ledger);
        self.state.ledger = self.world.memory.ledgers.share(ledger);
    }

    /// What the client of a record knows from here on, unless it is acknowledged already.
    pub(super) fn stand(&mut self, value: u8, standing: Standing) {
        let known = *self.state.ledger.clients.get(usize::from(value)).expect("a record that was produced");
        if known != standing && known != Standing::Acknowledged {
            self.record(|ledger| {
                ledger.clients.get_mut(usize::from(value)).into_iter().for_each(|known| *known = standing);
            });
        }
    }

    fn settle(&mut self, request_id: RequestId, standing: Standing) {
        self.stand(value_of(request_id), standing);
    }

    /// A client is told that its record is held (RI8).
    fn acknowledged(&mut self, at: ReplicaIdx, request_id: RequestId, offset: Offset, held: &Held) {
        self.notes.event(name::ACKED);
        let by_policy = if self.world.counts_unsynced() { name::ACKED_WRITTEN } else { name::ACKED_SYNCED };
        self.notes.event(by_policy);
        self.settle(request_id, Standing::Acknowledged);
        let value = value_of(request_id);
        let holders = self.holders(at, held, offset, value);
        let maximal = self.state.run(at).and_then(|run| run.core.maximal_isr()).unwrap_or_default();
        let durable = !self.world.counts_unsynced();
        // What a power loss takes of an unsynced log is beyond what the policy promises (R62).
        let lossy = if durable { 0 } else { self.state.ledger.ghost.lossy };
        let all = self.world.acks_all();
        // As the leader's image has it: it may lag behind the controller's as a whole, never in part (X4).
        let min_isr = self.state.run(at).map_or(1, |run| run.core.view().min_isr);
        let needed = if all { min_isr.saturating_sub(lossy) } else { 1 };
        let everywhere = !(all && durable) || maximal.is_subset(holders);
        if holders.count() < needed || !holders.contains(at) || !everywhere {
            self.notes.broke(name::ACKED_WAS_REPLICATED, || {
                format!(
                    "{at} acknowledged record {value} at offset {offset}; held as promised by {holders:?}, \
                     needed {needed}, maximal isr {maximal:?}"
                )
            });
        }
        if !all {
            return;
        }
        let committed = &self.state.ledger.ghost.committed;
        if let Err(found) = acked_is_committed(at, offset, Offset(committed.len() as u64)) {
            self.notes.broke(found.property, || found.details);
        } else if let Some(other) = committed.get(usize::from(small(offset))).filter(|at| at.value != value) {
            self.notes.broke(name::ACKED_IS_COMMITTED, || {
                format!("{at} acknowledged record {value} at offset {offset}; committed there: {other:?}")
            });
        }
    }

    /// Replicas whose disk holds the record at `offset` as the flush policy counts it; of `at` it is `own` that counts.
    fn holders(&self, at: ReplicaIdx, own: &Held, offset: Offset, value: u8) -> IsrSet {
        let has = |held: &Held| {
            let entry = held.entries.get(usize::from(small(offset)));
            let holds = |entry: &Entry| entry.value == value || *entry == Entry::GONE;
            small(offset) < held.counted && entry.is_some_and(holds)
        };
        let counts = |replica: &ReplicaIdx| {
            let flush = self.world.bounds.flush.0;
            if *replica == at { has(own) } else { has(&Held::of(&self.state.broker(*replica).disk, flush)) }
        };
        self.state.replicas().filter(counts).collect()
    }

    /// A leader's high watermark rose: everything below it is committed from here on.
    fn visible(&mut self, at: ReplicaIdx, end: Offset, held: &Held) {
        self.covered(at, end, held);
        let known = self.state.ledger.ghost.committed.len();
        let more: Entries = held.entries.iter().take(usize::from(small(end))).skip(known).copied().collect();
        if !more.is_empty() {
            self.record(|ledger| ledger.ghost.committed.extend(more));
        }
    }

    /// A replica's high watermark is `end`: what lies below is what was committed there (RI1).
    fn covered(&mut self, at: ReplicaIdx, end: Offset, held: &Held) {
        let (held, committed) = (&held.entries, &self.state.ledger.ghost.committed);
        let below = usize::from(small(end));
        let differs = |(committed, held): (&Entry, &Entry)| committed != held && *held != Entry::GONE;
        let differs = committed.iter().zip(held).take(below).any(differs);
        let void = self.world.counts_unsynced()
            && self.state.ledger.ghost.lossy >= self.world.bounds.least_min_isr();
        if (differs || held.len() < below) && !void {
            self.notes.broke(name::WATERMARK_IS_OF_COMMITTED, || {
                format!("{at} puts its high watermark at {end} of {held:?}; committed is {committed:?}")
            });
        }
    }
}
