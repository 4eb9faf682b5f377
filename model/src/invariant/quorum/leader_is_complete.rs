//! QI4 LeaderCompleteness: the leader of the newest epoch has every committed record.
//!
//! Source: Raft §5.4. Catches B-30 (figure 8), B-34, B-35, B-36, B-39.

use alloc::format;

use super::{View, name, violation};
use crate::invariant::Violation;

/// Whoever leads the newest epoch holds every committed record.
///
/// # Errors
/// With the leader, the offset, and what it has there.
pub fn leader_is_complete(view: &View<'_>) -> Result<(), Violation> {
    let Some(newest) = view.newest_leader() else {
        return Ok(());
    };
    if let Some((offset, entry)) = view.committed().find(|(offset, entry)| !newest.holds(*offset, *entry)) {
        let (key, epoch, found) = (newest.key, newest.vote.quorum_epoch, newest.entry(offset));
        let details =
            format!("{key} leads epoch {epoch} with {found:?} at {offset}, where {entry:?} is committed");
        return Err(violation(name::LEADER_IS_COMPLETE, details));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::id::QuorumEpoch;
    use crate::quorum::VoterHistory;

    #[test]
    fn a_new_leader_without_a_committed_record_is_noticed_and_an_old_one_is_not() {
        let voters = VoterHistory::new(set(&[1, 2]));
        let committed = [entry(2, 1)];
        let mut replicas = [replica(1, 1, &[], &voters), replica(2, 2, &committed, &voters)];
        replicas.iter_mut().for_each(|replica| replica.is_leader = true);

        assert_eq!(leader_is_complete(&view(&replicas, &committed)), Ok(()));
        replicas[0].vote.quorum_epoch.0 = 3;
        assert!(leader_is_complete(&view(&replicas, &committed)).is_err());
        let elected = [(QuorumEpoch(4), replicas[1].key)];
        assert_eq!(leader_is_complete(&View { elected: &elected, ..view(&replicas, &committed) }), Ok(()));
    }
}
