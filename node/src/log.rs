//! One log on a [`Disk`](crate::disk::Disk): segments, indexes, checkpoints and recovery, for partitions and for the quorum alike.
//!
//! Responsible for the bytes of a log: appending batches that have been stamped, reading whole batches back, cutting,
//! trimming, and finding after a crash what is sound. Leaves to `model` every decision, and to the driver the log's
//! shape: epochs pass through as numbers. docs/FORMAT.md describes each file.

mod checkpoint;
mod compare;
mod config;
mod dump;
mod epochs;
mod index;
mod log_start;
mod metadata;
mod names;
mod partition;
mod reader;
mod recovered;
mod recovery;
mod restart;
mod rewrite;
mod segment;
mod snapshots;
pub mod uuid;

pub use checkpoint::{HIGH_WATERMARKS, OffsetCheckpoint, RECOVERY_POINTS};
pub use compare::{Agreed, Difference, Held, Replica, compare};
pub use config::{Hints, LogConfig, Stop};
pub use dump::{Described, Dump, dump};
pub use metadata::topic_id_of;
pub use names::{directory_of, parse_directory, stray_of};
pub use partition::PartitionLog;
pub use recovered::{Cut, CutReason, EpochEntry, Recovered};
pub use snapshots::{SnapshotName, Snapshots};

use highwater_model::id::Offset;

/// The kernel has every record below `end`, exclusive (X10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Exclusive.
    pub end: Offset,
}

/// Every record below `end`, exclusive, survives a power loss (X11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flushed {
    /// Exclusive.
    pub end: Offset,
}

/// The log has been cut, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// Where it ends now, exclusive: as asked for, unless it ended before.
    pub end: Offset,
}

#[cfg(test)]
mod tests;
