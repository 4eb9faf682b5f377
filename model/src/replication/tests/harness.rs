//! Three replicas, a register for a controller and a network that delivers everything in order: the life of a record.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::*;

/// Three replicas whose effects are carried out at once.
struct Cluster {
    replicas: Vec<Subject>,
    logs: Vec<Vec<BatchSummary>>,
    inbox: VecDeque<(ReplicaIdx, Input)>,
    register: PartitionView,
    cut_off: IsrSet,
    acknowledged: Vec<(u64, u64)>,
    refused: Vec<(u64, Refusal)>,
    proposals: Vec<IsrSet>,
    ends: Vec<u64>,
}

impl Cluster {
    fn new(flush: FlushPolicy) -> Self {
        let mut cluster = Self {
            replicas: [R0, R1, R2].map(|own| Subject::new(own, None)).into(),
            logs: alloc::vec![Vec::new(); 3],
            inbox: VecDeque::new(),
            register: PartitionView { flush, ..view(1, R0, 1, &[R0, R1, R2]) },
            cut_off: IsrSet::EMPTY,
            acknowledged: Vec::new(),
            refused: Vec::new(),
            proposals: Vec::new(),
            ends: Vec::new(),
        };
        cluster.publish();
        cluster
    }

    /// Gives the register to every replica that is not cut off, and lets everything happen that follows.
    fn publish(&mut self) {
        for replica in [R0, R1, R2] {
            self.inbox.push_back((replica, Input::View(self.register.clone())));
        }
        self.run();
    }

    fn change(&mut self, leader: ReplicaIdx, isr: &[ReplicaIdx]) {
        let version = self.register.partition_epoch.0 + 1;
        let leader_epoch = self.register.leader_epoch.0 + u32::from(self.register.leader != Some(leader));
        self.register =
            PartitionView { flush: self.register.flush, ..view(version, leader, leader_epoch, isr) };
        self.publish();
    }

    fn give(&mut self, to: ReplicaIdx, input: Input) {
        self.inbox.push_back((to, input));
        self.run();
    }

    fn run(&mut self) {
        while let Some((to, input)) = self.inbox.pop_front() {
            if self.cut_off.contains(to) {
                continue;
            }
            let at = usize::from(to.0);
            let mut effects = Vec::new();
            let arrived = if let Input::Produce { batch, .. } = &input { Some(*batch) } else { None };
            let subject = &mut self.replicas[at];
            if subject.replica.step(&subject.tenure, input, &mut effects).is_ok() {
                effects.into_iter().for_each(|effect| self.carry_out(to, arrived, effect));
            }
        }
    }

    fn carry_out(&mut self, own: ReplicaIdx, arrived: Option<BatchSummary>, effect: Effect) {
        let log = &mut self.logs[usize::from(own.0)];
        match effect {
            Effect::AppendLocal { base_offset, end, leader_epoch, generation, .. } => {
                let batch = arrived.expect("only a produce appends");
                log.push(BatchSummary { base_offset, leader_epoch, ..batch });
                self.inbox.push_back((own, Input::Written { end, generation }));
            }
            Effect::AppendFetched { batches, end, generation } => {
                log.extend(batches);
                self.inbox.push_back((own, Input::Written { end, generation }));
            }
            Effect::Truncate { to, .. } => log.retain(|batch| batch.end() <= to),
            Effect::RestartLog { .. } => log.clear(),
            Effect::TrimLog { to } => log.retain(|batch| batch.end() > to),
            Effect::Sync { up_to, generation } => {
                self.inbox.push_back((own, Input::Flushed { end: up_to, generation }));
            }
            Effect::Send { to, message } => {
                let batches = attach(log, &message);
                if !self.cut_off.contains(own) {
                    self.inbox.push_back((to, Input::Message { from: own, message, batches }));
                }
            }
            Effect::ProposeIsr(proposal) => self.decide(own, &proposal),
            Effect::Acknowledge(token) => {
                self.acknowledged.push((token.request_id().0, token.base_offset().0));
            }
            Effect::Refuse { request_id, refusal } => self.refused.push((request_id.0, refusal)),
            Effect::EndKnown(token) => self.ends.push(token.offset().0),
            Effect::HighWatermark(_)
            | Effect::FollowerHighWatermark(_)
            | Effect::Arm(_)
            | Effect::Disarm(_) => {}
        }
    }

