//! RI18: every broker's metadata is a prefix of the committed log.
//!
//! Source: Q50, X3. Catches a broker that applies what is not committed, or out of order.

use alloc::format;
use alloc::vec::Vec;

use super::difference::first_difference;
use super::ensure;
use crate::id::Offset;
use crate::invariant::Violation;
use crate::metadata::{Image, Record};

/// The property's name.
pub const EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG: &str = "metadata/every_image_is_a_prefix_of_the_log";

/// The fold of the batches of `committed` that end within `image` is `image`.
///
/// # Errors
/// With the values that break it.
pub fn every_image_is_a_prefix_of_the_log(
    committed: &[(Offset, Vec<Record>)],
    image: &Image,
) -> Result<(), Violation> {
    let mut prefix = Image::default();
    for (end, records) in committed.iter().take_while(|(end, _)| *end <= image.end()) {
        prefix.apply(*end, records);
    }
    ensure(EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG, prefix == *image, || {
        let (end, differs) = (image.end(), first_difference(&prefix, image));
        format!("the log up to metadata offset {end} gives another image than is there: {differs}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, log, spoilt};
    use super::*;

    #[test]
    fn an_image_beside_the_log_is_found() {
        assert_eq!(every_image_is_a_prefix_of_the_log(&log(), &healthy()), Ok(()));
        assert_eq!(every_image_is_a_prefix_of_the_log(&log(), &Image::default()), Ok(()));
        assert!(every_image_is_a_prefix_of_the_log(&log(), &spoilt(|state| state.min_isr = 1)).is_err());
    }
}
