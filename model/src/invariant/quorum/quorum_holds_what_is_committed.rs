//! QI5 QuorumHoldsCommitted: some member of every quorum holds every committed record durably.
//!
//! Source: Raft §5.4 with fsync made explicit (RaftFsync.tla). Catches B-34, B-35, B-40, B-46 at the moment of the commit,
//! before any power is lost.

use alloc::format;

use super::{View, name, violation};
use crate::invariant::Violation;

/// Fewer voters than a majority lack any committed record (a voter whose disk is gone never votes again); of the committed voter set and of the one that a change in
/// progress makes (Q35).
///
/// # Errors
/// With the record and how many voters hold it.
pub fn quorum_holds_what_is_committed(view: &View<'_>) -> Result<(), Violation> {
    for voters in view.voters {
        for (offset, entry) in view.committed() {
            let lack = view
                .replicas
                .iter()
                .filter(|replica| voters.contains(replica.key) && !replica.holds_durably(offset, entry));
            let lacking = u32::try_from(lack.count()).unwrap_or(u32::MAX);
            if lacking >= voters.majority() {
                let size = voters.size();
                let details = format!("{entry:?} at {offset} is not durable on {lacking} of {size} voters");
                return Err(violation(name::QUORUM_HOLDS_WHAT_IS_COMMITTED, details));
            }
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
    fn a_committed_record_that_a_quorum_could_lose_is_noticed() {
        let voters = VoterHistory::new(set(&[1, 2, 3]));
        let committed = [entry(1, 1)];
        let mut replicas = [
            replica(1, 1, &committed, &voters),
            replica(2, 1, &committed, &voters),
            replica(3, 1, &[], &voters),
        ];
        let sets = [set(&[1, 2, 3])];

        assert_eq!(
            quorum_holds_what_is_committed(&View { voters: &sets, ..view(&replicas, &committed) }),
            Ok(())
        );
        replicas[0].flushed = Offset(0);
        assert!(
            quorum_holds_what_is_committed(&View { voters: &sets, ..view(&replicas, &committed) }).is_err()
        );
    }
}
