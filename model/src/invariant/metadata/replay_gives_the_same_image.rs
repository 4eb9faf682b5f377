//! MI8: replaying the committed log from a snapshot or from the start gives equal images.
//!
//! Source: Q40, KIP-630. Catches a fold that depends on more than the log, and a snapshot that leaves something out.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::difference::first_difference;
use super::ensure;
use crate::id::Offset;
use crate::invariant::Violation;
use crate::metadata::{Image, Record};

/// The property's name.
pub const REPLAY_GIVES_THE_SAME_IMAGE: &str = "metadata/replay_gives_the_same_image";

/// A snapshot of `earlier` and the batches since then give `image`.
///
/// # Errors
/// With the values that break it.
pub fn replay_gives_the_same_image(
    earlier: &Image,
    since: &[(Offset, Vec<Record>)],
    image: &Image,
) -> Result<(), Violation> {
    let mut replayed = Image::default();
    if earlier.end() > Offset::ZERO {
        replayed.apply(earlier.end(), &[Record::Snapshot(Box::new(earlier.clone()))]);
    }
    for (end, records) in since {
        replayed.apply(*end, records);
    }
    ensure(REPLAY_GIVES_THE_SAME_IMAGE, replayed == *image, || {
        let (earlier, differs) = (earlier.end(), first_difference(&replayed, image));
        format!("from metadata offset {earlier} the log gives another image than is there: {differs}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{healthy, log, spoilt};
    use super::*;

    #[test]
    fn an_image_that_is_not_what_the_log_says_is_found() {
        let mut earlier = Image::default();
        let (end, records) = &log()[0];
        earlier.apply(*end, records);

        assert_eq!(replay_gives_the_same_image(&Image::default(), &log(), &healthy()), Ok(()));
        assert_eq!(replay_gives_the_same_image(&earlier, &log()[1..], &healthy()), Ok(()));
        assert!(
            replay_gives_the_same_image(&earlier, &log()[1..], &spoilt(|state| state.min_isr = 1)).is_err()
        );
    }
}
