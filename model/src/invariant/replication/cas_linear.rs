//! RI11 CasLinear.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/cas_linear";

/// RI11: every accepted change of the partition raises its epoch by one, and none lowers the leader epoch.
///
/// # Errors
/// The two changes that do not follow each other.
pub fn cas_linear<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let now = (view.partition.partition_epoch, view.partition.leader_epoch);
    let pairs = view.ghosts.changes.windows(2).filter_map(|pair| <[_; 2]>::try_from(pair).ok());
    for [before, after] in pairs {
        if after.0 != before.0.next() || after.1 < before.1 {
            let details = format!("partition and leader epoch went from {before:?} to {after:?}");
            return Err(Violation { property: NAME, details });
        }
    }
    match view.ghosts.changes.last() {
        Some(last) if *last != now => {
            let details = format!("the last change left epochs {last:?}, but the partition has {now:?}");
            Err(Violation { property: NAME, details })
        }
        _ => Ok(()),
    }
}
