//! MI6: leader epoch and partition epoch never decrease; a change raises the partition epoch by one, and a change of
//! leader the leader epoch.
//!
//! Source: R46, KIP-497. Catches B-52.

use alloc::format;

use super::{Earlier, ensure};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const EPOCHS_ONLY_GROW: &str = "metadata/epochs_only_grow";

/// From before a batch to the image after it, for every partition in both.
///
/// # Errors
/// With the values that break it.
pub fn epochs_only_grow(before: &impl Earlier, after: &Image) -> Result<(), Violation> {
    for (at, was) in before.partitions() {
        let Some(is) = after.partition(at).filter(|is| *is != was) else { continue };
        let counted = is.partition_epoch == was.partition_epoch.next();
        let led_anew = if is.leader == was.leader {
            is.leader_epoch >= was.leader_epoch
        } else {
            is.leader_epoch > was.leader_epoch
        };
        ensure(EPOCHS_ONLY_GROW, counted && led_anew, || {
            format!(
                "{at} went from leader {:?}, leader epoch {}, partition epoch {} to leader {:?}, leader epoch {}, \
                 partition epoch {}",
                was.leader,
                was.leader_epoch,
                was.partition_epoch,
                is.leader,
                is.leader_epoch,
                is.partition_epoch
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, spoilt};
    use super::*;
    use crate::id::{LeaderEpoch, PartitionEpoch};
    use crate::replication::{IsrSet, ReplicaIdx};

    #[test]
    fn a_change_that_is_not_counted_by_one_is_found() {
        let to = |partition_epoch| {
            spoilt(|state| {
                state.isr = IsrSet::first(2);
                state.partition_epoch = PartitionEpoch(partition_epoch);
            })
        };

        assert_eq!(epochs_only_grow(&healthy(), &to(6)), Ok(()));
        assert!(epochs_only_grow(&healthy(), &to(5)).is_err());
        assert!(epochs_only_grow(&healthy(), &to(7)).is_err());
    }

    #[test]
    fn a_leader_change_in_the_same_leader_epoch_is_found() {
        let to = |leader_epoch| {
            spoilt(|state| {
                state.leader = Some(ReplicaIdx(1));
                state.leader_epoch = LeaderEpoch(leader_epoch);
                state.partition_epoch = PartitionEpoch(6);
            })
        };

        assert_eq!(epochs_only_grow(&healthy(), &to(4)), Ok(()));
        assert!(epochs_only_grow(&healthy(), &to(3)).is_err());
    }
}
