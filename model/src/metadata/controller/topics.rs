//! Topics: created, deleted, grown, configured (R82, R83, X4).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use smallvec::SmallVec;

use super::super::{
    AssignmentProblem, CommandRefusal, Missing, MissingReason, Outcome, PARTITIONS_MAX, Partition,
    PartitionRecord, Record, Topic, TopicConfig, TopicConfigured, TopicCreated, TopicRemoved,
    effective_min_isr,
};
use super::change::replica_count;
use super::decision::{Decision, Scene, record};
use super::placement::place;
use crate::api::{ConfigChange, NewTopic, ReplicaAssignment};
use crate::fault::{Bug, Faults};
use crate::id::{LeaderEpoch, NodeId, Offset, PartitionEpoch, PartitionIndex, TopicId, TopicPartition};
use crate::replication::{IsrSet, REPLICAS_MAX};

/// Replicas of one partition.
type Replicas = SmallVec<[NodeId; 4]>;

impl<F: Faults> Scene<'_, F> {
    /// The topic, its configuration and all its partitions in one batch (MI5).
    pub(super) fn create_topic(
        &self,
        id: TopicId,
        new: &NewTopic,
        validate_only: bool,
    ) -> Result<Decision, CommandRefusal> {
        self.is_new_name(id, &new.name)?;
        let mut config = TopicConfig::default();
        for (name, value) in &new.configs {
            config.change(name, Some(value)).map_err(CommandRefusal::InvalidConfig)?;
        }
        let assignments = self.assignments(id, new)?;
        let partitions = u32::try_from(assignments.len()).unwrap_or(u32::MAX);
        let outcome = Outcome::TopicCreated { topic: id, partitions };
        if validate_only {
            return Ok(Decision::nothing(outcome));
        }
        let mut records =
            vec![Record::TopicCreated(TopicCreated { topic: id, name: Arc::from(new.name.as_str()) })];
        if !new.configs.is_empty() {
            let changes =
                new.configs.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect();
            records.push(Record::TopicConfigured(TopicConfigured { topic: id, changes }));
        }
        records.extend(self.partition_records(id, 0, assignments, &config));
        Ok(Decision { records, outcome })
    }

    fn is_new_name(&self, id: TopicId, name: &str) -> Result<(), CommandRefusal> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.bytes().all(legal) {
            return Err(CommandRefusal::InvalidTopicName { name: name.into() });
        }
        match self.image.topic_by_name(name).or_else(|| self.image.topic(id)) {
            Some(topic) => Err(CommandRefusal::TopicExists { name: (*topic.name).into(), topic: topic.id }),
            None => Ok(()),
        }
    }

    fn assignments(&self, id: TopicId, new: &NewTopic) -> Result<Vec<Replicas>, CommandRefusal> {
        if !new.assignments.is_empty() {
            return self.by_hand(&new.assignments);
        }
        let asked = new.partitions.unwrap_or(self.tenure.partitions_default);
        if asked == 0 || asked > PARTITIONS_MAX {
            return Err(CommandRefusal::InvalidPartitions { current: 0, asked });
        }
        let factor = new.replication_factor.unwrap_or(self.tenure.replication_factor_default);
        self.placed(id, 0..asked, factor)
    }

    /// Replicas that were named by hand: all different, all registered, one of them active.
    fn by_hand(&self, assignments: &[ReplicaAssignment]) -> Result<Vec<Replicas>, CommandRefusal> {
        let refused = |partition, problem| Err(CommandRefusal::InvalidAssignment { partition, problem });
        let asked = u32::try_from(assignments.len()).unwrap_or(u32::MAX);
        if asked > PARTITIONS_MAX {
            return Err(CommandRefusal::InvalidPartitions { current: 0, asked });
        }
        let mut wanted = Vec::with_capacity(assignments.len());
        for (index, assignment) in (0..).zip(assignments) {
            let replicas = &assignment.replicas;
            let repeated =
                replicas.iter().enumerate().any(|(at, node)| replicas.iter().skip(at + 1).any(|n| n == node));
            let brokers = || replicas.iter().map(|node| self.image.broker(*node));
            if replicas.is_empty() || replicas.len() > usize::from(REPLICAS_MAX) {
                return refused(index, AssignmentProblem::Size);
            } else if assignment.partition.0 != index {
                return refused(index, AssignmentProblem::Order);
            } else if repeated {
                return refused(index, AssignmentProblem::Repeated);
            } else if brokers().any(|broker| broker.is_none()) {
                return refused(index, AssignmentProblem::Unregistered);
            } else if !brokers().flatten().any(super::super::Broker::is_active) {
                return refused(index, AssignmentProblem::NoneActive);
            }
            wanted.push(replicas.iter().copied().collect());
        }
        Ok(wanted)
    }

    /// Replicas by [`place`], over the active brokers first.
    fn placed(
        &self,
        id: TopicId,
        indexes: core::ops::Range<u32>,
        factor: u16,
    ) -> Result<Vec<Replicas>, CommandRefusal> {
        let usable = self.image.brokers().iter().filter(|broker| broker.stopping.is_none());
        let (spare, active): (Vec<_>, Vec<_>) = usable.partition(|broker| broker.fenced);
        let nodes = |brokers: Vec<&super::super::Broker>| -> Vec<NodeId> {
            brokers.into_iter().map(|broker| broker.node).collect()
        };
        let (active, spare) = (nodes(active), nodes(spare));
        let spare = if self.faults.has(Bug::SpareIsAnyBroker) { active.clone() } else { spare };
        let usable = if active.is_empty() { 0 } else { active.len() + spare.len() };
        let available = u32::try_from(usable).unwrap_or(u32::MAX).min(u32::from(REPLICAS_MAX));
        if factor == 0 || u32::from(factor) > available {
            return Err(CommandRefusal::InvalidReplicationFactor { asked: u32::from(factor), available });
        }
        let start = u64::try_from(id.0 & u128::from(u32::MAX)).expect("the lower half of an id fits");
        Ok(indexes.map(|index| place(&active, &spare, factor, start, index)).collect())
    }

    fn partition_records(
        &self,
        topic: TopicId,
        first: u32,
        assignments: Vec<Replicas>,
        config: &TopicConfig,
    ) -> Vec<Record> {
        let made = |(index, replicas)| {
            let partition = TopicPartition { topic, partition: PartitionIndex(index) };
            Record::Partition(PartitionRecord { partition, state: self.new_partition(replicas, config) })
        };
        (first..).zip(assignments).map(made).collect()
    }

    /// A partition begins with every active replica in sync, in leader epoch 0 (R83).
    fn new_partition(&self, replicas: Replicas, config: &TopicConfig) -> Partition {
        let mut state = Partition {
            replicas,
            leader: None,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: IsrSet::EMPTY,
            eligible_leaders: IsrSet::EMPTY,
            last_known_leader: None,
            recovering: false,
            min_isr: 1,
            flush: config.flush_policy(),
            flush_since: Offset::ZERO,
            missing: SmallVec::new(),
        };
        state.min_isr = effective_min_isr(config.min_insync_replicas(), replica_count(&state));
        state.isr = self.acceptable(&state, None);
        state.leader = state.isr.iter().next();
        let absent = IsrSet::first(replica_count(&state)).minus(state.isr);
        let (reason, since_ms) = (MissingReason::NeverJoined, self.at_ms);
        state.missing = absent.iter().map(|replica| Missing { replica, reason, since_ms }).collect();
        state
    }

    fn named(&self, name: &str) -> Result<&Topic, CommandRefusal> {
        self.image.topic_by_name(name).ok_or_else(|| CommandRefusal::UnknownTopic { name: name.into() })
    }

    /// R82: by id, so that a topic made again is another one.
    pub(super) fn delete_topic(&self, name: &str) -> Result<Decision, CommandRefusal> {
        let topic = self.named(name)?.id;
        Ok(Decision { records: vec![Record::TopicRemoved(TopicRemoved { topic })], outcome: Outcome::Done })
    }

    /// R83: a topic grows and never shrinks; new partitions have as many replicas as its first.
    pub(super) fn create_partitions(&self, name: &str, total: u32) -> Result<Decision, CommandRefusal> {
        let topic = self.named(name)?;
        let current = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        if total <= current || total > PARTITIONS_MAX {
            return Err(CommandRefusal::InvalidPartitions { current, asked: total });
        }
        let factor = topic.partitions.first().map_or(1, |first| u16::from(replica_count(first)));
        let assignments = self.placed(topic.id, current..total, factor)?;
        let records = self.partition_records(topic.id, current, assignments, &topic.config);
        Ok(Decision { records, outcome: Outcome::Done })
    }

    /// All changes or none, and the partitions that they concern in the same batch (X4, MI7).
    pub(super) fn alter_configs(
        &self,
        name: &str,
        changes: &[ConfigChange],
        expected_offset: Option<Offset>,
    ) -> Result<Decision, CommandRefusal> {
        let topic = self.named(name)?;
        let actual = topic.config_offset;
        if let Some(expected) = expected_offset.filter(|expected| *expected != actual) {
            return Err(CommandRefusal::ConfigMoved { expected, actual });
        }
        if changes.is_empty() {
            return Ok(Decision::nothing(Outcome::ConfigsAltered { offset: actual }));
        }
        let mut config = topic.config.clone();
        for change in changes {
            config.change(&change.name, change.value.as_deref()).map_err(CommandRefusal::InvalidConfig)?;
        }
        let listed: Vec<(String, Option<String>)> =
            changes.iter().map(|change| (change.name.clone(), change.value.clone())).collect();
        let mut records = vec![Record::TopicConfigured(TopicConfigured { topic: topic.id, changes: listed })];
        records.extend(topic.named_partitions().filter_map(|(at, state)| {
            let unclean = config.unclean_leader_election();
            let change = self.change(at, state).configured(&config, self.image.end());
            record(at, &change.unclean_allowed(unclean))
        }));
        Ok(Decision { records, outcome: Outcome::ConfigsAltered { offset: actual } })
    }
}
