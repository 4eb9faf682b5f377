//! RL8 as a safety property: a cut settles where two logs part, else follower and leader argue for ever.
//!
//! Source: KAFKA-6361, KIP-279, KAFKA-10706. Catches B-03 and B-18.

use alloc::format;

use super::name;
use crate::id::LeaderEpoch;
use crate::invariant::Violation;
use crate::log::EpochEnd;
use crate::replication::ReplicaIdx;

/// RL8, once `follower` has taken the answer `diverging`: a cut, even of nothing, leaves no epoch that the leader said it does
/// not have. `last` is the last epoch of the follower's log after it.
///
/// # Errors
/// Both epochs.
pub fn cut_leaves_no_epoch_that_the_leader_lacks(
    follower: ReplicaIdx,
    last: Option<LeaderEpoch>,
    diverging: EpochEnd<LeaderEpoch>,
) -> Result<(), Violation> {
    if last <= Some(diverging.epoch) {
        return Ok(());
    }
    let details = format!("{follower} still ends in epoch {last:?}; its leader has {diverging:?}");
    Err(Violation { property: name::CUT_LEAVES_NO_EPOCH_THAT_THE_LEADER_LACKS, details })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Offset;

    #[test]
    fn an_epoch_that_is_left_over_is_found() {
        let diverging = EpochEnd { epoch: LeaderEpoch(2), end: Offset(5) };
        let judged = |last| cut_leaves_no_epoch_that_the_leader_lacks(ReplicaIdx(1), last, diverging).is_ok();

        assert!(judged(None));
        assert!(judged(Some(LeaderEpoch(2))));
        assert!(!judged(Some(LeaderEpoch(3))));
    }
}
