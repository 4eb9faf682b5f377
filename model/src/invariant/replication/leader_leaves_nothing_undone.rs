//! RL5 as a safety property: after a step a leader leaves no watermark that could rise, and no answer that is due.
//!
//! Source: KAFKA-13091, KAFKA-15021. Catches B-22, a watermark that is not evaluated again when an ISR change commits.

use alloc::format;

use super::name;
use crate::fault::Faults;
use crate::id::ProducerId;
use crate::invariant::Violation;
use crate::replication::{Effects, Input, Replica, Tenure};

/// RL5, of a leader between two steps: an input that concerns nothing finds nothing to do.
///
/// # Errors
/// What it finds to do.
pub fn leader_leaves_nothing_undone<F: Faults>(tenure: &Tenure, core: &Replica<F>) -> Result<(), Violation> {
    if !core.is_leading() {
        return Ok(());
    }
    let mut effects = Effects::new();
    let idle = Input::ForgetProducer { producer_id: ProducerId(u64::MAX) };
    let done = core.clone().step(tenure, idle, &mut effects);
    if done.is_err() || effects.is_empty() {
        return Ok(());
    }
    let details = format!("{} has still to do {effects:?}", tenure.own);
    Err(Violation { property: name::LEADER_LEAVES_NOTHING_UNDONE, details })
}
