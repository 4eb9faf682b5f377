//! QL2, in every step: whoever waits for an answer of a replica is known to it, until it is answered or told that it waits in vain.
//!
//! Source: Camunda 42720, rule Q18. Catches a leader that forgets a proposal, or is deposed and says nothing of it (L-16, L-21).

use alloc::format;
use alloc::vec::Vec;

use super::{name, violation};
use crate::invariant::Violation;
use crate::quorum::{VoterKey, Waits};

/// Those who `wait` at a replica, in the order in which they came, are those that it `remembers`.
///
/// # Errors
/// With both.
pub fn who_waits_is_remembered(
    replica: VoterKey,
    wait: impl Iterator<Item = Waits> + Clone,
    remembers: impl Iterator<Item = Waits> + Clone,
) -> Result<(), Violation> {
    if wait.clone().eq(remembers.clone()) {
        return Ok(());
    }
    let (wait, remembers): (Vec<_>, Vec<_>) = (wait.collect(), remembers.collect());
    let details = format!("at {replica} wait {wait:?}, and it remembers {remembers:?}");
    Err(violation(name::WHO_WAITS_IS_REMEMBERED, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::key;
    use super::*;
    use crate::quorum::{ProposalId, ReadId};

    #[test]
    fn whoever_is_forgotten_and_whoever_has_an_answer_and_is_remembered_is_noticed() {
        let (change, read) = (Waits::ForCommit(ProposalId(7)), Waits::ForRead(ReadId(7)));
        let judged = |wait: &[Waits], remembers: &[Waits]| {
            who_waits_is_remembered(key(1), wait.iter().copied(), remembers.iter().copied()).is_ok()
        };

        assert!(judged(&[], &[]) && judged(&[change, read], &[change, read]));
        assert!(!judged(&[change, read], &[change]));
        assert!(!judged(&[read], &[change, read]));
        assert!(!judged(&[change], &[read]));
    }
}
