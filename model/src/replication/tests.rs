//! What the tests of the handlers share: replicas in a known role, and the words to drive them.

mod append;
mod end_read;
mod follow;
mod harness;
mod isr;
mod lag;
mod lead;
mod producer;
mod random;
mod recover;
mod room;
mod serve;
mod watermark;

use alloc::vec::Vec;

use smallvec::smallvec;

use super::*;
use crate::api::Acks;
use crate::fault::{Bug, Planted};
use crate::id::{
    BrokerEpoch, LeaderEpoch, LogGeneration, NodeId, Offset, PartitionEpoch, PartitionIndex, ProducerEpoch,
    ProducerId, RequestId, Sequence, TopicId, TopicPartition,
};
use crate::log::LogShape;

pub(super) const R0: ReplicaIdx = ReplicaIdx(0);
pub(super) const R1: ReplicaIdx = ReplicaIdx(1);
pub(super) const R2: ReplicaIdx = ReplicaIdx(2);

/// Registration of the broker behind a replica in these tests.
pub(super) fn registration(replica: ReplicaIdx) -> BrokerEpoch {
    BrokerEpoch(10 + u64::from(replica.0))
}

pub(super) fn tenure(own: ReplicaIdx) -> Tenure {
    Tenure {
        partition: TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) },
        own,
        replicas: smallvec![NodeId(1), NodeId(2), NodeId(3)],
        broker_epoch: registration(own),
    }
}

/// Three eligible replicas, `min.insync.replicas` 2, `flush=os`, partition epoch and metadata offset `version`.
pub(super) fn view(version: u32, leader: ReplicaIdx, leader_epoch: u32, isr: &[ReplicaIdx]) -> PartitionView {
    let replica = |idx| ReplicaView { broker_epoch: Some(registration(idx)), eligible: true };
    PartitionView {
        metadata_offset: Offset(100 + u64::from(version)),
        leader: Some(leader),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(version),
        isr: isr.iter().copied().collect(),
        min_isr: 2,
        flush: FlushPolicy::Os,
        replicas: [R0, R1, R2].map(replica).into_iter().collect(),
    }
}

pub(super) fn under_commit(view: PartitionView) -> PartitionView {
    PartitionView { flush: FlushPolicy::Commit, ..view }
}

pub(super) fn empty_replica(tenure: &Tenure, bug: Option<Bug>) -> Replica<Planted> {
    let log = LogShape::empty(Offset::ZERO);
    Replica::recover(tenure, Planted(bug), Recovered { log, high_watermark: Offset::ZERO, batches: &[] })
}

/// One replica and what it is driven with.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) tenure: Tenure,
    pub(super) replica: Replica<Planted>,
}

impl Subject {
    pub(super) fn new(own: ReplicaIdx, bug: Option<Bug>) -> Self {
        let tenure = tenure(own);
        Self { replica: empty_replica(&tenure, bug), tenure }
    }

    /// Takes an input that must be accepted.
    pub(super) fn take(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.step(&self.tenure, input, &mut effects).expect("the input is legal here");
        effects
    }

    /// Takes an input that must be refused, and checks that nothing came of it.
    pub(super) fn refuse(&mut self, input: Input) -> Refusal {
        let before = self.replica.clone();
        let mut effects = Vec::new();
        let refusal =
            self.replica.step(&self.tenure, input, &mut effects).expect_err("the input is not legal here");
        assert_eq!((&self.replica, effects), (&before, Vec::new()), "a refusal changes nothing");
        refusal
    }

    /// Appends a batch of `count` plain records and completes its write.
    pub(super) fn append(&mut self, count: u32) -> Vec<Effect> {
        let base = self.replica.log().end();
        let mut effects = self.take(produce(Acks::None, 90 + base.0, plain(count)));
        effects.extend(self.take(self.written()));
        effects
    }

    /// The completion of every write that is under way.
    pub(super) fn written(&self) -> Input {
        Input::Written { end: self.replica.log().end(), generation: self.replica.generation() }
    }

    /// The completion of a sync of everything.
    pub(super) fn flushed(&self) -> Input {
        Input::Flushed { end: self.replica.log().end(), generation: self.replica.generation() }
    }
}

