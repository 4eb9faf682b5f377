//! QI6 HwMonotonic: within one run a replica's high watermark never moves back, and no leader's falls behind what a leader
//! has ever shown.
//!
//! Source: Kafka's raft simulation (MonotonicHighWatermark). Catches P-12.

use alloc::format;

use super::{ReplicaView, View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// A replica's high watermark is not below what it was, within one run.
///
/// # Errors
/// With both.
pub fn high_watermark_never_moves_back(
    before: &ReplicaView<'_>,
    after: &ReplicaView<'_>,
) -> Result<(), Violation> {
    if before.high_watermark > after.high_watermark {
        let (was, is) = (before.high_watermark, after.high_watermark);
        let details = format!("the high watermark of {} went from {was:?} to {is:?}", after.key);
        return Err(violation(name::HIGH_WATERMARK_NEVER_MOVES_BACK, details));
    }
    Ok(())
}

impl View<'_> {
    /// The largest high watermark that a leader has ever had, exclusive.
    #[must_use]
    pub fn high_watermark_ever(&self) -> Offset {
        Offset(u64::try_from(self.committed.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{replica, set};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_high_watermark_that_falls_or_is_forgotten_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));
        let at = |high_watermark| ReplicaView { high_watermark, ..replica(1, 1, &[], &voters) };

        assert_eq!(high_watermark_never_moves_back(&at(None), &at(Some(Offset(1)))), Ok(()));
        assert!(high_watermark_never_moves_back(&at(Some(Offset(2))), &at(Some(Offset(1)))).is_err());
        assert!(high_watermark_never_moves_back(&at(Some(Offset(2))), &at(None)).is_err());
    }
}
