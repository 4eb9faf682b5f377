//! A whole node: its endpoint, its quorum member, its partitions and its request handling, assembled over an
//! environment and a disk.
//!
//! Reaches no clock, file or socket but through these two, so that the same code runs in the simulator.

mod settings;

pub use settings::{Limits, Roles, Settings, Timing, TopicDefaults};
