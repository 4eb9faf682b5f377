//! One action, carried out.

use highwater_model::api::Acks;
use highwater_model::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};
use highwater_model::log::EpochEnd;
use highwater_model::replication::{
    AlterPartitionOutcome, BatchKind, BatchProducer, BatchSummary, Batches, FetchBody, Input, IsrSet,
    Message, PartitionView, Recovered, Refusal, Replica, ReplicaIdx, Tenure, Timer,
};
use smallvec::SmallVec;

use super::action::Action;
use super::claims::name;
use super::disk::{Disk, Entry};
use super::drive::{Attached, Driver, request_of};
use super::network::Envelope;
use super::state::{Run, Standing};

impl Driver<'_> {
    /// Carries out an enabled action.
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(at) => self.deliver(usize::from(at)),
            Action::Apply(replica) => {
                let run = self.state.run(replica).expect("a running broker");
                let view = self.state.cluster.next_view(run.applied).expect("a view to apply").clone();
                self.apply(replica, view);
            }
            Action::Write(replica) => self.complete_write(replica),
            Action::Flush(replica) => {
                let done = self.state.broker_mut(replica).disk.complete_sync();
                self.plain(replica, Input::Flushed { end: done.end, generation: done.generation });
            }
            Action::Produce(leader) => {
                let value = u8::try_from(self.state.clients.len()).expect("a handful of records");
                self.state.clients.push(Standing::Open(leader));
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
                let failed = self.state.broker_mut(replica).disk.fail_writes();
                self.plain(replica, Input::WriteFailed { end: failed.end, generation: failed.generation });
            }
            Action::Room(replica) => self.expired(replica, Timer::Room),
            Action::Kill(replica, kept) => {
                self.state.left.kills -= 1;
                self.end(replica, kept);
            }
            Action::PowerLoss(replica, kept) => self.lose_power(replica, kept),
            Action::Start(replica) => self.start(replica),
            Action::Expire(replica) => self.expire(replica),
            Action::Unfence(replica) => {
                let applied = self.state.run(replica).expect("a running broker").applied;
                self.state.cluster.change().heartbeat(replica, applied, false);
            }
            Action::Stop(replica) => self.stop(replica),
        }
    }

    fn plain(&mut self, at: ReplicaIdx, input: Input) -> Option<Refusal> {
        self.feed(at, input, &Attached::default())
    }

    fn expired(&mut self, at: ReplicaIdx, timer: Timer) {
        if let Some(run) = self.state.broker_mut(at).run.as_mut() {
            run.set(timer, false);
        }
        self.plain(at, Input::Expired(timer));
    }

    pub(super) fn apply(&mut self, replica: ReplicaIdx, view: PartitionView) {
        if let Some(run) = self.state.broker_mut(replica).run.as_mut() {
            run.applied = view.metadata_offset;
            run.known = view.leader_epoch;
        }
        self.plain(replica, Input::View(view));
    }

    fn produce(&mut self, leader: ReplicaIdx, value: u8, if_refused: Standing) {
        let numbered = self.world.is_idempotent();
        let batch = summary(Offset::ZERO, Entry { value, numbered, ..Entry::default() });
        let acks = self.world.bounds.acks.0;
        let input = Input::Produce { acks, request_id: request_of(value), batch };
        self.open(value, Standing::Open(leader));
        let refused = self.plain(leader, input);
        if refused.is_some() {
            self.notes.event(name::REFUSED);
            self.open(value, if_refused);
        } else if acks == Acks::None {
            self.open(value, Standing::Unknown);
        }
    }

    fn open(&mut self, value: u8, standing: Standing) {
        let known = self.state.clients.get_mut(usize::from(value)).expect("a record that was produced");
        if *known != Standing::Acknowledged {
            *known = standing;
        }
    }

    fn deliver(&mut self, at: usize) {
        match (*self.state.network.take(at)).clone() {
            Envelope::Peer { from, to, message, records } => self.deliver_message(from, to, message, records),
            Envelope::Proposal { from, proposal } => {
                let Some(broker_epoch) = self.state.run(from).map(|run| run.broker_epoch) else { return };
                let before = self.state.cluster.partition().isr;
                let answer = self.state.cluster.change().alter(from, proposal);
                self.joined(self.state.cluster.partition().isr.minus(before));
                if let Some(answer) = answer {
                    if !matches!(answer.outcome, AlterPartitionOutcome::Applied { .. }) {
                        self.notes.event(name::ALTER_REJECTED);
                    }
                    self.state.network.send(Envelope::Decision { to: from, broker_epoch, answer });
                }
            }
            Envelope::Decision { to, answer, .. } => {
                if self.state.run(to).is_some() {
                    self.plain(to, Input::AlterPartitionAnswered(answer));
                }
            }
        }
    }

    fn complete_write(&mut self, replica: ReplicaIdx) {
        let done = self.state.broker_mut(replica).disk.complete_write();
        self.plain(replica, Input::Written { end: done.end, generation: done.generation });
    }

    /// Ends every write that is under way.
    pub(super) fn complete_writes(&mut self) {
        for replica in self.state.replicas() {
            while !self.state.broker(replica).disk.writes.is_empty() {
                self.complete_write(replica);
            }
        }
    }

    /// These replicas were taken into the ISR on their leader's word: whatever they had lost, they hold it again (R42).
    fn joined(&mut self, joined: IsrSet) {
        for replica in joined.iter() {
            self.state.broker_mut(replica).disk.unclean = false;
        }
    }

    fn deliver_message(
        &mut self,
        from: ReplicaIdx,
        to: ReplicaIdx,
        message: Message,
        records: super::disk::Entries,
    ) {
        if self.state.run(to).is_none() {
            return;
        }
        let start = match &message {
            Message::FetchAnswer(answer) => match answer.body {
                FetchBody::Records { from, .. } => from,
                FetchBody::Diverging(_) | FetchBody::OutOfRange => Offset::ZERO,
            },
            Message::Fetch(_) | Message::Progress(_) => Offset::ZERO,
        };
        let offsets = (start.0..).map(Offset);
        let batches: Batches = offsets.zip(&records).map(|(offset, entry)| summary(offset, *entry)).collect();
        let diverging = match &message {
            Message::FetchAnswer(answer) => match answer.body {
                FetchBody::Diverging(diverging) => Some(diverging),
                FetchBody::Records { .. } | FetchBody::OutOfRange => None,
            },
            Message::Fetch(_) | Message::Progress(_) => None,
        };
        let asks = matches!(message, Message::Fetch(_) | Message::Progress(_));
        let input = Input::Message { from, message, batches };
        let refused = self.feed(to, input, &Attached { from: start, records });
        if refused.is_some_and(is_stale) {
            self.notes.event(if asks { name::STALE_REQUEST } else { name::STALE_ANSWER });
        }
        if let Some(diverging) = diverging.filter(|_| refused.is_none()) {
            self.has_cut(to, diverging);
        }
    }

    /// RL8: a cut, even of nothing, leaves no epoch that the leader said it does not have; else both argue for ever.
    fn has_cut(&mut self, follower: ReplicaIdx, diverging: EpochEnd<LeaderEpoch>) {
        let last = self.state.run(follower).and_then(|run| run.core.log().last_epoch());
        if last > Some(diverging.epoch) {
            self.notes.broke(name::CUT_SETTLES, || {
                format!("{follower} still ends in epoch {last:?}; its leader has {diverging:?}")
            });
        }
    }

    /// The process is gone; its clients learn nothing.
    fn end(&mut self, replica: ReplicaIdx, kept: u8) {
        let broker = self.state.broker_mut(replica);
        broker.run = None;
        broker.disk.lose(kept);
        for standing in &mut self.state.clients {
            if *standing == Standing::Open(replica) {
                *standing = Standing::Unknown;
            }
        }
    }

    fn lose_power(&mut self, replica: ReplicaIdx, kept: u8) {
        self.state.left.power_losses -= 1;
        let counts_unsynced = self.world.counts_unsynced();
        let disk = &mut self.state.broker_mut(replica).disk;
        disk.same_boot = None;
        let counted = if counts_unsynced { disk.written } else { disk.flushed };
        disk.unclean |= kept < counted;
        self.state.ghost.lossy += u8::from(kept < counted);
        self.end(replica, kept);
    }

    /// Recovery and registration. Between the two a broker has no broker epoch, so that nobody could hear from it: they
    /// are one step.
    fn start(&mut self, replica: ReplicaIdx) {
        let disk = self.state.broker(replica).disk.clone();
        let cluster = self.state.cluster.change();
        let before = cluster.current().metadata_offset;
        let broker_epoch = cluster.register(replica, &disk);
        let known = cluster.current().leader_epoch;
        let tenure = Tenure { broker_epoch, ..self.world.tenure(replica) };
        let core = self.recovered(&tenure, &disk);
        let broker = self.state.broker_mut(replica);
        broker.disk.same_boot = Some(broker_epoch);
        broker.disk.clean_stop = None;
        broker.run = Some(Run { broker_epoch, core, applied: before, known, timers: SmallVec::new() });
    }

    /// A core as it comes back from this disk. The checkpointed watermark is a hint that may be missing (R63): it is.
    pub(super) fn recovered(&self, tenure: &Tenure, disk: &Disk) -> Replica<highwater_model::fault::Planted> {
        let entries = (0..).map(Offset).zip(&disk.entries);
        let batches: Vec<BatchSummary> = entries.map(|(offset, entry)| summary(offset, *entry)).collect();
        let recovered = Recovered { log: disk.shape(), high_watermark: Offset::ZERO, batches: &batches };
        Replica::recover(tenure, self.world.planted, recovered)
    }

    fn expire(&mut self, replica: ReplicaIdx) {
        let running = self.state.run(replica).is_some();
        self.state.left.elections -= u8::from(running);
        self.state.cluster.change().expire(replica);
    }

    /// A heartbeat that asks to shut down; when it may, the broker stops with everything synced (Q56, R60).
    fn stop(&mut self, replica: ReplicaIdx) {
        let first = self.state.cluster.broker(replica).stopping.is_none();
        self.state.left.shutdowns -= u8::from(first);
        let run = self.state.run(replica).expect("a running broker");
        let (applied, broker_epoch) = (run.applied, run.broker_epoch);
        if self.state.cluster.change().heartbeat(replica, applied, true) {
            let kept = self.state.broker(replica).disk.end();
            self.end(replica, kept);
            let disk = &mut self.state.broker_mut(replica).disk;
            disk.flushed = kept;
            disk.clean_stop = Some(broker_epoch);
        }
    }
}

/// A record as the cores see it: a batch of its own.
fn summary(base_offset: Offset, entry: Entry) -> BatchSummary {
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
