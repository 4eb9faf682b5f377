//! RI10 OneLeaderPerEpoch.

use alloc::format;

use super::{StoredRecord, View};
use crate::invariant::Violation;

pub(super) const NAME: &str = "replication/one_leader_per_epoch";

/// RI10: no two replicas ever lead in the same leader epoch.
///
/// # Errors
/// The epoch and two leaders of it.
pub fn one_leader_per_epoch<R: StoredRecord>(view: &View<'_, R>) -> Result<(), Violation> {
    let now = || view.leaders().map(|(replica, _, leads)| (leads.leader_epoch, replica));
    let all = || view.ghosts.led.iter().copied().chain(now());
    for (epoch, leader) in now() {
        if let Some((_, other)) = all().find(|(same, other)| epoch == *same && leader != *other) {
            let details = format!("{leader} and {other} both lead in leader epoch {epoch}");
            return Err(Violation { property: NAME, details });
        }
    }
    Ok(())
}
