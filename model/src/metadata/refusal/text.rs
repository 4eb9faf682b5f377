//! Refusals in words: what was seen against what was expected, and what to do next.

use core::fmt;

use super::{AssignmentProblem, CommandRefusal, IsrProblem};

/// What [`CommandRefusal::Deposed`] says.
const DEPOSED: &str = "the active controller changed before the decision was committed; it may still take effect: look \
                       before you ask again";

impl core::error::Error for CommandRefusal {}

impl fmt::Display for CommandRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deposed => f.write_str(DEPOSED),
            Self::NotAppended => f.write_str(
                "the active controller could not write its decision and gives up; nothing was changed: ask again",
            ),
            Self::BrokerNotRegistered { node } => {
                write!(f, "broker {node} is not registered; register it first")
            }
            Self::StaleBrokerEpoch { node, given, registered } => write!(
                f,
                "broker {node} spoke for registration {given}, but {registered} is the current one; register again"
            ),
            Self::BrokerEpochAhead { node, given, registered } => write!(
                f,
                "registration {given} of broker {node} is newer than {registered}, which this controller knows; find \
                 the active controller and ask it"
            ),
            Self::DuplicateRegistration { node, address } => write!(
                f,
                "node id {node} is in use by a live broker at {address}; stop that one, wait for its session to end, \
                 or choose another node.id"
            ),
            Self::RegistrationMoved { node, given, registered } => write!(
                f,
                "node {node} has registration {registered:?}, and this one would replace {given:?}; register again \
                 with what is current"
            ),
            Self::DirectoryInUse { directory, node } => write!(
                f,
                "log directory {directory} is registered by broker {node}; a copied directory must be formatted anew"
            ),
            Self::UnknownTopic { .. }
            | Self::UnknownTopicId { .. }
            | Self::TopicExists { .. }
            | Self::InvalidTopicName { .. }
            | Self::InvalidPartitions { .. }
            | Self::InvalidReplicationFactor { .. }
            | Self::InvalidAssignment { .. }
            | Self::InvalidConfig(_)
            | Self::ConfigMoved { .. } => fmt_topic(self, f),
            Self::ControllerBehind { .. }
            | Self::UnknownPartition { .. }
            | Self::FencedLeaderEpoch { .. }
            | Self::StalePartitionEpoch { .. }
            | Self::IneligibleReplica { .. }
            | Self::InvalidIsr { .. }
            | Self::NoCandidate { .. } => fmt_partition(self, f),
        }
    }
}

/// The refusals that speak of a topic.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller names the variants that come here")]
fn fmt_topic(refusal: &CommandRefusal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use CommandRefusal as R;
    match refusal {
        R::UnknownTopic { name } => {
            write!(f, "there is no topic {name:?}; list the topics, or create it first")
        }
        R::UnknownTopicId { topic } => {
            write!(f, "there is no topic with id {topic}; it may have been deleted")
        }
        R::TopicExists { name, topic } => {
            write!(f, "topic {name:?} exists with id {topic}; choose another name, or delete it first")
        }
        R::InvalidTopicName { name } => write!(
            f,
            "topic name {name:?} is not legal; use 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', but not '.' or '..'"
        ),
        R::InvalidPartitions { current: 0, asked } => {
            write!(f, "a topic cannot have {asked} partitions; ask for 1 to {}", super::super::PARTITIONS_MAX)
        }
        R::InvalidPartitions { current, asked } => write!(
            f,
            "the topic has {current} partitions and cannot go to {asked}; ask for more than {current} and at most {}",
            super::super::PARTITIONS_MAX
        ),
        R::InvalidReplicationFactor { asked, available: 0 } => write!(
            f,
            "{asked} replicas were asked for and no broker is ready to hold one; start one, or wait for one that is \
             starting"
        ),
        R::InvalidReplicationFactor { asked, available } => write!(
            f,
            "{asked} replicas were asked for and {available} brokers can hold one; ask for 1 to {available}, or start \
             more brokers"
        ),
        R::InvalidAssignment { partition, problem } => {
            write!(f, "the assignment of partition {partition} {}", problem.text())
        }
        R::InvalidConfig(error) => fmt::Display::fmt(error, f),
        R::ConfigMoved { expected, actual } => write!(
            f,
            "the configuration was last changed at metadata offset {actual}, not {expected}; read it and try again"
        ),
        other => write!(f, "{other:?}"),
    }
}

/// The refusals that speak of a partition.
#[expect(clippy::wildcard_enum_match_arm, reason = "the caller names the variants that come here")]
fn fmt_partition(refusal: &CommandRefusal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use CommandRefusal as R;
    match refusal {
        R::ControllerBehind { partition, leader_epoch, partition_epoch } => write!(
            f,
            "leader epoch {leader_epoch} and partition epoch {partition_epoch} of {partition} are newer than this \
             controller's; find the active controller and ask it"
        ),
        R::UnknownPartition { partition } => {
            write!(f, "there is no partition {partition}; it may be yet to come")
        }
        R::FencedLeaderEpoch { partition, given, current } => write!(
            f,
            "{partition} is in leader epoch {current} and the request's leader epoch {given} does not lead it; wait \
             for the metadata"
        ),
        R::StalePartitionEpoch { partition, given, current } => write!(
            f,
            "{partition} is in partition epoch {current}, not {given}; wait for the metadata and propose again"
        ),
        R::IneligibleReplica { partition, nodes } => write!(
            f,
            "brokers {nodes:?} may not join the ISR of {partition}: each is fenced, shutting down, or registered \
             anew; propose again when it has caught up under its registration"
        ),
        R::InvalidIsr { partition, problem } => {
            write!(f, "the ISR proposed for {partition} {}", problem.text())
        }
        R::NoCandidate { partition } => write!(
            f,
            "no replica of {partition} may be elected; start one of the brokers that hold it, or ask for an unclean \
             election and accept the loss"
        ),
        other => write!(f, "{other:?}"),
    }
}

impl AssignmentProblem {
    /// The rest of the sentence.
    const fn text(self) -> &'static str {
        match self {
            Self::Size => "names no replica or too many; name 1 to 32",
            Self::Repeated => "names a broker twice; name each once",
            Self::Unregistered => "names a broker that is not registered; start it first",
            Self::Order => "is out of order; list partitions 0, 1, 2, … without a gap",
            Self::NoneActive => "names no broker that could lead; name one that is running",
        }
    }
}

impl IsrProblem {
    /// The rest of the sentence.
    const fn text(self) -> &'static str {
        match self {
            Self::LeaderMissing => "leaves out its leader",
            Self::NotReplica => "names a broker that is not a replica",
            Self::Recovering => "has more than its leader, which is still to say that it recovered",
        }
    }
}
