//! What is asked of the active controller, and what it answers when it was done.
//!
//! Each command is one decision; a request that names several topics is several commands. Refusals are in
//! [`super::CommandRefusal`].

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Registration;
use crate::api::{ConfigChange, NewTopic};
use crate::id::{
    BrokerEpoch, DirectoryId, NodeId, Offset, PartitionEpoch, ProducerId, TopicId, TopicPartition,
};
use crate::replication::{AlterPartition, AlterPartitionAnswer};

/// A broker's sign of life (Q53).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The broker.
    pub node: NodeId,
    /// Its registration.
    pub broker_epoch: BrokerEpoch,
    /// End of the metadata that it has applied, exclusive.
    pub metadata_offset: Offset,
    /// It asks to be, or to stay, fenced.
    pub want_fence: bool,
    /// It asks to shut down under control (Q56).
    pub want_shutdown: bool,
    /// Log directories that failed; a broker with one of them stays fenced.
    pub offline_directories: Vec<DirectoryId>,
}

/// Which election an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Election {
    /// Back to the first replica, if it is in sync (R52).
    Preferred,
    /// Any live replica, even if that loses records (R53).
    Unclean,
}

/// One decision asked of the active controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// A broker registers (Q51, Q52, R60).
    RegisterBroker(Registration),
    /// A broker is alive (Q53 to Q56).
    Heartbeat(Heartbeat),
    /// A leader proposes an ISR (R43).
    AlterPartition {
        /// The leader's broker, by its authenticated identity.
        node: NodeId,
        /// Which partition.
        partition: TopicPartition,
        /// The proposal.
        proposal: AlterPartition,
    },
    /// A topic is to be made, with all its partitions (R83).
    CreateTopic {
        /// Its id, fresh from the driver's randomness: an id is never used twice (R82).
        topic: TopicId,
        /// Name, size, configuration.
        new: NewTopic,
        /// Only say whether it would be done.
        validate_only: bool,
    },
    /// A topic is to go.
    DeleteTopic {
        /// Its name.
        name: String,
    },
    /// A topic is to grow to so many partitions (R83).
    CreatePartitions {
        /// Its name.
        name: String,
        /// Partitions in all.
        total: u32,
    },
    /// Configuration of a topic is to change, all changes or none.
    AlterConfigs {
        /// Its name.
        name: String,
        /// The changes.
        changes: Vec<ConfigChange>,
        /// Only if its configuration was last changed at this metadata offset.
        expected_offset: Option<Offset>,
    },
    /// A broker wants producer ids to hand out.
    AllocateProducerIds {
        /// The broker.
        node: NodeId,
        /// Its registration.
        broker_epoch: BrokerEpoch,
    },
    /// An operator wants leaders elected.
    ElectLeader {
        /// Of this partition.
        partition: TopicPartition,
        /// In this way.
        election: Election,
    },
}

/// What came of a command that was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Outcome {
    /// The broker is registered under this epoch, fenced until it has caught up.
    Registered {
        /// Its registration.
        broker_epoch: BrokerEpoch,
    },
    /// The controller's view of the broker.
    Heartbeat {
        /// Whether it is fenced.
        fenced: bool,
        /// Whether it may stop: it leads nothing, and every active broker knows (Q56).
        may_stop: bool,
    },
    /// The ISR was accepted.
    PartitionAltered(AlterPartitionAnswer),
    /// The topic exists.
    TopicCreated {
        /// Its id.
        topic: TopicId,
        /// Number of its partitions.
        partitions: u32,
    },
    /// The configuration is as asked.
    ConfigsAltered {
        /// The metadata offset of the change, to be expected by the next one.
        offset: Offset,
    },
    /// `first` and the `count - 1` ids after it are the broker's.
    ProducerIds {
        /// First id, inclusive.
        first: ProducerId,
        /// How many.
        count: u32,
    },
    /// The partition is led, or an election would change nothing.
    LeaderElected {
        /// Who leads, if anyone does.
        leader: Option<NodeId>,
        /// The partition's epoch now.
        partition_epoch: PartitionEpoch,
    },
    /// Done, with nothing to say.
    Done,
}
