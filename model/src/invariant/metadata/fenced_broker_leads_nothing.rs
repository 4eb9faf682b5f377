//! MI2: a fenced or stopping broker leads nothing and is in no ISR.
//!
//! Source: KIP-841, KIP-966 (ELR mode). Catches B-08, B-12, B-15, B-16.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::metadata::{Broker, Image};

/// The property's name.
pub const FENCED_BROKER_LEADS_NOTHING: &str = "metadata/fenced_broker_leads_nothing";

/// Every leader and every ISR member is unfenced and not shutting down.
///
/// # Errors
/// With the values that break it.
pub fn fenced_broker_leads_nothing(image: &Image) -> Result<(), Violation> {
    for (at, state) in image.partitions() {
        let members = state.nodes(state.isr).chain(state.leader_node());
        for node in members {
            let active = image.broker(node).is_some_and(Broker::is_active);
            ensure(FENCED_BROKER_LEADS_NOTHING, active, || {
                format!(
                    "broker {node} is fenced or stopping, and {at} has leader {:?} and isr {:?}",
                    state.leader_node(),
                    state.isr
                )
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{changed, healthy, with};
    use super::*;
    use crate::metadata::Record;

    #[test]
    fn a_fenced_or_stopping_member_is_found() {
        assert_eq!(fenced_broker_leads_nothing(&healthy()), Ok(()));
        assert!(fenced_broker_leads_nothing(&with(&[Record::BrokerFenced(changed(2))])).is_err());
        assert!(fenced_broker_leads_nothing(&with(&[Record::BrokerStopping(changed(1))])).is_err());
    }
}
