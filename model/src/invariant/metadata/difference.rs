//! Where two images differ first, in words. A violation names that, and not the images, which are as large as the cluster.

use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

use crate::metadata::Image;

/// The first thing that is not the same in both, as it is in each.
pub(super) fn first_difference(one: &Image, other: &Image) -> String {
    let topics = |image: &Image| {
        let described = |topic: &crate::metadata::Topic| (topic.id, topic.name.clone(), topic.config_offset);
        image.topics().map(described).collect::<alloc::vec::Vec<_>>()
    };
    let rest = |image: &Image| [(image.end(), image.next_producer_id())];
    let found = first(one.brokers().iter(), other.brokers().iter())
        .or_else(|| first(one.partitions(), other.partitions()))
        .or_else(|| first(topics(one).iter(), topics(other).iter()))
        .or_else(|| first(one.topics().map(|topic| &topic.config), other.topics().map(|topic| &topic.config)))
        .or_else(|| first(one.topic_names().iter(), other.topic_names().iter()))
        .or_else(|| first(rest(one).iter(), rest(other).iter()));
    found.unwrap_or_else(|| "nothing".into())
}

fn first<T: PartialEq + Debug>(
    mut one: impl Iterator<Item = T>,
    mut other: impl Iterator<Item = T>,
) -> Option<String> {
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (one, other) if one != other => return Some(format!("{one:?} and {other:?}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{changed, healthy, spoilt, with};
    use super::*;
    use crate::metadata::Record;

    #[test]
    fn what_differs_first_is_named_and_nothing_else() {
        let fenced = first_difference(&healthy(), &with(&[Record::BrokerFenced(changed(2))]));
        assert!(fenced.contains("fenced: true") && !fenced.contains("replicas"), "{fenced}");

        let other = first_difference(&healthy(), &spoilt(|state| state.min_isr = 1));
        assert!(other.contains("min_isr: 1") && !other.contains("incarnation"), "{other}");

        let later = first_difference(&healthy(), &with(&[]));
        assert_eq!(later, "nothing");
        let none = first_difference(&healthy(), &Image::default());
        assert!(none.ends_with("and None"), "{none}");
    }
}
