//! QI11 AckedNotLost: what was acknowledged to a client is committed, and at least one voter holds it durably.
//!
//! Source: etcd #14370; Jepsen NATS 2.12.1. Catches B-34, B-35, and any acknowledgement before its commit.

use alloc::format;

use super::{View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;
use crate::quorum::VoterSet;

/// Every acknowledged record is committed and durable on a voter, up or down, as long as a majority of the voters has the disks
/// that they were voters with: nothing is promised beyond that.
///
/// # Errors
/// With the offset.
pub fn acknowledged_is_kept(view: &View<'_>) -> Result<(), Violation> {
    if view.voters.iter().any(|voters| is_majority_gone(view, voters)) {
        return Ok(());
    }
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

fn is_majority_gone(view: &View<'_>, voters: &VoterSet) -> bool {
    let present = view.replicas.iter().filter(|replica| voters.contains(replica.key)).count();
    let present = u32::try_from(present).unwrap_or(u32::MAX);
    voters.size().saturating_sub(present) >= voters.majority()
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
    fn nothing_is_promised_once_the_disks_of_a_majority_are_gone() {
        let voters = VoterHistory::new(set(&[1, 2, 3]));
        let (committed, sets) = ([entry(1, 1)], [set(&[1, 2, 3])]);
        let lost = [1, 2, 4].map(|id| replica(id, 1, &[], &voters));
        let judged = |replicas| {
            let acknowledged = &[Offset(0)];
            acknowledged_is_kept(&View { acknowledged, voters: &sets, ..view(replicas, &committed) }).is_ok()
        };

        assert!(!judged(&lost), "one of three is gone");
        assert!(judged(lost.split_first().expect("three").1), "two are");
    }

    #[test]
    fn an_acknowledgement_before_the_commit_is_noticed() {
        assert_eq!(acknowledged_is_committed(Offset(1), Offset(2)), Ok(()));
        assert!(acknowledged_is_committed(Offset(2), Offset(2)).is_err());
    }
}
