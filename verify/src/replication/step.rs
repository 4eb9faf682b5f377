//! One action, carried out.

use highwater_model::api::Acks;
use highwater_model::id::{BrokerEpoch, LeaderEpoch, Offset};
use highwater_model::invariant::replication::{
    answer_is_to_this_run, cut_leaves_no_epoch_that_the_leader_lacks,
};
use highwater_model::log::EpochEnd;
use highwater_model::replication::{
    AlterPartitionAnswer, AlterPartitionOutcome, BatchSummary, FetchAnswer, FetchBody, IsrSet, Message,
    Recovered, Refusal, Replica, ReplicaIdx, Tenure, Timer,
};
use smallvec::SmallVec;

use super::World;
use super::action::{Action, is_early};
use super::bounds::{Bounds, Syncs, Writes};
use super::claims::name;
use super::cluster::Request;
use super::disk::Disk;
use super::drive::Driver;
use super::network::Envelope;
use super::part::Part;
use super::past::{self, Past};
use super::state::{Broker, Run, Standing};
use super::turn::{Event, summary};

impl Driver<'_> {
    /// Carries out an enabled action.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(at) => self.deliver(usize::from(at)),
            Action::Apply(replica) => {
                let run = self.state.run(replica).expect("a running broker");
                let view = self.state.cluster.next_view(run.applied).expect("a view to apply");
                self.feed(replica, Event::View(view));
            }
            Action::Write(replica) => _ = self.feed(replica, Event::Write),
            Action::Flush(replica) => _ = self.feed(replica, Event::Flush),
            Action::Produce(leader) => {
                let value = u8::try_from(self.state.ledger.clients.len()).expect("a handful of records");
                self.record(|ledger| ledger.clients.push(Standing::Open(leader)));
                self.produce(leader, value, Standing::Refused);
            }
            Action::Repeat(value, leader) => {
                self.state.left.retries -= 1;
                // That this one is refused says nothing of those before it.
                self.produce(leader, value, Standing::Unknown);
            }
            Action::FetchRetry(replica) => self.expired(replica, Timer::FetchRetry),
            Action::ProposalRetry(replica) => {
                self.state.left.timeouts -= 1;
                self.expired(replica, Timer::AlterPartitionRetry);
            }
            Action::Lag(leader, follower) => {
                self.state.left.shrinks -= 1;
                self.expired(leader, Timer::Lag(follower));
            }
            Action::WriteFails(replica) => {
                self.state.left.full_disks -= 1;
                self.feed(replica, Event::NoRoom);
            }
            Action::Room(replica) => self.expired(replica, Timer::Room),
            Action::Kill(replica, kept) => {
                self.state.left.kills -= 1;
                self.end(replica, |disk| disk.lose(kept));
            }
            Action::PowerLoss(replica, kept) => self.lose_power(replica, kept),
            Action::Restore(replica) => {
                self.state.left.restores -= 1;
                self.notes.event(name::RESTORED);
                self.record(|ledger| ledger.ghost.lossy += 1);
                self.end(replica, Disk::restore);
            }
            Action::Start(replica) => self.start(replica),
            Action::Expire(replica) => {
                self.state.left.elections -= u8::from(self.state.run(replica).is_some());
                self.ask(Request::Expire(replica));
            }
            Action::Unfence(replica) => _ = self.heartbeat(replica, false),
            Action::Stop(replica) => self.stop(replica),
            Action::Hear(replica) => self.hear_members(replica),
            Action::Delete(replica) => {
                self.state.left.deletes -= 1;
                self.feed(replica, Event::Delete);
            }
            Action::Configure => {
                self.state.left.configs -= 1;
                self.notes.event(name::CONFIGURED);
                let now = self.state.cluster.partition().min_isr;
                self.ask(Request::Configure(self.world.bounds.other_min_isr(now)));
            }
            Action::AskDeposed(at) => self.ask_deposed(usize::from(at)),
        }
    }

    /// A leader of the past hears its members until each has told enough for its reach. What more they have told, and what
    /// others have, changes nothing.
    fn hear_members(&mut self, replica: ReplicaIdx) {
        let Some((members, reach)) = self.state.past_of(replica).and_then(Past::may_hear) else { return };
        for member in members.iter() {
            while self.state.run(replica).is_some_and(|run| past::counted(run, member) < reach) {
                let Some(at) = self.next_from(member, replica) else { break };
                self.deliver(at);
            }
        }
    }

    /// The place of the earliest message from one replica to another.
    fn next_from(&self, sender: ReplicaIdx, receiver: ReplicaIdx) -> Option<usize> {
        let is_next = |envelope: &Envelope| match envelope {
            Envelope::Peer { from, to, .. } => {
                *from == sender && *to == receiver && !is_early(self.state, envelope)
            }
            Envelope::Proposal { .. } | Envelope::Decision { .. } => false,
        };
        self.state.network.envelopes().iter().position(|envelope| is_next(envelope))
    }

    fn expired(&mut self, at: ReplicaIdx, timer: Timer) {
        self.feed(at, Event::Expired(timer));
    }

    pub(super) fn heartbeat(&mut self, replica: ReplicaIdx, stopping: bool) -> bool {
        let applied = self.state.run(replica).expect("a running broker").applied;
        self.ask(Request::Heartbeat { replica, applied, stopping }).may_stop
    }

    fn produce(&mut self, leader: ReplicaIdx, value: u8, if_refused: Standing) {
        self.stand(value, Standing::Open(leader));
        let refused = self.feed(leader, Event::Produce(value));
        if refused.is_some() {
            self.notes.event(name::REFUSED);
            self.stand(value, if_refused);
        } else if self.world.bounds.acks.0 == Acks::None {
            self.stand(value, Standing::Unknown);
        }
    }

    fn deliver(&mut self, at: usize) {
        let envelope = self.state.network.take(at);
        match envelope.get() {
            Envelope::Peer { to, message, .. } => self.deliver_message(*to, message, envelope),
            Envelope::Proposal { from, proposal } => {
                self.deliver_proposal(*from, proposal.broker_epoch, envelope);
            }
            Envelope::Decision { to, broker_epoch, .. } => {
                if self.runs_as(*to, *broker_epoch) {
                    self.feed(*to, Event::Delivered(envelope));
                }
            }
        }
    }

    /// Whether this incarnation runs: the connection that it asks the controller on ends with it, and what is under way there.
    fn runs_as(&self, replica: ReplicaIdx, broker_epoch: BrokerEpoch) -> bool {
        self.state.run(replica).is_some_and(|run| run.broker_epoch == broker_epoch)
    }

    fn deliver_proposal(&mut self, from: ReplicaIdx, broker_epoch: BrokerEpoch, envelope: Part<Envelope>) {
        if self.state.run(from).is_none() {
            return;
        }
        let before = self.state.cluster.partition().isr;
        let ruling = self.ask(Request::Alter(envelope));
        self.joined(self.state.cluster.partition().isr.minus(before));
        if let Some(answer) = ruling.answer {
            if !matches!(answer.outcome, AlterPartitionOutcome::Applied { .. }) {
                self.notes.event(name::ALTER_REJECTED);
            }
            self.answer(from, broker_epoch, answer);
        }
    }

    /// The controller answers an incarnation, if that still runs.
    fn answer(&mut self, to: ReplicaIdx, broker_epoch: BrokerEpoch, answer: AlterPartitionAnswer) {
        if self.runs_as(to, broker_epoch) {
            self.post(Envelope::Decision { to, broker_epoch, answer });
        }
    }

    /// A proposal reaches a controller that was deposed at the start and does not know. It can have nothing committed; but it
    /// may answer what it need not decide.
    fn ask_deposed(&mut self, at: usize) {
        self.state.left.deposed -= 1;
        self.notes.event(name::ASKED_DEPOSED);
        let envelope = self.state.network.take(at);
        let Envelope::Proposal { from, proposal } = envelope.get() else { return };
        let (memory, deposed) = (&self.world.memory, self.world.deposed());
        let ruling =
            deposed.fate(Request::Alter(envelope).key(), || deposed.ruling(Request::Alter(envelope), memory));
        assert!(ruling.after.partition() == deposed.partition(), "it is behind, and decides nothing");
        if let Some(answer) = ruling.answer {
            self.answer(*from, proposal.broker_epoch, answer);
        }
    }

    /// Ends every write and every sync that is not to end apart.
    pub(super) fn complete_what_ends_at_once(&mut self) {
        let Bounds { writes, syncs, .. } = self.world.bounds;
        for replica in self.state.replicas() {
            while writes == Writes::AtOnce && !self.state.broker(replica).disk.writes.is_empty() {
                self.feed(replica, Event::Write);
            }
            if syncs == Syncs::AtOnce {
                self.complete_syncs(replica);
            }
        }
    }

    /// These replicas were taken into the ISR on their leader's word: whatever they had lost, they hold it again (R42).
    fn joined(&mut self, joined: IsrSet) {
        for replica in joined.iter() {
            if self.state.broker(replica).disk.unclean {
                self.change(replica, |broker| broker.disk.unclean = false);
            }
        }
    }

    fn deliver_message(&mut self, to: ReplicaIdx, message: &Message, envelope: Part<Envelope>) {
        if self.state.run(to).is_none() {
            return;
        }
        let refused = self.feed(to, Event::Delivered(envelope));
        if refused.is_some_and(is_stale) {
            let asks = matches!(message, Message::Fetch(_) | Message::Progress(_));
            self.notes.event(if asks { name::STALE_REQUEST } else { name::STALE_ANSWER });
        }
        if let Message::FetchAnswer(answer) = message
            && refused.is_none()
        {
            self.is_to_this_run(to, answer);
        }
        if let Message::FetchAnswer(FetchAnswer { body: FetchBody::Diverging(diverging), .. }) = message
            && refused.is_none()
        {
            self.has_cut(to, *diverging);
        }
    }

    /// R13: an answer that is taken answers a request of this very run. That it does no harm here, where a run asks anew from the
    /// end of its log and what a leader wrote in its epoch stays, is no reason to rest on it.
    fn is_to_this_run(&mut self, follower: ReplicaIdx, answer: &FetchAnswer) {
        let own = self.state.run(follower).map(|run| run.broker_epoch);
        let answered = answer.answered.broker_epoch;
        if let Err(found) = answer_is_to_this_run(follower, own, answered) {
            self.notes.broke(found.property, || found.details);
        }
    }

    /// RL8: a cut, even of nothing, leaves no epoch that the leader said it does not have; else both argue for ever.
    fn has_cut(&mut self, follower: ReplicaIdx, diverging: EpochEnd<LeaderEpoch>) {
        let last = self.state.run(follower).and_then(|run| run.core.log().last_epoch());
        if let Err(found) = cut_leaves_no_epoch_that_the_leader_lacks(follower, last, diverging) {
            self.notes.broke(found.property, || found.details);
        }
    }

    /// The process is gone; its clients learn nothing.
    fn end(&mut self, replica: ReplicaIdx, leave: impl FnOnce(&mut Disk)) {
        self.change(replica, |broker| {
            broker.run = None;
            leave(&mut broker.disk);
        });
        let waits = |standing: &Standing| *standing == Standing::Open(replica);
        if self.state.ledger.clients.iter().any(waits) {
            self.record(|ledger| {
                ledger
                    .clients
                    .iter_mut()
                    .filter(|standing| waits(standing))
                    .for_each(|standing| *standing = Standing::Unknown);
            });
        }
    }

    fn lose_power(&mut self, replica: ReplicaIdx, kept: u8) {
        self.state.left.power_losses -= 1;
        let counts_unsynced = self.world.counts_unsynced();
        let disk = &self.state.broker(replica).disk;
        let counted = if counts_unsynced { disk.written } else { disk.flushed };
        if kept < counted {
            self.record(|ledger| ledger.ghost.lossy += 1);
        }
        self.end(replica, |disk| {
            disk.same_boot = None;
            disk.unclean |= kept < counted;
            disk.lose(kept);
        });
    }

    /// Recovery and registration. Between the two a broker has no broker epoch, so that nobody could hear from it: they
    /// are one step.
    fn start(&mut self, replica: ReplicaIdx) {
        let applied = self.state.cluster.current().metadata_offset;
        let Disk { same_boot, clean_stop, .. } = self.state.broker(replica).disk;
        self.ask(Request::Register { replica, same_boot, clean_stop });
        let broker_epoch = self.state.cluster.broker(replica).broker_epoch;
        let known = self.state.cluster.current().leader_epoch;
        let world = self.world;
        self.change(replica, |broker| world.begin(broker, broker_epoch, applied, known));
    }

    /// A heartbeat that asks to shut down; when it may, the broker stops with everything synced (Q56, R60).
    fn stop(&mut self, replica: ReplicaIdx) {
        let first = self.state.cluster.broker(replica).stopping.is_none();
        self.state.left.shutdowns -= u8::from(first);
        let broker_epoch = self.state.run(replica).expect("a running broker").broker_epoch;
        if self.heartbeat(replica, true) {
            let keeps_backup = self.state.left.restores > 0;
            self.end(replica, |disk| disk.stop(broker_epoch, keeps_backup));
        }
    }
}

