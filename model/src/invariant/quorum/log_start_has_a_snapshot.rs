//! QI10 SnapshotAtLogStart: a log that does not begin at 0 begins where a complete snapshot of committed records ends.
//!
//! Source: KIP-630; Kafka's raft simulation (SnapshotAtLogStart). Catches B-42 (a snapshot believed before it is durable).

use alloc::format;

use super::{ReplicaView, View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// Every log that was trimmed begins at the end of the oldest snapshot that is kept, which is committed.
///
/// # Errors
/// With the replica, its log start and its snapshot.
pub fn log_start_has_a_snapshot(view: &View<'_>) -> Result<(), Violation> {
    let ever = view.high_watermark_ever();
    view.replicas.iter().try_for_each(|replica| log_start_is_that_of_a_snapshot(replica, ever))
}

/// QI10, of one replica, of whose log what lies below `committed`, exclusive, is known to be committed.
///
/// # Errors
/// With the replica, its log start and its snapshot.
pub fn log_start_is_that_of_a_snapshot(
    replica: &ReplicaView<'_>,
    committed: Offset,
) -> Result<(), Violation> {
    let end = replica.oldest_snapshot.map(|snapshot| snapshot.end);
    let (key, start, snapshot) = (replica.key, replica.log_start, replica.oldest_snapshot);
    if start == Offset::ZERO || (end == Some(start) && start <= committed) {
        return Ok(());
    }
    let details = format!("the log of {key} begins at {start}; its oldest snapshot is {snapshot:?}");
    Err(violation(name::LOG_START_HAS_A_SNAPSHOT, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::id::QuorumEpoch;
    use crate::quorum::{SnapshotId, VoterHistory};

    #[test]
    fn a_log_start_without_its_snapshot_is_noticed() {
        let voters = VoterHistory::new(set(&[1]));
        let committed = [entry(1, 1), entry(1, 2)];
        let mut replicas = [replica(1, 1, &[], &voters)];
        replicas[0].log_start = Offset(2);
        assert!(log_start_has_a_snapshot(&view(&replicas, &committed)).is_err());

        replicas[0].oldest_snapshot = Some(SnapshotId { end: Offset(2), quorum_epoch: QuorumEpoch(1) });
        assert_eq!(log_start_has_a_snapshot(&view(&replicas, &committed)), Ok(()));
        assert!(log_start_has_a_snapshot(&view(&replicas, &committed[..1])).is_err());
    }
}
