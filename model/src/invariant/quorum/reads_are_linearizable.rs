//! Q18: a linearizable read reflects everything that was acknowledged before it was asked.
//!
//! Source: Raft §6.4 (ReadIndex). Catches B-53 (any later fetch confirms leadership) and B-45 with local reads.

use alloc::format;

use super::{name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// A read point covers `acknowledged`: the end of what was acknowledged when the read was asked.
///
/// # Errors
/// With both.
pub fn reads_are_linearizable(point: Offset, acknowledged: Offset) -> Result<(), Violation> {
    if point < acknowledged {
        let details =
            format!("a read at {point}, though everything up to {acknowledged} was acknowledged before it");
        return Err(violation(name::READS_ARE_LINEARIZABLE, details));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_misses_an_acknowledged_record_is_noticed() {
        assert_eq!(reads_are_linearizable(Offset(3), Offset(3)), Ok(()));
        assert!(reads_are_linearizable(Offset(2), Offset(3)).is_err());
    }
}
