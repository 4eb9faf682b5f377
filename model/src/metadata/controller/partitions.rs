//! Proposals of leaders, and elections that are asked for (R43, R45, R52, R53).

use alloc::vec::Vec;

use super::super::{CommandRefusal, Election, IsrProblem, Outcome, Partition, Record};
use super::decision::{Decision, Scene, record};
use crate::fault::{Bug, Faults};
use crate::id::{NodeId, TopicPartition};
use crate::replication::{
    AlterPartition, AlterPartitionAnswer, AlterPartitionOutcome, ProposedMember, ReplicaIdx,
};

impl<F: Faults> Scene<'_, F> {
    /// R43, in its order. Every accepted proposal raises the partition epoch, also one that changes nothing else.
    pub(super) fn alter_partition(
        &self,
        node: NodeId,
        at: TopicPartition,
        proposal: &AlterPartition,
    ) -> Result<Decision, CommandRefusal> {
        self.registered(node, proposal.broker_epoch)?;
        let state = self.existing(at)?;
        let leader = self.leads(node, at, state, proposal)?;
        self.is_current(at, state, proposal)?;
        self.is_well_formed(at, state, leader, proposal)?;
        let recovering = state.recovering;
        let change = self.change(at, state);
        let after = if recovering { change.recovered() } else { change.proposed(proposal.isr()) }.outcome();
        let mut after = after.unwrap_or_else(|| state.clone());
        if after == *state {
            after.partition_epoch = state.partition_epoch.next();
        }
        let outcome = AlterPartitionOutcome::Applied {
            leader_epoch: after.leader_epoch,
            partition_epoch: after.partition_epoch,
            isr: after.isr,
            min_isr: after.min_isr,
            flush: after.flush,
        };
        let answer = AlterPartitionAnswer { request_id: proposal.request_id, outcome };
        Ok(Decision {
            records: [Record::Partition(super::super::PartitionRecord { partition: at, state: after })]
                .into(),
            outcome: Outcome::PartitionAltered(answer),
        })
    }

    fn existing(&self, at: TopicPartition) -> Result<&Partition, CommandRefusal> {
        let topic = self.image.topic(at.topic).ok_or(CommandRefusal::UnknownTopicId { topic: at.topic })?;
        topic.partition(at.partition).ok_or(CommandRefusal::UnknownPartition { partition: at })
    }

    /// R43.2. A request from the future means that this controller is behind, not that the leader is (R45).
    fn leads(
        &self,
        node: NodeId,
        at: TopicPartition,
        state: &Partition,
        proposal: &AlterPartition,
    ) -> Result<ReplicaIdx, CommandRefusal> {
        let ahead =
            proposal.leader_epoch > state.leader_epoch || proposal.partition_epoch > state.partition_epoch;
        let fenced = CommandRefusal::FencedLeaderEpoch {
            partition: at,
            given: proposal.leader_epoch,
            current: state.leader_epoch,
        };
        if ahead {
            let behind = CommandRefusal::ControllerBehind {
                partition: at,
                leader_epoch: proposal.leader_epoch,
                partition_epoch: proposal.partition_epoch,
            };
            return Err(if self.faults.has(Bug::StaleControllerFences) { fenced } else { behind });
        }
        let leader = state.replica_on(node).filter(|replica| state.leader == Some(*replica));
        leader.filter(|_| proposal.leader_epoch == state.leader_epoch).ok_or(fenced)
    }

    /// R43.3: a strict compare-and-set.
    fn is_current(
        &self,
        at: TopicPartition,
        state: &Partition,
        proposal: &AlterPartition,
    ) -> Result<(), CommandRefusal> {
        let (given, current) = (proposal.partition_epoch, state.partition_epoch);
        if given == current || self.faults.has(Bug::NoPartitionEpoch) {
            return Ok(());
        }
        Err(CommandRefusal::StalePartitionEpoch { partition: at, given, current })
    }

    /// R43.4 and R43.5.
    fn is_well_formed(
        &self,
        at: TopicPartition,
        state: &Partition,
        leader: ReplicaIdx,
        proposal: &AlterPartition,
    ) -> Result<(), CommandRefusal> {
        let problem = |problem| Err(CommandRefusal::InvalidIsr { partition: at, problem });
        if proposal.members.iter().any(|member| state.node(member.replica).is_none()) {
            return problem(IsrProblem::NotReplica);
        }
        if !proposal.isr().contains(leader) {
            return problem(IsrProblem::LeaderMissing);
        }
        let ineligible = proposal.members.iter().filter(|member| !self.is_eligible(state, member));
        let nodes: Vec<NodeId> = ineligible.filter_map(|member| state.node(member.replica)).collect();
        if nodes.is_empty() {
            Ok(())
        } else {
            Err(CommandRefusal::IneligibleReplica { partition: at, nodes })
        }
    }

    /// R43.4 for one member: its broker is active, and is the one that the leader heard from.
    fn is_eligible(&self, state: &Partition, member: &ProposedMember) -> bool {
        let Some(broker) = state.node(member.replica).and_then(|node| self.image.broker(node)) else {
            return false;
        };
        let same = match member.broker_epoch {
            Some(heard) => heard == broker.broker_epoch || self.faults.has(Bug::StaleBrokerEpoch),
            None => state.isr.contains(member.replica),
        };
        same && (broker.is_active() || self.faults.has(Bug::FencedReadmitted))
    }

    /// R52, R53.
    pub(super) fn elect_leader(
        &self,
        at: TopicPartition,
        election: Election,
    ) -> Result<Decision, CommandRefusal> {
        let state = self.existing(at)?;
        let change = self.change(at, state);
        let change = match election {
            Election::Preferred => change.preferred(),
            Election::Unclean => change.unclean_allowed(true),
        };
        let after = change.outcome();
        let now = after.as_ref().unwrap_or(state);
        if now.leader.is_none() {
            return Err(CommandRefusal::NoCandidate { partition: at });
        }
        let outcome =
            Outcome::LeaderElected { leader: now.leader_node(), partition_epoch: now.partition_epoch };
        Ok(Decision { records: record(at, &change).into_iter().collect(), outcome })
    }

    /// R52: every partition back to its preferred leader, where that is in sync.
    pub(super) fn rebalance(&self) -> Vec<Record> {
        let back = |(at, state)| record(at, &self.change(at, state).preferred());
        self.image.partitions().filter_map(back).collect()
    }
}
