//! MI3: one topic id per name at any image; a deleted id never returns.
//!
//! Source: R82, KIP-516. Catches a topic made again under the id of the one before.

use alloc::collections::BTreeSet;
use alloc::format;

use super::ensure;
use crate::id::TopicId;
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const NAME_HAS_ONE_TOPIC: &str = "metadata/name_has_one_topic";

/// Ids and names are each unique, and the names lead to their topics.
///
/// # Errors
/// With the values that break it.
pub fn name_has_one_topic(image: &Image) -> Result<(), Violation> {
    let mut ids = BTreeSet::new();
    let mut names = BTreeSet::new();
    for topic in image.topics() {
        let once = ids.insert(topic.id) && names.insert(topic.name.clone());
        let found = image.topic_by_name(&topic.name).is_some_and(|found| found.id == topic.id);
        ensure(NAME_HAS_ONE_TOPIC, once && found, || format!("topic {:?} with id {}", topic.name, topic.id))?;
    }
    ensure(NAME_HAS_ONE_TOPIC, image.topic_names().len() == ids.len(), || {
        format!("{} names lead to {} topics", image.topic_names().len(), ids.len())
    })
}

/// No topic has one of the ids that were deleted.
///
/// # Errors
/// With the values that break it.
pub fn deleted_id_never_returns(deleted: &[TopicId], image: &Image) -> Result<(), Violation> {
    let back = deleted.iter().find(|id| image.topic(**id).is_some());
    ensure(NAME_HAS_ONE_TOPIC, back.is_none(), || format!("topic {back:?} was deleted and is back"))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, with};
    use super::*;
    use crate::metadata::{Record, TopicCreated, TopicRemoved};

    fn created(id: u128, name: &str) -> Record {
        Record::TopicCreated(TopicCreated { topic: TopicId(id), name: name.into() })
    }

    #[test]
    #[should_panic(expected = "used by one topic")]
    fn a_name_used_twice_does_not_even_fold() {
        with(&[created(9, "t")]);
    }

    #[test]
    fn an_id_that_returns_is_found() {
        let removed = Record::TopicRemoved(TopicRemoved { topic: TopicId(1) });
        let again = with(&[removed, created(1, "t")]);

        assert_eq!(name_has_one_topic(&healthy()), Ok(()));
        assert_eq!(deleted_id_never_returns(&[TopicId(7)], &again), Ok(()));
        assert!(deleted_id_never_returns(&[TopicId(1)], &again).is_err());
    }
}
