//! Numbers that are only compared: the spaces that they belong to, which of them occur, and where their ranks belong.

use highwater_model::replication::ReplicaIdx;
use smallvec::SmallVec;

/// A kind of numbers that are compared with one another only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Partition epochs.
    PartitionEpoch,
    /// Leader epochs.
    LeaderEpoch,
    /// Broker epochs of a replica.
    BrokerEpoch(ReplicaIdx),
    /// Log generations of a replica's incarnation.
    Generation {
        /// Whose log it is.
        replica: ReplicaIdx,
        /// Its broker epoch.
        incarnation: u8,
    },
    /// Ids of a replica's proposals.
    Proposal(ReplicaIdx),
    /// Ids of the fetches of a replica's incarnation in a leader epoch: they begin anew with either.
    Fetch {
        /// Who fetches.
        replica: ReplicaIdx,
        /// Its broker epoch.
        incarnation: u8,
        /// The leader epoch.
        reign: u8,
    },
}

impl Space {
    pub(super) fn key(self) -> u32 {
        let bytes = match self {
            Self::PartitionEpoch => [0, 0, 0, 0],
            Self::LeaderEpoch => [1, 0, 0, 0],
            Self::BrokerEpoch(replica) => [2, replica.0, 0, 0],
            Self::Generation { replica, incarnation } => [3, replica.0, incarnation, 0],
            Self::Proposal(replica) => [4, replica.0, 0, 0],
            Self::Fetch { replica, incarnation, reign } => [5, replica.0, incarnation, reign],
        };
        u32::from_le_bytes(bytes)
    }
}

/// A number whose rank belongs at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Index of its space among those of the part, or of the state.
    pub(super) space: u8,
    pub(super) number: u8,
    pub(super) place: u16,
    /// Whether only its rank among all the numbers of the state tells anything.
    pub(super) loose: bool,
}

/// Stands for the largest number of its kind.
pub(super) const LARGEST: u8 = 127;

/// The numbers of a kind that occur, a bit for each; the one that stands for the largest counts, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    pub(super) key: u32,
    pub(super) numbers: u128,
}

impl Known {
    /// The rank of a number, from 1; of what stands for the largest it is the rank of that one.
    pub(super) fn rank(self, number: u8) -> u8 {
        let below = self.numbers & ((1 << number) - 1);
        let rank = below.count_ones() + u32::from(number != LARGEST);
        u8::try_from(rank).expect("at most 128 bits")
    }
}

/// Number of places of the index; a power of two.
const PLACES: usize = 64;

/// The kinds of numbers that occur.
#[derive(Debug)]
pub(super) struct Spaces {
    known: SmallVec<[Known; 24]>,
    /// For the hash of a key one more than its index among those known, or 0; the kinds beyond that are searched for.
    index: [u8; PLACES],
}

impl Default for Spaces {
    fn default() -> Self {
        Self { known: SmallVec::new(), index: [0; PLACES] }
    }
}

impl Spaces {
    /// The numbers of the space with this index.
    pub(super) fn get(&self, space: u8) -> Known {
        *self.known.get(usize::from(space)).expect("a mark is of a known space")
    }

    /// Adds the numbers of a kind; gives the index of its space.
    pub(super) fn merge(&mut self, more: &Known) -> u8 {
        let space = self.slot(more.key);
        self.known.get_mut(usize::from(space)).expect("a slot that was given").numbers |= more.numbers;
        space
    }

    /// Notes that a number occurs; gives the index of its space, and the number.
    pub(super) fn note(&mut self, space: Space, number: u64) -> (u8, u8) {
        let number = u8::try_from(number).ok().filter(|number| *number < LARGEST);
        let number = number.expect("within the bounds of a world such numbers stay small");
        (self.merge(&Known { key: space.key(), numbers: 1 << number }), number)
    }

    /// Notes that the largest number of a kind is referred to.
    pub(super) fn note_largest(&mut self, space: Space) -> (u8, u8) {
        (self.merge(&Known { key: space.key(), numbers: 1 << LARGEST }), LARGEST)
    }

    /// Index of the space, where it is added if it is not known yet.
    fn slot(&mut self, key: u32) -> u8 {
        let place = (key.wrapping_mul(0x9e37_79b1) >> 26) as usize % PLACES;
        let place = self.index.get_mut(place).expect("a remainder is within");
        let here = |at: u8| self.known.get(usize::from(at)).is_some_and(|known| known.key == key);
        if let Some(at) = place.checked_sub(1).filter(|at| here(*at)) {
            return at;
        }
        let known = self.known.iter().position(|known| known.key == key);
        let at = known.unwrap_or_else(|| {
            self.known.push(Known { key, numbers: 0 });
            self.known.len() - 1
        });
        let at = u8::try_from(at).ok().filter(|at| *at < u8::MAX).expect("a few dozen kinds of numbers");
        *place = at + 1;
        at
    }
}
