//! Invariants as named predicates, one file each.

pub mod metadata;
mod monitor;
pub mod quorum;
pub mod replication;

use alloc::string::String;

pub use monitor::{Monitor, When};

/// A broken invariant: which, and the values that break it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property's name, for example `quorum/one_leader_per_epoch`.
    pub property: &'static str,
    /// The values that break it, in words.
    pub details: String,
}
