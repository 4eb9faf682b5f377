//! Why a command was not done: typed, with the facts of both sides, and what to do next.

mod text;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::error_code::ErrorCode;
use crate::id::{
    BrokerEpoch, DirectoryId, LeaderEpoch, NodeId, Offset, PartitionEpoch, RequestId, TopicId, TopicPartition,
};
use crate::replication::{AlterPartitionAnswer, AlterPartitionOutcome};

/// Why a command was refused; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CommandRefusal {
    /// This node ceased to be the active controller before the command was committed: its outcome is open (Q57).
    Deposed,
    /// The decision was not taken into the metadata log, and never will be: nothing was changed.
    NotAppended,
    /// The request knows epochs that this controller does not: it is the one that is behind (R45, B-23).
    ControllerBehind {
        /// The partition.
        partition: TopicPartition,
        /// The request's leader epoch.
        leader_epoch: LeaderEpoch,
        /// The request's partition epoch.
        partition_epoch: PartitionEpoch,
    },
    /// No broker is registered under that id.
    BrokerNotRegistered {
        /// The id.
        node: NodeId,
    },
    /// The request speaks for another registration.
    StaleBrokerEpoch {
        /// The broker.
        node: NodeId,
        /// The epoch in the request.
        given: BrokerEpoch,
        /// The registered one.
        registered: BrokerEpoch,
    },
    /// The request speaks for a registration that this controller does not know yet: it is the one that is behind.
    BrokerEpochAhead {
        /// The broker.
        node: NodeId,
        /// The epoch in the request.
        given: BrokerEpoch,
        /// The registered one.
        registered: BrokerEpoch,
    },
    /// Another process of that id has a live session (Q51).
    DuplicateRegistration {
        /// The id.
        node: NodeId,
        /// Where the other process listens.
        address: String,
    },
    /// The registration that it would replace is not the current one; nothing was changed.
    RegistrationMoved {
        /// The id.
        node: NodeId,
        /// The registration that the request would replace.
        given: Option<BrokerEpoch>,
        /// The current one.
        registered: Option<BrokerEpoch>,
    },
    /// A log directory belongs to another broker (MI1).
    DirectoryInUse {
        /// The directory.
        directory: DirectoryId,
        /// The broker that registered it.
        node: NodeId,
    },
    /// No topic has that name.
    UnknownTopic {
        /// The name.
        name: String,
    },
    /// No topic has that id.
    UnknownTopicId {
        /// The id.
        topic: TopicId,
    },
    /// The topic has no such partition.
    UnknownPartition {
        /// The partition.
        partition: TopicPartition,
    },
    /// A topic has that name, or that id.
    TopicExists {
        /// The name.
        name: String,
        /// The id of the topic that has it.
        topic: TopicId,
    },
    /// The name is not legal.
    InvalidTopicName {
        /// The name.
        name: String,
    },
    /// The number of partitions is not legal.
    InvalidPartitions {
        /// How many there are.
        current: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// The replication factor is not legal.
    InvalidReplicationFactor {
        /// How many replicas were asked for.
        asked: u32,
        /// How many brokers could hold one.
        available: u32,
    },
    /// A replica assignment is not legal.
    InvalidAssignment {
        /// The partition, by its place in the request.
        partition: u32,
        /// What is wrong with it.
        problem: AssignmentProblem,
    },
    /// A configuration property is unknown or its value is not legal.
    InvalidConfig(super::ConfigError),
    /// The configuration was changed since (compare-and-set).
    ConfigMoved {
        /// The offset that the request expected.
        expected: Offset,
        /// The offset of its last change.
        actual: Offset,
    },
    /// The proposer does not lead the partition in that leader epoch (R43.2).
    FencedLeaderEpoch {
        /// The partition.
        partition: TopicPartition,
        /// The request's leader epoch.
        given: LeaderEpoch,
        /// The partition's.
        current: LeaderEpoch,
    },
    /// The partition has changed since (R43.3).
    StalePartitionEpoch {
        /// The partition.
        partition: TopicPartition,
        /// The request's partition epoch.
        given: PartitionEpoch,
        /// The partition's.
        current: PartitionEpoch,
    },
    /// A proposed member may not be in the ISR (R43.4). Nothing was applied, and the partition epoch is current.
    IneligibleReplica {
        /// The partition.
        partition: TopicPartition,
        /// The members.
        nodes: Vec<NodeId>,
    },
    /// The proposal is not well formed (R43.5, R43.6).
    InvalidIsr {
        /// The partition.
        partition: TopicPartition,
        /// What is wrong with it.
        problem: IsrProblem,
    },
    /// No replica may be elected.
    NoCandidate {
        /// The partition.
        partition: TopicPartition,
    },
}

