//! How many bytes an answer to a follower carries.
//!
//! A follower asks again when an answer takes long, and takes none to an earlier request (R13). If every answer were as
//! large as it may be, a link that carries less than one in that time would carry the same bytes for ever. So an answer
//! from where the last one began is half as large, and one that goes on is twice as large.

use std::collections::BTreeMap;

use highwater_model::id::{NodeId, Offset};

/// No answer is cut smaller than this; a batch is never cut.
const BYTES_MIN: u32 = 16 << 10;

/// Where the last answer to each follower began, and how large it might be.
#[derive(Debug)]
pub(super) struct Portions {
    bytes_max: u32,
    last: BTreeMap<NodeId, (Offset, u32)>,
}

impl Portions {
    /// Answers of at most about `bytes_max` bytes.
    pub(super) const fn new(bytes_max: u32) -> Self {
        Self { bytes_max, last: BTreeMap::new() }
    }

    /// About how many bytes the next answer to `to` may carry, which begins at `from`.
    pub(super) fn next(&mut self, to: NodeId, from: Offset) -> u32 {
        let bytes = match self.last.get(&to) {
            Some((last, bytes)) if *last == from => (bytes / 2).max(BYTES_MIN),
            Some((_, bytes)) => bytes.saturating_mul(2),
            None => self.bytes_max,
        };
        let bytes = bytes.min(self.bytes_max);
        self.last.insert(to, (from, bytes));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLLOWER: NodeId = NodeId(2);

    #[test]
    fn what_is_asked_for_again_comes_in_smaller_portions_down_to_the_smallest() {
        let mut portions = Portions::new(50_000);

        let asked: Vec<u32> = (0..4).map(|_| portions.next(FOLLOWER, Offset(7))).collect();

        assert_eq!(asked, [50_000, 25_000, BYTES_MIN, BYTES_MIN]);
    }

    #[test]
    fn a_follower_that_goes_on_gets_more_each_time_up_to_the_largest() {
        let mut portions = Portions::new(50_000);
        for _ in 0..3 {
            portions.next(FOLLOWER, Offset(0));
        }

        let asked: Vec<u32> = (1..4).map(|offset| portions.next(FOLLOWER, Offset(offset))).collect();

        assert_eq!(asked, [2 * BYTES_MIN, 50_000, 50_000]);
        assert_eq!(portions.next(NodeId(3), Offset(0)), 50_000);
    }
}
