//! Counts how long things took, in cells that are at most a sixteenth wide.

use std::collections::BTreeMap;

/// Cells of one power of two, as a power of two.
const CELLS_BITS: u32 = 4;

/// How often which time was taken. Its memory is bounded by the cells there are, whatever is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    counts: BTreeMap<u64, u64>,
    /// How many were counted.
    pub(super) count: u64,
    /// The longest.
    pub(super) max_ns: u64,
}

impl Histogram {
    /// Counts one.
    pub(super) fn add(&mut self, ns: u64) {
        *self.counts.entry(cell(ns)).or_default() += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Counts everything that another one counted.
    pub(super) fn absorb(&mut self, other: Self) {
        for (cell, count) in other.counts {
            *self.counts.entry(cell).or_default() += count;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The time that so many in a hundred did not exceed, or up to a sixteenth more; none if nothing was counted.
    pub(super) fn quantile(&self, percent: u64) -> Option<u64> {
        let rank = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut below = 0;
        for (cell, count) in &self.counts {
            below += count;
            if below >= rank {
                return Some(highest(*cell).min(self.max_ns));
            }
        }
        None
    }
}

/// The cell of a time: itself if short, else its highest bits and how many there are below.
fn cell(ns: u64) -> u64 {
    let shift = (ns.max(1).ilog2() + 1).saturating_sub(CELLS_BITS + 1);
    (u64::from(shift) << CELLS_BITS) + (ns >> shift)
}

/// The longest time of a cell.
fn highest(cell: u64) -> u64 {
    let shift = (cell >> CELLS_BITS).saturating_sub(1);
    let bits = cell - (shift << CELLS_BITS);
    let next = u128::from(bits + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(times: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        times.into_iter().for_each(|ns| histogram.add(ns));
        histogram
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_long() {
        let histogram = counted((1..=1000).map(|ms| ms * 1_000_000));
        for percent in [1, 50, 90, 99, 100] {
            let exact = percent * 10_000_000;
            let told = histogram.quantile(percent).expect("something was counted");
            assert!((exact..=exact + exact / 16).contains(&told), "{percent}: {told} instead of {exact}");
        }
        assert_eq!(histogram.quantile(100), Some(1_000_000_000));
    }

    #[test]
    fn one_time_is_every_quantile_and_none_is_none() {
        assert_eq!([0, 50, 100].map(|percent| counted([777]).quantile(percent)), [Some(777); 3]);
        assert_eq!(counted([]).quantile(50), None);
        assert_eq!(counted([0, u64::MAX]).quantile(100), Some(u64::MAX));
    }

    #[test]
    fn each_time_is_in_the_cell_that_ends_at_or_after_it() {
        for ns in (0..4096).chain([1 << 40, (1 << 40) - 1, u64::MAX]) {
            assert!(highest(cell(ns)) >= ns, "{ns}");
            assert!(cell(ns) == 0 || highest(cell(ns) - 1) < ns, "{ns}");
        }
    }

    #[test]
    fn two_histograms_are_one_of_both() {
        let mut both = counted([5, 900]);
        both.absorb(counted([70_000, 5]));
        assert_eq!(both, counted([5, 5, 900, 70_000]));
    }
}
