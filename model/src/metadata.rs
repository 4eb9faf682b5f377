//! The cluster state machine: brokers, topics, partitions, configuration.
//!
//! [`Record`]s are what the metadata log holds, [`Image`] is their fold. [`Controller`] is the active controller: it
//! validates commands against the image and turns each into one atomic batch of records. [`Lifecycle`] is a broker's
//! side: registration, heartbeats, controlled shutdown. How the log is replicated is left to [`crate::quorum`], what a
//! replica does with its partition's state to [`crate::replication`].

mod broker;
mod command;
mod config;
mod controller;
mod health;
mod image;
mod lifecycle;
mod partition;
mod record;
mod refusal;
mod topic;

pub use broker::{Broker, DirectoryFacts, Registration};
pub use command::{Command, Election, Heartbeat, Outcome};
pub use config::{CleanupPolicy, ConfigError, ConfigKey, TopicConfig, effective_min_isr};
pub use controller::{Controller, Effect, Input, Refusal, Reply, Tenure, Timer};
pub use health::Health;
pub use image::Image;
pub use lifecycle::{
    BrokerAnswer, BrokerRequest, Lifecycle, LifecycleEffect, LifecycleInput, LifecycleRefusal,
    LifecycleTenure, LifecycleTimer,
};
pub use partition::{Missing, MissingReason, Partition};
pub use record::{
    BrokerChanged, BrokerRegistered, PartitionRecord, ProducerIdsAllocated, Record, RecordError,
    TopicConfigured, TopicCreated, TopicRemoved,
};
pub use refusal::{AssignmentProblem, CommandRefusal, IsrProblem, answer_to_proposal};
pub use topic::Topic;

/// At most so many partitions per topic.
pub const PARTITIONS_MAX: u32 = 10_000;
