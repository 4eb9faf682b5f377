//! Q2: a message leaves in the epoch that its sender has stored.
//!
//! Source: Raft §5.1, etcd 14370. Catches P-07 where the epoch is new as well.

use alloc::format;

use super::{name, violation};
use crate::id::QuorumEpoch;
use crate::invariant::Violation;
use crate::quorum::VoterKey;

/// The epoch `sent` of a message that leaves is the one that `sender` has stored.
///
/// # Errors
/// With both epochs.
pub fn messages_are_of_the_stored_epoch(
    sender: VoterKey,
    sent: QuorumEpoch,
    stored: QuorumEpoch,
) -> Result<(), Violation> {
    if sent == stored {
        return Ok(());
    }
    let details = format!("a message of epoch {sent} leaves {sender}, which has stored epoch {stored}");
    Err(violation(name::MESSAGES_ARE_OF_THE_STORED_EPOCH, details))
}

#[cfg(test)]
mod tests {
    use super::super::sample::key;
    use super::*;

    #[test]
    fn a_message_of_an_epoch_that_is_not_stored_is_noticed() {
        let judged =
            |sent| messages_are_of_the_stored_epoch(key(1), QuorumEpoch(sent), QuorumEpoch(2)).is_ok();

        assert!(judged(2));
        assert!(!judged(3));
    }
}
