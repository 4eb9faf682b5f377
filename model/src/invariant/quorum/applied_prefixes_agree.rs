//! QI13 StateMachineAgreement: two replicas that have applied the same offsets have applied the same records.
//!
//! Source: Raft §5.4.3. It is what lets other models treat the metadata log as one committed log.

use alloc::format;

use super::{View, name, violation};
use crate::id::Offset;
use crate::invariant::Violation;

/// Any two replicas agree on every record below both their high watermarks.
///
/// # Errors
/// With the two replicas and the offset.
pub fn applied_prefixes_agree(view: &View<'_>) -> Result<(), Violation> {
    for (at, one) in view.replicas.iter().enumerate() {
        for other in view.replicas.iter().skip(at + 1) {
            let end = one.high_watermark.min(other.high_watermark).unwrap_or_default();
            let start = one.log_start.max(other.log_start);
            let differs = |offset: &Offset| one.entry(*offset) != other.entry(*offset);
            if let Some(offset) = (start.0..end.0).map(Offset).find(differs) {
                let (a, b) = (one.entry(offset), other.entry(offset));
                let details = format!("{} applied {a:?} at {offset}, {} applied {b:?}", one.key, other.key);
                return Err(violation(name::APPLIED_PREFIXES_AGREE, details));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{entry, replica, set, view};
    use super::*;
    use crate::quorum::VoterHistory;

    #[test]
    fn different_records_below_both_high_watermarks_are_noticed() {
        let voters = VoterHistory::new(set(&[1, 2]));
        let (one, other) = ([entry(1, 1), entry(1, 2)], [entry(1, 1), entry(2, 3)]);
        let judged = |high_watermark| {
            let mut replicas = [replica(1, 2, &one, &voters), replica(2, 2, &other, &voters)];
            replicas.iter_mut().for_each(|replica| replica.high_watermark = Some(Offset(high_watermark)));
            applied_prefixes_agree(&view(&replicas, &[])).is_ok()
        };

        assert!(judged(1));
        assert!(!judged(2));
    }
}
