//! X13: a replica counts as written and synced what its disk holds, and as its log what is there.
//!
//! Source: Redpanda 2937, 16105, 29849. Catches B-46, a sync of a log since cut that raises the flushed end.

use alloc::format;

use super::name;
use crate::id::{LeaderEpoch, Offset};
use crate::invariant::Violation;
use crate::log::LogShape;
use crate::replication::ReplicaIdx;

/// A log as what keeps it knows it, by its own account and not by the core's. Ends are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Offset of the first record, inclusive.
    pub start: Offset,
    /// End of what a completed sync covers.
    pub flushed: Offset,
    /// End of what completed writes cover.
    pub written: Offset,
    /// End of what has been submitted.
    pub end: Offset,
}

/// X13, of one replica that runs: it begins and ends where its disk does, and counts nothing as written or synced that is
/// not.
///
/// # Errors
/// Both accounts.
pub fn replica_believes_what_its_disk_holds(
    replica: ReplicaIdx,
    log: &LogShape<LeaderEpoch>,
    disk: &OnDisk,
) -> Result<(), Violation> {
    let counts_too_much = log.flushed() > disk.flushed || log.written() > disk.written;
    if !counts_too_much && log.end() == disk.end && log.start() == disk.start {
        return Ok(());
    }
    let details = format!(
        "{replica} believes in {} to {}, {} written, {} synced; its disk has {} to {}, {}, {}",
        log.start(),
        log.end(),
        log.written(),
        log.flushed(),
        disk.start,
        disk.end,
        disk.written,
        disk.flushed
    );
    Err(Violation { property: name::REPLICA_BELIEVES_WHAT_ITS_DISK_HOLDS, details })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_counts_more_than_its_disk_has_is_found() {
        let mut log = LogShape::empty(Offset::ZERO);
        log.append(LeaderEpoch(1), 3);
        assert!(log.on_flushed(Offset(2), log.generation()));
        let disk = |flushed, written, end| OnDisk {
            start: Offset::ZERO,
            flushed: Offset(flushed),
            written: Offset(written),
            end: Offset(end),
        };
        let judged = |disk| replica_believes_what_its_disk_holds(ReplicaIdx(0), &log, &disk).is_ok();

        assert!(judged(disk(2, 2, 3)));
        assert!(judged(disk(3, 3, 3)), "a completion may be on its way");
        assert!(!judged(disk(1, 2, 3)));
        assert!(!judged(disk(1, 1, 3)));
        assert!(!judged(disk(2, 2, 2)));
        assert!(!judged(OnDisk { start: Offset(1), ..disk(2, 2, 3) }));
    }
}
