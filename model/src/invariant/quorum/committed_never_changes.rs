//! QI3 CommittedStable: what is committed at an offset never changes, and every replica has it below its high watermark.
//!
//! Source: Raft §5.4 (State Machine Safety). Catches B-30, B-31, B-32, B-38 and truncation below the high watermark (Q16).

use alloc::format;

use super::{View, name, violation};
use crate::invariant::Violation;

/// Below its high watermark every replica holds the committed records.
///
/// # Errors
/// With the replica, the offset, and both records.
pub fn committed_never_changes(view: &View<'_>) -> Result<(), Violation> {
    for replica in view.replicas {
        let known = replica.high_watermark.unwrap_or_default();
        let wrong =
            view.committed().find(|(offset, entry)| *offset < known && !replica.holds(*offset, *entry));
        if let Some((offset, entry)) = wrong {
            let found = replica.entry(offset);
            let details = format!("{} has {found:?} at {offset}, where {entry:?} is committed", replica.key);
            return Err(violation(name::COMMITTED_NEVER_CHANGES, details));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::id::Offset;
    use crate::quorum::VoterHistory;

    #[test]
    fn another_record_below_the_high_watermark_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));
        let entries = [entry(1, 1), entry(2, 7)];
        let committed = [entry(1, 1), entry(2, 2)];
        let mut replicas = [replica(1, 2, &entries, &voters)];

        replicas[0].high_watermark = Some(Offset(1));
        assert_eq!(committed_never_changes(&view(&replicas, &committed)), Ok(()));
        replicas[0].high_watermark = Some(Offset(2));
        assert!(committed_never_changes(&view(&replicas, &committed)).is_err());
    }
}
