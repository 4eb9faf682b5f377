//! What may be told to a client: values that only the core can make, once.
//!
//! They have private fields and no public constructor, and are neither `Clone` nor `Deserialize`, so that a driver that
//! acknowledges early, or twice, does not compile.
//!
//! ```compile_fail,E0451
//! use highwater_model::{id::{Offset, RequestId}, replication::Acknowledgement};
//! let forged = Acknowledgement { request_id: RequestId(1), base_offset: Offset(0) };
//! ```
//! ```compile_fail,E0599
//! fn twice(once: highwater_model::replication::Acknowledgement) {
//!     let again = once.clone();
//! }
//! ```
//! ```compile_fail,E0277
//! fn from_the_wire(bytes: &[u8]) {
//!     let forged: highwater_model::replication::EndOfLog = postcard::from_bytes(bytes).unwrap();
//! }
//! ```

use serde::Serialize;

use crate::id::{LeaderEpoch, Offset, RequestId};

/// The right to tell a producer that its batch is held as it asked for (R2).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[must_use = "a producer waits for it"]
pub struct Acknowledgement {
    pub(super) request_id: RequestId,
    pub(super) base_offset: Offset,
}

impl Acknowledgement {
    /// The produce that is acknowledged.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Offset of the first record of its batch.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }
}

/// End of what a consumer may read (R5).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VisibleHighWatermark {
    pub(super) offset: Offset,
    pub(super) leader_epoch: LeaderEpoch,
}

impl VisibleHighWatermark {
    /// The end, exclusive.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The leader epoch that vouches for it.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }
}

/// The end of the log as a linearizable read sees it (design §5).
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[must_use = "a client waits for it"]
pub struct EndOfLog {
    pub(super) request_id: RequestId,
    pub(super) offset: Offset,
    pub(super) leader_epoch: LeaderEpoch,
}

impl EndOfLog {
    /// The read that is answered.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The high watermark, exclusive: not below that of anything acknowledged before the read began.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The leader epoch that vouches for it.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }
}
