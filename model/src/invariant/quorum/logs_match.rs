//! QI2 LogMatching: two logs that agree on the epoch of one record agree on everything up to it.
//!
//! Source: Raft §5.3. Catches B-38 (a stale answer truncates) and B-46 (a sync of a cut log is believed).

use alloc::format;

use super::{ReplicaView, View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// If two replicas have a record of the same epoch at an offset, their logs are equal up to there.
///
/// # Errors
/// With the two replicas and the first offset at which they differ below one where they should not.
pub fn logs_match(view: &View<'_>) -> Result<(), Violation> {
    for (at, one) in view.replicas.iter().enumerate() {
        for other in view.replicas.iter().skip(at + 1) {
            if let Some(offset) = mismatch(one, other) {
                let (a, b) = (one.entry(offset), other.entry(offset));
                let details = format!(
                    "{} has {a:?} at {offset}, {} has {b:?}, and they agree later",
                    one.key, other.key
                );
                return Err(violation(name::LOGS_MATCH, details));
            }
        }
    }
    Ok(())
}

/// The last offset at which both have a record and differ, though a later one is of the same epoch in both, or that one
/// itself is.
fn mismatch(one: &ReplicaView<'_>, other: &ReplicaView<'_>) -> Option<Offset> {
    let start = one.log_start.max(other.log_start).0;
    let end = one.log_end().min(other.log_end()).0;
    let mut agreed = false;
    for offset in (start..end).rev().map(Offset) {
        let (a, b) = (one.entry(offset)?, other.entry(offset)?);
        agreed |= a.quorum_epoch == b.quorum_epoch;
        if agreed && a != b {
            return Some(offset);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn logs_that_part_and_meet_again_are_noticed() {
        let voters = VoterHistory::new(set(&[1, 2]));
        let one = [entry(1, 1), entry(2, 2), entry(4, 3)];
        let parted = [entry(1, 1), entry(3, 9), entry(3, 8)];
        let met = [entry(1, 1), entry(3, 9), entry(4, 3)];

        let of = |other| [replica(1, 4, &one, &voters), replica(2, 4, other, &voters)];
        assert_eq!(logs_match(&view(&of(&parted), &[])), Ok(()));
        assert!(logs_match(&view(&of(&met), &[])).is_err());
    }
}
