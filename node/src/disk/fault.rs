//! What can go wrong with storage.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// A storage fault. It names the file, and it is never retried into silence.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The system refused an operation.
    #[error("{operation} {path}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To which file, with the log directory's name.
        path: String,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// There is no room. What was written of the append has been cut away; what was there can be read, and appending
    /// may be tried again when there is room.
    #[error("no space left for {bytes} bytes in {path}; free some space in the log directory")]
    Full {
        /// Which file.
        path: String,
        /// How many bytes were to be appended.
        bytes: u64,
    },
    /// A sync failed, now or earlier: nobody knows what the kernel dropped. The directory stays offline until the
    /// process is started again and has recovered it.
    #[error("log directory {directory} is offline since syncing {path} gave: {reason}")]
    Offline {
        /// The directory.
        directory: String,
        /// The file whose sync failed.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// There is no such file.
    #[error("{path} is missing")]
    Missing {
        /// Which file.
        path: String,
    },
    /// The file is there already.
    #[error("{path} exists")]
    Exists {
        /// Which file.
        path: String,
    },
    /// Another process uses the directory.
    #[error("log directory {directory} is in use by another process")]
    Locked {
        /// The directory.
        directory: String,
    },
    /// A path that leaves the directory.
    #[error("{path:?} is not a path within a log directory")]
    BadPath {
        /// The path.
        path: String,
    },
    /// A file does not hold what its format demands.
    #[error("{path}: {what}")]
    Malformed {
        /// Which file.
        path: String,
        /// What was seen against what was expected.
        what: String,
    },
    /// Batches do not continue the log. Nothing was written.
    #[error(
        "{path}: batch at offset {found} of leader epoch {found_epoch:?}, expected offset {expected} of epoch {expected_epoch} or later"
    )]
    Misplaced {
        /// Which log.
        path: String,
        /// The batch's base offset.
        found: u64,
        /// Its leader epoch.
        found_epoch: Option<u32>,
        /// The log's end.
        expected: u64,
        /// The log's latest epoch.
        expected_epoch: u32,
    },
    /// Records asked for are below the log's start or beyond its end.
    #[error("{path}: offset {offset} is not within {start} to {end}")]
    OutOfRange {
        /// Which log.
        path: String,
        /// The offset asked for.
        offset: u64,
        /// First offset of the log, inclusive.
        start: u64,
        /// End of the log, exclusive.
        end: u64,
    },
    /// A log is to be cut where no batch ends. Nothing was cut.
    #[error("{path}: no batch ends at {offset}: the one that is there begins at {base}")]
    WithinBatch {
        /// Which log.
        path: String,
        /// Where it was to be cut.
        offset: u64,
        /// Base offset of the batch.
        base: u64,
    },
    /// A cut of a log was begun and failed: nobody knows where it ends on the disk. Nothing was written.
    #[error(
        "{path} was being cut when that failed; where it ends is found out when it is opened again, as a restart of the broker does"
    )]
    CutOpen {
        /// Which log.
        path: String,
    },
    /// Whoever carried out the operation is gone; its outcome is unknown.
    #[error("the operation was abandoned; its outcome is unknown")]
    Gone,
}

impl Fault {
    /// Whether it is the caller's to wait for room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the directory is offline.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Offline { .. })
    }

    /// Whether a file is missing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}
