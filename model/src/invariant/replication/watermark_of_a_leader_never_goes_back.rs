//! RI14 as a step: while it leads in one leader epoch, a leader's high watermark never goes back.
//!
//! Source: rule R22.

use alloc::format;

use super::name;
use crate::id::{BrokerEpoch, LeaderEpoch, Offset};
use crate::invariant::Violation;
use crate::replication::ReplicaIdx;

/// What a replica that leads stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Its run.
    pub broker_epoch: BrokerEpoch,
    /// The leader epoch that it leads in.
    pub leader_epoch: LeaderEpoch,
    /// Its high watermark, exclusive.
    pub high_watermark: Offset,
}

/// R22, of two moments of one replica, of which `after` is the later; there is a reign where it led.
///
/// # Errors
/// Both watermarks.
pub fn watermark_of_a_leader_never_goes_back(
    leader: ReplicaIdx,
    before: Option<Reign>,
    after: Option<Reign>,
) -> Result<(), Violation> {
    let Some((was, is)) = before.zip(after) else { return Ok(()) };
    let same = (was.broker_epoch, was.leader_epoch) == (is.broker_epoch, is.leader_epoch);
    if !same || is.high_watermark >= was.high_watermark {
        return Ok(());
    }
    let (epoch, from, to) = (is.leader_epoch, was.high_watermark, is.high_watermark);
    let details = format!("{leader}, leading in leader epoch {epoch}: {from} -> {to}");
    Err(Violation { property: name::WATERMARK_OF_A_LEADER_NEVER_GOES_BACK, details })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_that_falls_within_a_reign_is_found() {
        let reign = |leader_epoch, high_watermark| {
            let (leader_epoch, high_watermark) = (LeaderEpoch(leader_epoch), Offset(high_watermark));
            Some(Reign { broker_epoch: BrokerEpoch(1), leader_epoch, high_watermark })
        };
        let judged =
            |before, after| watermark_of_a_leader_never_goes_back(ReplicaIdx(0), before, after).is_ok();

        assert!(judged(reign(1, 4), reign(1, 4)));
        assert!(judged(reign(1, 4), reign(2, 3)), "a new leader may know less");
        assert!(judged(reign(1, 4), None));
        assert!(!judged(reign(1, 4), reign(1, 3)));
    }
}
