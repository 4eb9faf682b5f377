//! What a decision looks at, and what it is.

use alloc::vec::Vec;

use super::super::{Broker, Command, CommandRefusal, Image, Outcome, Partition, PartitionRecord, Record};
use super::Tenure;
use super::change::Change;
use super::office::Session;
use crate::fault::Faults;
use crate::id::{BrokerEpoch, NodeId, TopicPartition};
use crate::replication::IsrSet;

/// Records that belong together, and the answer once they are committed.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) records: Vec<Record>,
    pub(super) outcome: Outcome,
}

impl Decision {
    /// An answer that changes nothing.
    pub(super) fn nothing(outcome: Outcome) -> Self {
        Self { records: Vec::new(), outcome }
    }
}

/// What a decision may look at.
#[derive(Debug)]
pub(super) struct Scene<'a, F> {
    pub(super) faults: F,
    pub(super) tenure: &'a Tenure,
    pub(super) image: &'a Image,
    pub(super) sessions: &'a [Session],
    pub(super) at_ms: u64,
}

impl<F: Faults> Scene<'_, F> {
    pub(super) fn decide(&self, command: &Command) -> Result<Decision, CommandRefusal> {
        match command {
            Command::RegisterBroker(registration) => self.register(registration),
            Command::Heartbeat(heartbeat) => self.heartbeat(heartbeat),
            Command::AlterPartition { node, partition, proposal } => {
                self.alter_partition(*node, *partition, proposal)
            }
            Command::CreateTopic { topic, new, validate_only } => {
                self.create_topic(*topic, new, *validate_only)
            }
            Command::DeleteTopic { name } => self.delete_topic(name),
            Command::CreatePartitions { name, total } => self.create_partitions(name, *total),
            Command::AlterConfigs { name, changes, expected_offset } => {
                self.alter_configs(name, changes, *expected_offset)
            }
            Command::AllocateProducerIds { node, broker_epoch } => {
                self.allocate_producer_ids(*node, *broker_epoch)
            }
            Command::ElectLeader { partition, election } => self.elect_leader(*partition, *election),
        }
    }

    /// The broker, if that is its registration (R43.1, Q53).
    pub(super) fn registered(&self, node: NodeId, given: BrokerEpoch) -> Result<&Broker, CommandRefusal> {
        let broker = self.image.broker(node).ok_or(CommandRefusal::BrokerNotRegistered { node })?;
        let registered = broker.broker_epoch;
        match given.cmp(&registered) {
            core::cmp::Ordering::Equal => Ok(broker),
            core::cmp::Ordering::Less => Err(CommandRefusal::StaleBrokerEpoch { node, given, registered }),
            core::cmp::Ordering::Greater => Err(CommandRefusal::BrokerEpochAhead { node, given, registered }),
        }
    }

    /// Replicas that may be elected, `node` taken as active or not whatever the image says (R51).
    pub(super) fn acceptable(&self, partition: &Partition, with: Option<(NodeId, bool)>) -> IsrSet {
        let active = |node| match with {
            Some((other, active)) if other == node => active,
            _ => self.image.broker(node).is_some_and(Broker::is_active),
        };
        partition.assignment().filter(|(_, node)| active(*node)).map(|(replica, _)| replica).collect()
    }

    /// A change of the partition that so far changes nothing.
    pub(super) fn change<'p>(&self, at: TopicPartition, before: &'p Partition) -> Change<'p, F> {
        let config = self.image.topic(at.topic).map(|topic| &topic.config);
        Change::new(self.faults, before, self.acceptable(before, None), self.at_ms)
            .unclean_allowed(config.is_some_and(super::super::TopicConfig::unclean_leader_election))
            .judged_by(config)
    }
}

/// The record of a change, if it changes anything.
pub(super) fn record<F: Faults>(at: TopicPartition, change: &Change<'_, F>) -> Option<Record> {
    change.outcome().map(|state| Record::Partition(PartitionRecord { partition: at, state }))
}
