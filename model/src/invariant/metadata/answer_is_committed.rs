//! X5: what the controller answers is committed.
//!
//! Source: rule X5, KIP-595. Catches an answer that is given when its decision is in the log, and not yet committed.

use alloc::format;

use super::ensure;
use crate::id::{BrokerEpoch, NodeId, TopicId, TopicPartition};
use crate::invariant::Violation;
use crate::metadata::{Command, CommandRefusal, Image, Outcome};
use crate::replication::AlterPartitionOutcome;

/// The property's name.
pub const ANSWER_IS_COMMITTED: &str = "metadata/answer_is_committed";

/// What a command is about, as far as its answer promises anything of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// This broker registers, or is alive.
    Broker(NodeId),
    /// The ISR of this partition.
    Partition(TopicPartition),
    /// A topic that is to be made.
    Topic,
    /// Its answer promises nothing that an image could show.
    Other,
}

impl Subject {
    /// What this command is about.
    #[must_use]
    pub fn of(command: &Command) -> Self {
        match command {
            Command::RegisterBroker(registration) => Self::Broker(registration.node),
            Command::Heartbeat(heartbeat) => Self::Broker(heartbeat.node),
            Command::AlterPartition { partition, .. } => Self::Partition(*partition),
            Command::CreateTopic { validate_only: false, .. } => Self::Topic,
            Command::CreateTopic { .. }
            | Command::DeleteTopic { .. }
            | Command::CreatePartitions { .. }
            | Command::AlterConfigs { .. }
            | Command::AllocateProducerIds { .. }
            | Command::ElectLeader { .. } => Self::Other,
        }
    }
}

/// What the controller answers to a command about `subject` is in `image`, the committed one; topics that were `deleted` may
/// be gone again.
///
/// # Errors
/// With the values that break it.
pub fn answer_is_committed(
    subject: Subject,
    answer: &Result<Outcome, CommandRefusal>,
    image: &Image,
    deleted: &[TopicId],
) -> Result<(), Violation> {
    let Ok(outcome) = answer else { return Ok(()) };
    let committed = match (outcome, subject) {
        (Outcome::Registered { broker_epoch }, _) => broker_epoch.0 < image.end().0,
        (Outcome::Heartbeat { fenced: false, .. }, Subject::Broker(node)) => {
            image.broker(node).is_some_and(|broker| !broker.fenced)
        }
        (Outcome::PartitionAltered(answer), Subject::Partition(at)) => match answer.outcome {
            AlterPartitionOutcome::Applied { partition_epoch, .. } => {
                image.partition(at).is_some_and(|state| state.partition_epoch >= partition_epoch)
            }
            AlterPartitionOutcome::NotApplied | AlterPartitionOutcome::Behind(_) => true,
        },
        (Outcome::TopicCreated { topic, .. }, Subject::Topic) => {
            image.topic(*topic).is_some() || deleted.contains(topic)
        }
        _ => true,
    };
    ensure(ANSWER_IS_COMMITTED, committed, || {
        format!("{answer:?} about {subject:?}, and the committed image ends at {}", image.end())
    })
}

/// As far as a broker can tell by itself: the registration that it was told of is in an image of metadata beyond it, unless
/// the node has registered anew.
///
/// # Errors
/// With the values that break it.
pub fn registration_is_committed(node: NodeId, told: BrokerEpoch, image: &Image) -> Result<(), Violation> {
    let registered = image.broker(node).map(|broker| broker.broker_epoch);
    let holds = image.end().0 <= told.0 || registered >= Some(told);
    ensure(ANSWER_IS_COMMITTED, holds, || {
        format!(
            "broker {node} was told of its registration {told}, and at metadata offset {} it has {registered:?}",
            image.end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{AT, changed, healthy, with};
    use super::*;
    use crate::id::{LeaderEpoch, PartitionEpoch, RequestId};
    use crate::metadata::Record;
    use crate::replication::{AlterPartitionAnswer, FlushPolicy, IsrSet};

    #[test]
    fn answers_beyond_the_committed_image_are_found() {
        let judged = |subject, outcome| answer_is_committed(subject, &Ok(outcome), &healthy(), &[]).is_ok();
        let registered = |broker_epoch| Outcome::Registered { broker_epoch: BrokerEpoch(broker_epoch) };
        let broker = Subject::Broker(NodeId(2));
        assert!(judged(broker, registered(8)));
        assert!(!judged(broker, registered(9)));

        let applied = |partition_epoch| {
            Outcome::PartitionAltered(AlterPartitionAnswer {
                request_id: RequestId(1),
                outcome: AlterPartitionOutcome::Applied {
                    leader_epoch: LeaderEpoch(3),
                    partition_epoch: PartitionEpoch(partition_epoch),
                    isr: IsrSet::EMPTY,
                    min_isr: 1,
                    flush: FlushPolicy::Os,
                },
            })
        };
        assert!(judged(Subject::Partition(AT), applied(5)));
        assert!(!judged(Subject::Partition(AT), applied(6)));

        let created = |topic| Outcome::TopicCreated { topic: TopicId(topic), partitions: 1 };
        assert!(judged(Subject::Topic, created(1)));
        assert!(!judged(Subject::Topic, created(2)));
        assert!(judged(Subject::Other, created(2)), "it was only asked whether it would be done");
    }

    #[test]
    fn a_heartbeat_that_unfences_a_broker_which_the_image_has_fenced_is_found() {
        let alive = Ok(Outcome::Heartbeat { fenced: false, may_stop: false });
        let fenced = with(&[Record::BrokerFenced(changed(2))]);
        let subject = Subject::Broker(NodeId(2));

        assert_eq!(answer_is_committed(subject, &alive, &healthy(), &[]), Ok(()));
        assert!(answer_is_committed(subject, &alive, &fenced, &[]).is_err());
    }

    #[test]
    fn a_registration_that_the_metadata_does_not_have_is_found() {
        let judged = |told| registration_is_committed(NodeId(2), BrokerEpoch(told), &healthy()).is_ok();

        assert!(judged(1));
        assert!(judged(0), "the node has registered anew since");
        assert!(!judged(4));
        assert!(judged(9), "the metadata has not come so far");
    }
}
