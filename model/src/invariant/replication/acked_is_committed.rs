//! RI8, its other half: what is acknowledged is committed.
//!
//! Source: KIP-98, Redpanda 3039. Catches B-27a and P-01, an answer that does not wait for the high watermark.

use alloc::format;

use super::name;
use crate::id::Offset;
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

/// At a positive `acks=all` answer by `leader` for the record at `offset`: it lies below `committed`, the end of what is
/// committed as far as whoever asks knows, exclusive. That a leader knows itself is its high watermark.
///
/// # Errors
/// The leader and both offsets.
pub fn acked_is_committed(leader: ReplicaIdx, offset: Offset, committed: Offset) -> Result<(), Violation> {
    if offset < committed {
        return Ok(());
    }
    let details =
        format!("{leader} acknowledged the record at {offset}; committed is what lies below {committed}");
    Err(Violation { property: name::ACKED_IS_COMMITTED, details })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_before_the_commit_is_found() {
        let judged = |offset| acked_is_committed(ReplicaIdx(0), Offset(offset), Offset(2)).is_ok();

        assert!(judged(1));
        assert!(!judged(2));
    }
}