/// What is wrong with a replica assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AssignmentProblem {
    /// It names no replica, or more than a partition may have.
    Size,
    /// It names a broker twice.
    Repeated,
    /// It names a broker that is not registered.
    Unregistered,
    /// Its partitions are not `0, 1, 2, …` in order.
    Order,
    /// None of its brokers is active, so that nobody could lead.
    NoneActive,
}

/// What is wrong with a proposed ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IsrProblem {
    /// The leader is not in it (R43.5).
    LeaderMissing,
    /// It names a broker that is not a replica.
    NotReplica,
    /// The partition is recovering from an unclean election (R43.6).
    Recovering,
}

impl CommandRefusal {
    /// Kafka's code for it. `NOT_CONTROLLER` says for certain that nothing was done here; an open outcome is
    /// `REQUEST_TIMED_OUT`, so that nobody repeats what may have taken effect (Q57).
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Deposed => ErrorCode::RequestTimedOut,
            Self::NotAppended | Self::ControllerBehind { .. } | Self::BrokerEpochAhead { .. } => {
                ErrorCode::NotController
            }
            Self::BrokerNotRegistered { .. } => ErrorCode::BrokerIdNotRegistered,
            Self::StaleBrokerEpoch { .. } => ErrorCode::StaleBrokerEpoch,
            Self::DuplicateRegistration { .. } | Self::DirectoryInUse { .. } => {
                ErrorCode::DuplicateBrokerRegistration
            }
            Self::UnknownTopic { .. } | Self::UnknownPartition { .. } => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownTopicId { .. } => ErrorCode::UnknownTopicId,
            Self::TopicExists { .. } => ErrorCode::TopicAlreadyExists,
            Self::InvalidTopicName { .. } => ErrorCode::InvalidTopicException,
            Self::InvalidPartitions { .. } => ErrorCode::InvalidPartitions,
            Self::InvalidReplicationFactor { .. } => ErrorCode::InvalidReplicationFactor,
            Self::InvalidAssignment { .. } => ErrorCode::InvalidReplicaAssignment,
            Self::InvalidConfig(_) => ErrorCode::InvalidConfig,
            Self::ConfigMoved { .. } | Self::StalePartitionEpoch { .. } | Self::RegistrationMoved { .. } => {
                ErrorCode::InvalidUpdateVersion
            }
            Self::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            Self::IneligibleReplica { .. } => ErrorCode::IneligibleReplica,
            Self::InvalidIsr { .. } => ErrorCode::InvalidRequest,
            Self::NoCandidate { .. } => ErrorCode::LeaderNotAvailable,
        }
    }
}

/// What a leader is told of its proposal, as R45 tells outcomes apart. `None` when the outcome is open, or when another
/// controller is to be asked: then it is told nothing, and its timer repeats the proposal.
#[must_use]
pub fn answer_to_proposal(
    request_id: RequestId,
    answer: &Result<Outcome, CommandRefusal>,
) -> Option<AlterPartitionAnswer> {
    let outcome = match answer {
        Ok(Outcome::PartitionAltered(answer)) => return Some(*answer),
        Ok(_) => return None,
        Err(CommandRefusal::Deposed) => return None,
        Err(refusal) if refusal.code() == ErrorCode::NotController => return None,
        Err(CommandRefusal::IneligibleReplica { .. }) => AlterPartitionOutcome::NotApplied,
        Err(refusal) => AlterPartitionOutcome::Behind(refusal.code()),
    };
    Some(AlterPartitionAnswer { request_id, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_outcome_is_never_told_as_not_done() {
        assert_eq!(CommandRefusal::Deposed.code(), ErrorCode::RequestTimedOut);
        assert_eq!(CommandRefusal::NotAppended.code(), ErrorCode::NotController);
    }

    #[test]
    fn a_leader_hears_nothing_of_a_proposal_that_it_is_to_make_again() {
        for refusal in [CommandRefusal::Deposed, CommandRefusal::NotAppended] {
            assert_eq!(answer_to_proposal(RequestId(1), &Err(refusal)), None);
        }
    }
}
