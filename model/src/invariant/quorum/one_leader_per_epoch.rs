//! QI1 ElectionSafety: an epoch never has two leaders.
//!
//! Source: Raft §5.2. Catches B-33 (a restart forgets the vote), B-48 (a late vote is counted), P-05 (a voter votes twice).

use alloc::format;

use super::{View, name, violation};
use crate::invariant::Violation;

/// No two replicas lead the same epoch, and no two ever did.
///
/// # Errors
/// With the epoch and both leaders.
pub fn one_leader_per_epoch(view: &View<'_>) -> Result<(), Violation> {
    let leading = view.replicas.iter().filter(|replica| replica.is_leader);
    let all =
        leading.map(|replica| (replica.vote.quorum_epoch, replica.key)).chain(view.elected.iter().copied());
    for (epoch, leader) in all {
        let other = view.elected.iter().find(|(theirs, key)| *theirs == epoch && *key != leader);
        if let Some((_, other)) = other {
            let details = format!("{leader} and {other} both led epoch {epoch}");
            return Err(violation(name::ONE_LEADER_PER_EPOCH, details));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{key, view};
    use super::*;
    use crate::id::QuorumEpoch;

    #[test]
    fn two_leaders_of_an_epoch_are_noticed_though_one_is_gone() {
        let sound = [(QuorumEpoch(1), key(1)), (QuorumEpoch(2), key(2))];
        let broken = [(QuorumEpoch(1), key(1)), (QuorumEpoch(1), key(2))];

        assert_eq!(one_leader_per_epoch(&View { elected: &sound, ..view(&[], &[]) }), Ok(()));
        assert!(one_leader_per_epoch(&View { elected: &broken, ..view(&[], &[]) }).is_err());
    }
}
