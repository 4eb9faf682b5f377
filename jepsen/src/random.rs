//! Choices drawn from a seed, so that a run can be asked for again.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Random(ChaCha12Rng);

impl Random {
    /// The stream of a seed and of who draws from it.
    #[must_use]
    pub fn of(seed: u64, who: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        random.set_stream(who);
        Self(random)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64().checked_rem(bound).unwrap_or_default()
    }

    /// True once in `times`, on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A time between two, in milliseconds.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let spread = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.below(spread.saturating_add(1)))
    }

    /// One of some things.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        let at = self.below(things.len() as u64);
        things.get(usize::try_from(at).unwrap_or_default())
    }

    /// Things in another order.
    pub fn shuffled<T>(&mut self, mut things: Vec<T>) -> Vec<T> {
        for last in (1..things.len()).rev() {
            let other = self.below(last as u64 + 1);
            things.swap(last, usize::try_from(other).unwrap_or_default());
        }
        things
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_stream_and_each_who_has_its_own() {
        let draw = |seed, who| {
            let mut random = Random::of(seed, who);
            (0..8).map(|_| random.below(1000)).collect::<Vec<u64>>()
        };

        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn shuffling_loses_nothing() {
        let mut shuffled = Random::of(3, 0).shuffled((0..50).collect());

        assert_ne!(shuffled, (0..50).collect::<Vec<u32>>());
        shuffled.sort_unstable();
        assert_eq!(shuffled, (0..50).collect::<Vec<u32>>());
    }
}
