//! R5: consumers read below the high watermark.
//!
//! Source: rule R5. Catches P-06, a leader that gives consumers all that it has.

use alloc::format;

use super::name;
use crate::id::Offset;
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

/// What `leader` would give to a consumer ends at `readable` or before, and that is not above `committed`, the end of what is
/// committed as far as whoever asks knows. Both are exclusive.
///
/// # Errors
/// The leader and both ends.
pub fn readers_see_what_is_committed(
    leader: ReplicaIdx,
    readable: Offset,
    committed: Offset,
) -> Result<(), Violation> {
    if readable <= committed {
        return Ok(());
    }
    let details = format!("{leader} lets consumers read up to {readable}, committed are {committed}");
    Err(Violation { property: name::READERS_SEE_WHAT_IS_COMMITTED, details })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_beyond_the_high_watermark_is_found() {
        let judged =
            |readable| readers_see_what_is_committed(ReplicaIdx(0), Offset(readable), Offset(2)).is_ok();

        assert!(judged(2));
        assert!(!judged(3));
    }
}
