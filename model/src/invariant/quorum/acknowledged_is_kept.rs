//! QI11 AckedNotLost: what was acknowledged to a client is committed, and at least one voter holds it durably.
//!
//! Source: etcd #14370; Jepsen NATS 2.12.1. Catches B-34, B-35, and any acknowledgement before its commit.

use alloc::format;

use super::{View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// Every acknowledged record is committed and durable on a voter, up or down.
///
/// # Errors
/// With the offset.
pub fn acknowledged_is_kept(view: &View<'_>) -> Result<(), Violation> {
    for offset in view.acknowledged {
        let entry = usize::try_from(offset.0).ok().and_then(|at| view.committed.get(at));
        let kept = |replica: &super::ReplicaView<'_>| {
            let votes = view.voters.iter().any(|voters| voters.contains(replica.key));
            votes && entry.is_some_and(|entry| replica.holds_durably(*offset, *entry))
        };
        if !view.replicas.iter().any(kept) {
            let details =
                format!("the record at {offset} was acknowledged; it is {entry:?}, durable on no voter");
            return Err(violation(name::ACKNOWLEDGED_IS_KEPT, details));
        }
    }
    Ok(())
}

/// As far as a leader can tell by itself, when it says that the proposal at `offset` is committed: that lies below
/// `committed`, its high watermark, exclusive.
///
/// # Errors
/// With both offsets.
pub fn acknowledged_is_committed(offset: Offset, committed: Offset) -> Result<(), Violation> {
    if offset < committed {
        return Ok(());
    }
    let details =
        format!("the record at {offset} was acknowledged; committed is what lies below {committed}");
    Err(violation(name::ACKNOWLEDGED_IS_KEPT, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn an_acknowledged_record_that_no_voter_holds_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));
        let committed = [entry(1, 1)];
        let sets = [set(&[1])];
        let kept = [replica(1, 1, &committed, &voters), replica(2, 1, &[], &voters)];
        let lost = [replica(1, 1, &[], &voters), replica(2, 1, &committed, &voters)];
        let judged = |replicas, committed| {
            let acknowledged = &[Offset(0)];
            acknowledged_is_kept(&View { acknowledged, voters: &sets, ..view(replicas, committed) }).is_ok()
        };

        assert!(judged(&kept, &committed));
        assert!(!judged(&lost, &committed));
        assert!(!judged(&kept, &[]));
    }

    #[test]
    fn an_acknowledgement_before_the_commit_is_noticed() {
        assert_eq!(acknowledged_is_committed(Offset(1), Offset(2)), Ok(()));
        assert!(acknowledged_is_committed(Offset(2), Offset(2)).is_err());
    }
}