    fn decide(&mut self, own: ReplicaIdx, proposal: &AlterPartition) {
        self.proposals.push(proposal.isr());
        assert_eq!(proposal.partition_epoch, self.register.partition_epoch);
        let partition_epoch = proposal.partition_epoch.next();
        let metadata_offset = self.register.metadata_offset.after(1);
        self.register =
            PartitionView { partition_epoch, metadata_offset, isr: proposal.isr(), ..self.register.clone() };
        let PartitionView { leader_epoch, isr, min_isr, flush, .. } = self.register;
        let outcome = AlterPartitionOutcome::Applied { leader_epoch, partition_epoch, isr, min_isr, flush };
        let request_id = proposal.request_id;
        self.inbox
            .push_back((own, Input::AlterPartitionAnswered(AlterPartitionAnswer { request_id, outcome })));
        for replica in [R0, R1, R2] {
            self.inbox.push_back((replica, Input::View(self.register.clone())));
        }
    }

    fn replica(&self, replica: ReplicaIdx) -> &Replica<Planted> {
        &self.replicas[usize::from(replica.0)].replica
    }
}

/// The batches of an answer's range.
fn attach(log: &[BatchSummary], message: &Message) -> Batches {
    let Message::FetchAnswer(FetchAnswer { body: FetchBody::Records { from, end }, .. }) = *message else {
        return Batches::new();
    };
    log.iter().copied().filter(|batch| from <= batch.base_offset && batch.end() <= end).collect()
}

#[test]
fn a_record_reaches_every_replica_before_it_is_acknowledged() {
    for flush in [FlushPolicy::Os, FlushPolicy::Commit] {
        let mut cluster = Cluster::new(flush);
        cluster.give(R0, produce(Acks::All, 1, plain(3)));

        assert_eq!(cluster.acknowledged, [(1, 0)]);
        assert!(cluster.logs.iter().all(|log| *log == cluster.logs[0] && log.len() == 1));
        assert_eq!(cluster.replica(R0).high_watermark(), Offset(3));
    }
}

#[test]
fn a_deposed_leader_cuts_what_nobody_else_has_and_what_was_acknowledged_stays() {
    let mut cluster = Cluster::new(FlushPolicy::Commit);
    cluster.give(R0, produce(Acks::All, 1, plain(2)));
    // The other two go on without the leader, which writes what it can never commit.
    cluster.cut_off = [R1, R2].into_iter().collect();
    cluster.give(R0, produce(Acks::Leader, 2, plain(1)));
    cluster.give(R0, produce(Acks::All, 3, plain(5)));
    cluster.cut_off = [R0].into_iter().collect();
    cluster.change(R1, &[R1, R2]);
    cluster.give(R1, produce(Acks::All, 4, plain(1)));
    assert_eq!(cluster.acknowledged, [(1, 0), (2, 2), (4, 2)]);

    // It hears of its deposition, cuts to the end of the epoch that they share, and joins again.
    cluster.cut_off = IsrSet::EMPTY;
    cluster.publish();
    let refusal = Refusal::NotLeader { leader: Some(R1), leader_epoch: LeaderEpoch(2) };
    assert_eq!(cluster.refused, [(3, refusal)]);
    assert!(cluster.logs.iter().all(|log| *log == cluster.logs[1]));
    assert_eq!(cluster.proposals, [IsrSet::first(3)]);
    assert_eq!(cluster.replica(R1).view().isr, IsrSet::first(3));
}

#[test]
fn a_lagging_follower_leaves_the_isr_and_comes_back() {
    let mut cluster = Cluster::new(FlushPolicy::Commit);
    cluster.cut_off = [R2].into_iter().collect();
    cluster.give(R0, produce(Acks::All, 1, plain(1)));
    assert_eq!(cluster.acknowledged, []);

    cluster.give(R0, Input::Expired(Timer::Lag(R2)));
    assert_eq!(cluster.proposals, [[R0, R1].into_iter().collect()]);
    assert_eq!(cluster.acknowledged, [(1, 0)]);

    cluster.cut_off = IsrSet::EMPTY;
    cluster.publish();
    cluster.give(R2, Input::Expired(Timer::FetchRetry));
    assert_eq!(cluster.proposals.last(), Some(&IsrSet::first(3)));
    assert_eq!(cluster.logs[2], cluster.logs[0]);
}

#[test]
fn an_end_read_is_answered_after_a_round_of_fetches() {
    let mut cluster = Cluster::new(FlushPolicy::Os);
    cluster.give(R0, produce(Acks::All, 1, plain(4)));
    cluster.give(R0, Input::EndRead { request_id: RequestId(2) });
    assert_eq!(cluster.ends, [4]);

    cluster.cut_off = [R2].into_iter().collect();
    cluster.give(R0, Input::EndRead { request_id: RequestId(3) });
    assert_eq!(cluster.ends, [4]);
}
