//! One action, carried out.

use highwater_model::api::Acks;
use highwater_model::id::{Offset, ProducerEpoch, ProducerId, Sequence};
use highwater_model::replication::{
    AlterPartitionOutcome, BatchKind, BatchProducer, BatchSummary, Batches, FetchBody, Input, Message,
    Recovered, Refusal, Replica, ReplicaIdx, Tenure, Timer,
};
use smallvec::SmallVec;
use std::sync::Arc;

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
            Action::Apply(replica) => self.apply(replica),
            Action::Write(replica) => {
                let done = self.state.broker_mut(replica).disk.complete_write();
                self.plain(replica, Input::Written { end: done.end, generation: done.generation });
            }
            Action::Flush(replica) => {
                let done = self.state.broker_mut(replica).disk.complete_sync();
                self.plain(replica, Input::Flushed { end: done.end, generation: done.generation });
            }
            Action::Produce(leader) => {
                self.state.clients.push(Standing::Open(leader));
                let value = u8::try_from(self.state.clients.len() - 1).expect("a handful of records");
                self.produce(leader, value);
            }
            Action::Repeat(value, leader) => {
                self.state.spent.retries += 1;
                self.produce(leader, value);
            }
            Action::FetchRetry(replica) => self.expired(replica, Timer::FetchRetry),
            Action::ProposalRetry(replica) => {
                self.state.spent.timeouts += 1;
                self.expired(replica, Timer::AlterPartitionRetry);
            }
            Action::Lag(leader, follower) => {
                self.state.spent.shrinks += 1;
                self.expired(leader, Timer::Lag(follower));
            }
            Action::Kill(replica, kept) => {
                self.state.spent.kills += 1;
                self.end(replica, kept);
            }
            Action::PowerLoss(replica, kept) => self.lose_power(replica, kept),
            Action::Start(replica) => self.start(replica),
            Action::Expire(replica) => self.expire(replica),
            Action::Unfence(replica) => {
                let applied = self.state.run(replica).expect("a running broker").applied;
                Arc::make_mut(&mut self.state.cluster).heartbeat(replica, applied, false);
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

    fn apply(&mut self, replica: ReplicaIdx) {
        let run = self.state.run(replica).expect("a running broker");
        let view = self.state.cluster.next_view(run.applied).expect("a view to apply").clone();
        if let Some(run) = self.state.broker_mut(replica).run.as_mut() {
            run.applied = view.metadata_offset;
            run.known = view.leader_epoch;
        }
        self.plain(replica, Input::View(view));
    }

    fn produce(&mut self, leader: ReplicaIdx, value: u8) {
        let idempotent = self.world.bounds.retries > 0;
        let batch = summary(Offset::ZERO, Entry { value, ..Entry::default() }, idempotent);
        let acks = self.world.bounds.acks.0;
        let input = Input::Produce { acks, request_id: request_of(value), batch };
        self.open(value, Standing::Open(leader));
        if self.plain(leader, input).is_some() || acks == Acks::None {
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
        match self.state.network.take(at) {
            Envelope::Peer { from, to, message, records } => self.deliver_message(from, to, message, records),
            Envelope::Proposal { from, proposal } => {
                let Some(broker_epoch) = self.state.run(from).map(|run| run.broker_epoch) else { return };
                let answer = Arc::make_mut(&mut self.state.cluster).alter(from, proposal);
                if let Some(answer) = answer {
                    let applied = matches!(answer.outcome, AlterPartitionOutcome::Applied { .. });
                    self.notes.event(if applied { name::ALTERED } else { name::ALTER_REJECTED });
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
        let idempotent = self.world.bounds.retries > 0;
        let offsets = (start.0..).map(Offset);
        let batches: Batches =
            offsets.zip(&records).map(|(offset, entry)| summary(offset, *entry, idempotent)).collect();
        let asks = matches!(message, Message::Fetch(_) | Message::Progress(_));
        let input = Input::Message { from, message, batches };
        let refused = self.feed(to, input, &Attached { from: start, records });
        if refused.is_some_and(is_stale) {
            self.notes.event(if asks { name::STALE_REQUEST } else { name::STALE_ANSWER });
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
        self.state.spent.power_losses += 1;
        let disk = &mut self.state.broker_mut(replica).disk;
        disk.same_boot = None;
        self.state.ghost.lossy += u8::from(kept < disk.end());
        self.end(replica, kept);
    }

    /// Recovery and registration. Between the two a broker has no broker epoch, so that nobody could hear from it: they
    /// are one step.
    fn start(&mut self, replica: ReplicaIdx) {
        let disk = self.state.broker(replica).disk.clone();
        let cluster = Arc::make_mut(&mut self.state.cluster);
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
        let idempotent = self.world.bounds.retries > 0;
        let entries = (0..).map(Offset).zip(&disk.entries);
        let batches: Vec<BatchSummary> =
            entries.map(|(offset, entry)| summary(offset, *entry, idempotent)).collect();
        let recovered = Recovered { log: disk.shape(), high_watermark: Offset::ZERO, batches: &batches };
        Replica::recover(tenure, self.world.planted, recovered)
    }

    fn expire(&mut self, replica: ReplicaIdx) {
        let running = self.state.run(replica).is_some();
        self.state.spent.elections += u8::from(running);
        let before = self.state.cluster.partition().clone();
        let cluster = Arc::make_mut(&mut self.state.cluster);
        cluster.expire(replica);
        let after = cluster.partition();
        if after.leader != before.leader
            && after.leader.is_some_and(|leader| before.eligible_leaders.contains(leader))
        {
            self.notes.event(name::ELECTED_FROM_ELR);
        }
    }

    /// A heartbeat that asks to shut down; when it may, the broker stops with everything synced (Q56, R60).
    fn stop(&mut self, replica: ReplicaIdx) {
        let first = self.state.cluster.broker(replica).stopping.is_none();
        self.state.spent.shutdowns += u8::from(first);
        let run = self.state.run(replica).expect("a running broker");
        let (applied, broker_epoch) = (run.applied, run.broker_epoch);
        if Arc::make_mut(&mut self.state.cluster).heartbeat(replica, applied, true) {
            let kept = self.state.broker(replica).disk.end();
            self.end(replica, kept);
            let disk = &mut self.state.broker_mut(replica).disk;
            disk.flushed = kept;
            disk.clean_stop = Some(broker_epoch);
        }
    }
}

/// A record as the cores see it: a batch of its own.
fn summary(base_offset: Offset, entry: Entry, idempotent: bool) -> BatchSummary {
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
        producer: idempotent.then_some(producer),
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
