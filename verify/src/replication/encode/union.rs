//! The numbers of a whole state, by kind: what those of a part are held against.

use std::cell::RefCell;

use super::space::LARGEST;

/// The numbers of each kind that occur in a state.
#[derive(Debug, Default)]
pub(super) struct Union {
    /// By the index of their space, a bit for each.
    numbers: Vec<u64>,
    /// The indices of those spaces that have any.
    used: Vec<u16>,
}

/// Calls `compare` with an empty union that has the room of those before it.
pub(super) fn with_union(compare: impl FnOnce(&mut Union)) {
    thread_local! {
        static UNION: RefCell<Union> = RefCell::default();
    }
    UNION.with_borrow_mut(|union| {
        union.clear();
        compare(union);
    });
}

impl Union {
    fn clear(&mut self) {
        for slot in self.used.drain(..) {
            *self.numbers.get_mut(usize::from(slot)).expect("it is used") = 0;
        }
    }

    /// Adds numbers of a space.
    pub(super) fn add(&mut self, slot: u16, numbers: u64) {
        let at = usize::from(slot);
        if at >= self.numbers.len() {
            self.numbers.resize(at + 1, 0);
        }
        let known = self.numbers.get_mut(at).expect("there is room");
        if *known == 0 {
            self.used.push(slot);
        }
        *known |= numbers;
    }

    /// All the numbers of a space.
    pub(super) fn get(&self, slot: u16) -> u64 {
        *self.numbers.get(usize::from(slot)).expect("a space that was added")
    }

    /// Which of all the numbers of their space these are: a bit for each of all, from the least on, set for these. What
    /// stands for the largest stays in its place.
    pub(super) fn pattern(&self, slot: u16, numbers: u64) -> u64 {
        pattern(self.get(slot), numbers)
    }
}

fn pattern(all: u64, numbers: u64) -> u64 {
    let largest = numbers & 1 << LARGEST;
    let (all, mut numbers) = (all & !(1 << LARGEST), numbers & !(1 << LARGEST));
    let first = all.trailing_zeros() % u64::BITS;
    let has_no_gap = (all >> first) & ((all >> first) + 1) == 0;
    if has_no_gap {
        return largest | numbers >> first;
    }
    let mut pattern = largest;
    while numbers != 0 {
        let number = numbers.trailing_zeros();
        numbers &= numbers - 1;
        pattern |= 1 << (all & ((1 << number) - 1)).count_ones();
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_tells_which_of_all_numbers_a_part_has() {
        assert_eq!(pattern(0b1110_0000, 0b1110_0000), 0b111);
        assert_eq!(pattern(0b1110_0000, 0b1010_0000), 0b101);
        assert_eq!(pattern(0b1010_0010, 0b1000_0010), 0b101);
        assert_eq!(pattern(1 << 62 | 1, 1 << 62), 0b10);
        assert_eq!(pattern(u64::MAX >> 1, u64::MAX >> 1), u64::MAX >> 1);
    }

    #[test]
    fn what_stands_for_the_largest_keeps_its_place() {
        let largest = 1 << LARGEST;

        assert_eq!(pattern(largest, largest), largest);
        assert_eq!(pattern(largest | 0b1010, largest | 0b1000), largest | 0b10);
        assert_eq!(pattern(largest | 0b1010, 0b1010), 0b11);
    }

    #[test]
    fn each_union_begins_empty() {
        with_union(|union| union.add(3, 0b1010));
        with_union(|union| {
            union.add(3, 0b100);
            union.add(3, 0b001);
            assert_eq!(union.get(3), 0b101);
            assert_eq!(union.pattern(3, 0b100), 0b10);
        });
    }
}