/// A leader of this ISR in leader epoch 1, with an empty log.
pub(super) fn leader(isr: &[ReplicaIdx], bug: Option<Bug>) -> Subject {
    let mut subject = Subject::new(R0, bug);
    subject.take(Input::View(view(1, R0, 1, isr)));
    subject
}

pub(super) fn plain(count: u32) -> BatchSummary {
    let (base_offset, leader_epoch) = (Offset::ZERO, LeaderEpoch(0));
    BatchSummary { base_offset, count, leader_epoch, producer: None, kind: BatchKind::Data }
}

pub(super) fn sequenced(producer: u64, producer_epoch: u16, first: u32, count: u32) -> BatchSummary {
    let producer = BatchProducer {
        id: ProducerId(producer),
        producer_epoch: ProducerEpoch(producer_epoch),
        first_sequence: Sequence(first),
        last_sequence: Sequence(first).after(count - 1),
    };
    BatchSummary { producer: Some(producer), ..plain(count) }
}

pub(super) fn produce(acks: Acks, request: u64, batch: BatchSummary) -> Input {
    Input::Produce { acks, request_id: RequestId(request), batch }
}

/// A fetch of that follower in leader epoch 1 from `offset`, all of it synced.
pub(super) fn fetch(from: ReplicaIdx, request: u64, offset: u64) -> Fetch {
    Fetch {
        leader_epoch: LeaderEpoch(1),
        broker_epoch: registration(from),
        request_id: RequestId(request),
        generation: Default::default(),
        fetch_offset: Offset(offset),
        durable_end: Offset(offset),
        last_epoch: (offset > 0).then_some(LeaderEpoch(1)),
        log_start: Offset::ZERO,
        round: ReadRound::default(),
    }
}

pub(super) fn from(sender: ReplicaIdx, message: Message) -> Input {
    Input::Message { from: sender, message, batches: Batches::new() }
}

pub(super) fn acknowledged(request: u64, base: u64) -> Effect {
    Effect::Acknowledge(Acknowledgement { request_id: RequestId(request), base_offset: Offset(base) })
}

pub(super) fn visible(offset: u64, leader_epoch: u32) -> Effect {
    let (offset, leader_epoch) = (Offset(offset), LeaderEpoch(leader_epoch));
    Effect::HighWatermark(VisibleHighWatermark { offset, leader_epoch })
}

/// The answer to that fetch, with records of `[from, end)` or none.
pub(super) fn records(to: ReplicaIdx, request: u64, range: (u64, u64), high_watermark: u64) -> FetchAnswer {
    let body = FetchBody::Records { from: Offset(range.0), end: Offset(range.1) };
    answer(to, request, high_watermark, body)
}

pub(super) fn answer(to: ReplicaIdx, request: u64, high_watermark: u64, body: FetchBody) -> FetchAnswer {
    let generation = LogGeneration::default();
    FetchAnswer {
        answered: Answered { request_id: RequestId(request), broker_epoch: registration(to), generation },
        leader_epoch: LeaderEpoch(1),
        high_watermark: Offset(high_watermark),
        log_start: Offset::ZERO,
        round: ReadRound::default(),
        body,
    }
}

pub(super) fn sent(to: ReplicaIdx, message: Message) -> Effect {
    Effect::Send { to, message }
}

pub(super) fn answered(to: ReplicaIdx, answer: FetchAnswer) -> Effect {
    sent(to, Message::FetchAnswer(answer))
}

pub(super) fn arm(timer: Timer) -> Effect {
    Effect::Arm(timer)
}

pub(super) fn disarm(timer: Timer) -> Effect {
    Effect::Disarm(timer)
}

/// A proposal of the leader of these tests, of members that it has all heard from.
pub(super) fn proposal(request: u64, partition_epoch: u32, isr: &[ReplicaIdx]) -> AlterPartition {
    let member = |replica: &ReplicaIdx| ProposedMember {
        replica: *replica,
        broker_epoch: Some(registration(*replica)),
    };
    AlterPartition {
        request_id: RequestId(request),
        broker_epoch: registration(R0),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(partition_epoch),
        members: isr.iter().map(member).collect(),
    }
}
