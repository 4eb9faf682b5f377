//! Stretches of time of one width, few enough to draw, for a run of which nobody knows how long it lasts.

use std::collections::BTreeMap;

/// The most buckets that a plot has room for.
pub(super) const BUCKETS_MAX: u64 = 240;

/// The narrowest bucket, in nanoseconds.
const WIDTH_MIN_NS: u64 = 50_000_000;

/// What can be one of two.
pub(super) trait Absorb {
    /// Takes in what is later.
    fn absorb(&mut self, later: Self);
}

/// Something for each stretch of time in which there was anything.
#[derive(Clone, Debug)]
pub(super) struct Buckets<T> {
    width_ns: u64,
    by_place: BTreeMap<u64, T>,
}

impl<T> Default for Buckets<T> {
    fn default() -> Self {
        Self { width_ns: WIDTH_MIN_NS, by_place: BTreeMap::new() }
    }
}

impl<T: Default + Absorb> Buckets<T> {
    /// The bucket that a moment lies in.
    pub(super) fn at(&mut self, ns: u64) -> &mut T {
        while ns / self.width_ns >= BUCKETS_MAX {
            self.widen();
        }
        self.by_place.entry(ns / self.width_ns).or_default()
    }

    /// Makes one bucket of two.
    fn widen(&mut self) {
        self.width_ns = self.width_ns.saturating_mul(2);
        for (place, bucket) in std::mem::take(&mut self.by_place) {
            self.by_place.entry(place / 2).or_default().absorb(bucket);
        }
    }
}

impl<T> Buckets<T> {
    /// How much time a bucket spans, in nanoseconds.
    pub(super) fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// When each bucket begins, and what is in it; those with nothing are left out.
    pub(super) fn each(&self) -> impl Iterator<Item = (u64, &T)> {
        self.by_place.iter().map(|(place, bucket)| (place * self.width_ns, bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Absorb for Vec<u64> {
        fn absorb(&mut self, later: Self) {
            self.extend(later);
        }
    }

    #[test]
    fn a_moment_is_in_the_bucket_that_begins_at_or_before_it() {
        let mut buckets = Buckets::<Vec<u64>>::default();
        for ns in [0, 49_999_999, 50_000_000, 149_999_999] {
            buckets.at(ns).push(ns);
        }

        let found: Vec<_> = buckets.each().map(|(from, bucket)| (from, bucket.len())).collect();
        assert_eq!(found, [(0, 2), (50_000_000, 1), (100_000_000, 1)]);
    }

    #[test]
    fn a_long_run_has_wider_buckets_and_not_more() {
        let mut buckets = Buckets::<Vec<u64>>::default();
        let seconds = 0..3_600;
        seconds.clone().for_each(|second| buckets.at(second * 1_000_000_000).push(second));

        assert_eq!(buckets.width_ns(), 25_600_000_000);
        assert!(buckets.each().count() as u64 <= BUCKETS_MAX);
        let kept: Vec<u64> = buckets.each().flat_map(|(_, bucket)| bucket.clone()).collect();
        assert_eq!(kept, seconds.collect::<Vec<_>>());
        for (from, bucket) in buckets.each() {
            let within = from..from + buckets.width_ns();
            assert!(bucket.iter().all(|second| within.contains(&(second * 1_000_000_000))), "{from}");
        }
    }

    #[test]
    fn no_moment_is_too_late() {
        let mut buckets = Buckets::<Vec<u64>>::default();
        buckets.at(1).push(1);
        buckets.at(u64::MAX).push(2);

        assert!(buckets.each().count() as u64 <= BUCKETS_MAX);
    }
}