impl World {
    /// A broker's process begins, with a core as it comes back from this disk. The checkpointed watermark is a hint that
    /// may be missing (R63): it is.
    pub(super) fn begin(
        &self,
        broker: &mut Broker,
        broker_epoch: BrokerEpoch,
        applied: Offset,
        known: LeaderEpoch,
    ) {
        let disk = &mut broker.disk;
        disk.same_boot = Some(broker_epoch);
        disk.clean_stop = None;
        let entries = (0..).map(Offset).zip(&disk.entries);
        let batches: Vec<BatchSummary> = entries.map(|(offset, entry)| summary(offset, *entry)).collect();
        let recovered = Recovered { log: disk.shape(), high_watermark: Offset::ZERO, batches: &batches };
        let tenure = Tenure { broker_epoch, ..self.tenure(broker.replica) };
        let core = Replica::recover(&tenure, self.planted, recovered);
        broker.run = Some(Run { broker_epoch, core, applied, known, timers: SmallVec::new() });
    }
}

/// Whether a message was refused because the epoch, the incarnation or the request that it belongs to is over.
fn is_stale(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::FencedLeaderEpoch { .. }
            | Refusal::StaleBrokerEpoch { .. }
            | Refusal::StaleRequest { .. }
            | Refusal::StaleAnswer
    )
}
