//! MI1: broker epochs are unique and only grow; a node has one registration, a directory one broker.
//!
//! Source: Q51, KIP-631. Catches a registration that takes a directory of another broker, and one that goes back.

use alloc::collections::BTreeSet;
use alloc::format;

use super::{Earlier, ensure};
use crate::invariant::Violation;
use crate::metadata::Image;

/// The property's name.
pub const NODE_HAS_ONE_REGISTRATION: &str = "metadata/node_has_one_registration";

/// Nodes, broker epochs and directories are each unique, and no registration lies beyond the image.
///
/// # Errors
/// With the values that break it.
pub fn node_has_one_registration(image: &Image) -> Result<(), Violation> {
    let mut epochs = BTreeSet::new();
    let mut directories = BTreeSet::new();
    let mut last = None;
    for broker in image.brokers() {
        let once = last.replace(broker.node) < Some(broker.node)
            && epochs.insert(broker.broker_epoch)
            && broker.directories.iter().all(|directory| directories.insert(*directory));
        let within = broker.broker_epoch.0 < image.end().0;
        ensure(NODE_HAS_ONE_REGISTRATION, once && within, || {
            let wrong =
                if once { "lies beyond" } else { "shares its node, epoch or directory with another, in" };
            format!("{broker:?} {wrong} the image up to metadata offset {}", image.end())
        })?;
    }
    Ok(())
}

/// From before a batch to an image after it the registration of a node changes only to a larger broker epoch.
///
/// # Errors
/// With the values that break it.
pub fn registrations_only_grow(before: &impl Earlier, after: &Image) -> Result<(), Violation> {
    for was in before.brokers() {
        let is = after.broker(was.node);
        let grows = is.is_some_and(|is| {
            is.broker_epoch > was.broker_epoch
                || (is.broker_epoch == was.broker_epoch && is.incarnation == was.incarnation)
        });
        ensure(NODE_HAS_ONE_REGISTRATION, grows, || format!("{was:?} became {is:?}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, registered, with};
    use super::*;

    #[test]
    fn a_directory_of_two_brokers_is_found() {
        assert_eq!(node_has_one_registration(&healthy()), Ok(()));
        assert!(node_has_one_registration(&with(&[registered(2, 1)])).is_err());
    }

    #[test]
    fn a_registration_that_goes_back_is_found() {
        let (earlier, later) = (healthy(), with(&[registered(1, 1)]));

        assert_eq!(registrations_only_grow(&earlier, &later), Ok(()));
        assert!(registrations_only_grow(&later, &earlier).is_err());
    }
}
