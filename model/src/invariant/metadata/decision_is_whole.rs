//! MI5: a decision of several records is in the image wholly or not at all.
//!
//! Source: Q57, KIP-868. Catches B-54. What can be seen of half a decision in an image: a topic without partitions, and
//! a broker's new registration beside its old memberships.

use alloc::format;

use super::ensure;
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const DECISION_IS_WHOLE: &str = "metadata/decision_is_whole";

/// Every topic has its partitions, and a broker is out of every ISR in the batch that fences it.
///
/// # Errors
/// With the values that break it.
pub fn decision_is_whole(image: &Image) -> Result<(), Violation> {
    for topic in image.topics() {
        ensure(DECISION_IS_WHOLE, !topic.partitions.is_empty(), || {
            format!("topic {:?} has no partition at metadata offset {}", topic.name, image.end())
        })?;
        for (at, state) in topic.named_partitions() {
            let fenced =
                state.nodes(state.isr).find(|node| image.broker(*node).is_none_or(|broker| broker.fenced));
            ensure(DECISION_IS_WHOLE, fenced.is_none(), || {
                format!(
                    "broker {fenced:?} is fenced and still in the isr of {at} at metadata offset {}",
                    image.end()
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
    use crate::id::TopicId;
    use crate::metadata::{Record, TopicCreated};

    #[test]
    fn half_a_topic_and_half_a_fence_are_found() {
        let topic = Record::TopicCreated(TopicCreated { topic: TopicId(2), name: "u".into() });

        assert_eq!(decision_is_whole(&healthy()), Ok(()));
        assert!(decision_is_whole(&with(&[topic])).is_err());
        assert!(decision_is_whole(&with(&[Record::BrokerFenced(changed(2))])).is_err());
    }
}
