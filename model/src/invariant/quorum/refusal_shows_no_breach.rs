//! What some refusals show: that two replicas have led one epoch (QI1), or that what is committed was to be cut (QI3).
//!
//! The core refuses such a message and is unharmed, yet somebody has sent it.

use alloc::string::ToString;

use super::{name, violation};
use crate::invariant::Violation;
use crate::quorum::Refusal;

/// A refusal is none of those that must never be heard. `None` is an input that was taken.
///
/// # Errors
/// With what the refusal says, under the name of the property that it shows to be broken.
pub fn refusal_shows_no_breach(refusal: Option<&Refusal>) -> Result<(), Violation> {
    let Some(refusal) = refusal else { return Ok(()) };
    if matches!(refusal, Refusal::TruncationBelowHighWatermark { .. }) {
        return Err(violation(name::COMMITTED_NEVER_CHANGES, refusal.to_string()));
    }
    if matches!(refusal, Refusal::TwoLeaders { .. }) {
        return Err(violation(name::ONE_LEADER_PER_EPOCH, refusal.to_string()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::key;
    use super::*;
    use crate::id::{Offset, QuorumEpoch};

    #[test]
    fn a_second_leader_and_a_cut_of_what_is_committed_are_noticed() {
        let cut = Refusal::TruncationBelowHighWatermark { end: Offset(1), high_watermark: Offset(2) };
        let twins = Refusal::TwoLeaders { quorum_epoch: QuorumEpoch(3), known: key(1), claimant: key(2) };
        let shown =
            |refusal: &Refusal| refusal_shows_no_breach(Some(refusal)).map_err(|broken| broken.property);

        assert_eq!(refusal_shows_no_breach(None), Ok(()));
        assert_eq!(shown(&Refusal::StaleCompletion { end: Offset(1) }), Ok(()));
        assert_eq!(shown(&cut), Err(name::COMMITTED_NEVER_CHANGES));
        assert_eq!(shown(&twins), Err(name::ONE_LEADER_PER_EPOCH));
    }
}
