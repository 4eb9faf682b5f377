//! QI9 VoterSet: a leader's log has at most one uncommitted voters record, and consecutive sets differ by at most one voter.
//!
//! Source: KIP-853; Ongaro's thesis §4.1. Catches B-31 and B-32.

use alloc::format;

use super::{ReplicaView, View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;
use crate::quorum::VoterSet;

/// In every leader's log, at most one voters record is not committed, and each differs from the one before by one voter.
///
/// # Errors
/// With the leader and the records.
pub fn voters_change_one_at_a_time(view: &View<'_>) -> Result<(), Violation> {
    match view.newest_leader() {
        Some(leader) => leaders_voters_change_one_at_a_time(leader, view.high_watermark_ever()),
        None => Ok(()),
    }
}

/// QI9, of the log of one leader, of which what lies below `committed`, exclusive, is known to be committed.
///
/// # Errors
/// With the leader and the records.
pub fn leaders_voters_change_one_at_a_time(
    leader: &ReplicaView<'_>,
    committed: Offset,
) -> Result<(), Violation> {
    let records = leader.voters.records();
    let open = records.iter().filter(|record| record.offset >= committed).count();
    let before = records.iter().take(1).map(|first| leader.voters.at(first.offset));
    let sets = before.chain(records.iter().map(|record| &record.voters));
    let leap = sets.clone().zip(sets.skip(1)).find(|(from, to)| distance(from, to) > 1);
    if open > 1 || leap.is_some() {
        let details =
            format!("{} leads with voters records {records:?}, {open} of them uncommitted", leader.key);
        return Err(violation(name::VOTERS_CHANGE_ONE_AT_A_TIME, details));
    }
    Ok(())
}

/// How many voters are in one set and not in the other.
fn distance(from: &VoterSet, to: &VoterSet) -> usize {
    let only = |a: &VoterSet, b: &VoterSet| a.keys().iter().filter(|key| !b.contains(**key)).count();
    only(from, to) + only(to, from)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn two_open_changes_and_a_leap_are_noticed() {
        let entries = [entry(1, 1), entry(1, 2), entry(1, 3)];
        let judged = |records: &[(u64, &[u32])], committed: usize| {
            let mut voters = VoterHistory::new(set(&[1, 2, 3]));
            records.iter().for_each(|(offset, ids)| voters.append(Offset(*offset), set(ids)));
            let mut replicas = [replica(1, 1, &entries, &voters)];
            replicas[0].is_leader = true;
            voters_change_one_at_a_time(&view(&replicas, &entries[..committed])).is_ok()
        };

        assert!(judged(&[(1, &[1, 2]), (2, &[1, 2, 4])], 2));
        assert!(!judged(&[(1, &[1, 2]), (2, &[1, 2, 4])], 1));
        assert!(!judged(&[(1, &[1, 2, 4])], 1));
    }
}
