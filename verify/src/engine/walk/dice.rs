//! Chances, drawn from a seed: the same on every machine.

/// A splitmix64 generator. Each value that it gives out is a bijection of a counter, so that any two seeds differ.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The chances of a walk.
    pub(super) fn of_walk(seed: u64, number: u64) -> Self {
        Self(Self(seed).draw() ^ Self(!number).draw())
    }

    /// Any number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number that is as good as drawn, of these two alone.
    pub(super) fn of_both(one: u64, other: u64) -> u64 {
        Self(one ^ Self(other).draw()).draw()
    }

    /// A number below `end`, 0 if that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let product = u128::from(self.draw()) * u128::from(end);
        u64::try_from(product >> 64).expect("the high half of a product")
    }
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn walks_of_a_seed_and_seeds_of_a_walk_have_chances_of_their_own() {
        let first = |seed, number| Dice::of_walk(seed, number).draw();

        assert_eq!(first(7, 3), first(7, 3));
        assert_ne!(first(7, 3), first(7, 4));
        assert_ne!(first(7, 3), first(8, 3));
        assert_ne!(first(3, 7), first(7, 3));
    }

    #[test]
    fn every_number_below_the_end_is_drawn() {
        let mut dice = Dice::of_walk(1, 0);
        let mut drawn = [false; 6];
        for _ in 0..200 {
            let at = usize::try_from(dice.below(6)).expect("below six");
            drawn[at] = true;
        }

        assert_eq!(drawn, [true; 6]);
        assert_eq!(dice.below(0), 0);
    }
}
