//! MI7: what leader and controller take the min ISR and the flush policy from is one record, and it is up to date.
//!
//! Source: X4, X13a, R4; KAFKA-16540, KAFKA-21110. Catches B-14.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::metadata::{Image, effective_min_isr};

/// The property's name.
pub const MIN_ISR_FOLLOWS_THE_CONFIGURATION: &str = "metadata/min_isr_follows_the_configuration";

/// Every partition bears the effective min ISR and the flush policy of its topic's configuration.
///
/// # Errors
/// With the values that break it.
pub fn min_isr_follows_the_configuration(image: &Image) -> Result<(), Violation> {
    for topic in image.topics() {
        for (at, state) in topic.named_partitions() {
            let replicas = u8::try_from(state.replicas.len()).unwrap_or(u8::MAX);
            let min_isr = effective_min_isr(topic.config.min_insync_replicas(), replicas);
            let flush = topic.config.flush_policy();
            ensure(
                MIN_ISR_FOLLOWS_THE_CONFIGURATION,
                (state.min_isr, state.flush) == (min_isr, flush),
                || {
                    format!(
                        "{at} has min isr {} and {:?}, its configuration gives {min_isr} and {flush:?}",
                        state.min_isr, state.flush
                    )
                },
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, spoilt};
    use super::*;
    use crate::replication::FlushPolicy;

    #[test]
    fn a_partition_that_lags_behind_its_configuration_is_found() {
        assert_eq!(min_isr_follows_the_configuration(&healthy()), Ok(()));
        assert!(min_isr_follows_the_configuration(&spoilt(|state| state.min_isr = 1)).is_err());
        assert!(min_isr_follows_the_configuration(&spoilt(|state| state.flush = FlushPolicy::Os)).is_err());
    }
}
