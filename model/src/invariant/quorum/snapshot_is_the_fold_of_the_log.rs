//! QI13 for snapshots: what a snapshot says to hold, it holds.
//!
//! Source: etcd postmortem of 2022-04 (etcd 13766), rule Q40. Catches B-43, an applied offset that is saved apart from
//! what was applied.

use alloc::format;

use super::{name, violation};
use crate::invariant::Violation;
use crate::quorum::{SnapshotId, VoterSet};

/// A snapshot holds the voters that the committed log below its end gives.
///
/// # Errors
/// With both sets.
pub fn snapshot_is_the_fold_of_the_log(
    id: SnapshotId,
    held: &VoterSet,
    folded: &VoterSet,
) -> Result<(), Violation> {
    if held == folded {
        return Ok(());
    }
    let details =
        format!("the snapshot up to {} holds the voters {held:?}; the log gives {folded:?}", id.end);
    Err(violation(name::SNAPSHOT_IS_THE_FOLD_OF_THE_LOG, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::set;
    use super::*;
    use crate::id::{Offset, QuorumEpoch};

    #[test]
    fn a_snapshot_without_its_last_record_is_noticed() {
        let id = SnapshotId { end: Offset(3), quorum_epoch: QuorumEpoch(1) };

        assert_eq!(snapshot_is_the_fold_of_the_log(id, &set(&[1, 2]), &set(&[1, 2])), Ok(()));
        assert!(snapshot_is_the_fold_of_the_log(id, &set(&[1]), &set(&[1, 2])).is_err());
    }
}
