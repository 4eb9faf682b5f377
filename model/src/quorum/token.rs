//! What may be told to a client: values that only this core makes.
//!
//! A token has private fields, no public constructor, and is neither `Clone` nor `Deserialize`: a driver that wants to
//! acknowledge early, or twice, does not compile.
//!
//! ```compile_fail
//! use highwater_model::{id::Offset, quorum::{Commitment, ProposalId}};
//! let forged = Commitment { id: ProposalId(1), base_offset: Offset(0), end: Offset(1) };
//! ```
//!
//! ```compile_fail
//! fn twice(once: highwater_model::quorum::Commitment) -> [highwater_model::quorum::Commitment; 2] {
//!     [once.clone(), once]
//! }
//! ```
//!
//! ```compile_fail
//! fn from_bytes<'a, T: serde::Deserialize<'a>>() {}
//! from_bytes::<highwater_model::quorum::ReadPoint>();
//! ```

use serde::Serialize;

use super::input::{ProposalId, ReadId};
use crate::id::Offset;

/// A proposal or voter change is committed: it survives the loss of any minority of the voters.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Commitment {
    pub(super) id: ProposalId,
    pub(super) base_offset: Offset,
    pub(super) end: Offset,
}

impl Commitment {
    /// The proposal.
    #[must_use]
    pub fn id(&self) -> ProposalId {
        self.id
    }

    /// Offset of its first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Offset after its last record, exclusive.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }
}

/// Everything below the high watermark is committed and may be applied.
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CommittedEnd {
    pub(super) high_watermark: Offset,
}

impl CommittedEnd {
    /// The high watermark, exclusive.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }
}

/// A state machine that has applied everything below `offset` may answer the read: it reflects every decision
/// acknowledged before the read was asked (Q18).
#[derive(Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ReadPoint {
    pub(super) id: ReadId,
    pub(super) offset: Offset,
}

impl ReadPoint {
    /// The read.
    #[must_use]
    pub fn id(&self) -> ReadId {
        self.id
    }

    /// What must have been applied, exclusive.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }
}
