//! R13: a follower takes answers to fetches of its own run only.
//!
//! Source: rule R13. Catches P-03.

use alloc::format;

use super::name;
use crate::id::BrokerEpoch;
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

/// An answer that `follower` took is to a request of the run that it is in.
///
/// # Errors
/// Both runs.
pub fn answer_is_to_this_run(
    follower: ReplicaIdx,
    own: Option<BrokerEpoch>,
    answered: BrokerEpoch,
) -> Result<(), Violation> {
    if own == Some(answered) {
        return Ok(());
    }
    let details = format!("{follower} runs as {own:?} and takes an answer to its run {answered}");
    Err(Violation { property: name::ANSWER_IS_TO_THIS_RUN, details })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_earlier_run_is_found() {
        let judged = |own| answer_is_to_this_run(ReplicaIdx(1), own, BrokerEpoch(4)).is_ok();

        assert!(judged(Some(BrokerEpoch(4))));
        assert!(!judged(Some(BrokerEpoch(5))));
        assert!(!judged(None));
    }
}
