//! Numbers that are only compared: the spaces that they belong to, which of them occur, and where their ranks belong.

use std::sync::{Mutex, PoisonError};

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

    /// Its index in tables: every space has one of its own.
    pub(super) fn slot(self) -> u16 {
        match self {
            Self::PartitionEpoch => 0,
            Self::LeaderEpoch => 1,
            Self::BrokerEpoch(replica) => 2 + u16::from(replica.0),
            Self::Generation { .. } | Self::Proposal(_) | Self::Fetch { .. } => met(self.key()),
        }
    }
}

/// The index of a space that is one of many: those that occur get theirs one after the other.
fn met(key: u32) -> u16 {
    static MET: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let mut met = MET.lock().unwrap_or_else(PoisonError::into_inner);
    let at = met.iter().position(|other| *other == key).unwrap_or_else(|| {
        met.push(key);
        met.len() - 1
    });
    // Before them come those of which each replica has one.
    u16::try_from(at + 2 + usize::from(u8::MAX) + 1).expect("a few hundred kinds of numbers")
}

/// A number whose rank belongs at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// Index of its space among those of the part.
    pub(super) space: u8,
    pub(super) number: u8,
    pub(super) place: u16,
    /// Whether only its rank among all the numbers of the state tells anything.
    pub(super) loose: bool,
}

/// Stands for the largest number of its kind.
pub(super) const LARGEST: u8 = 63;

/// The numbers of a kind that occur, a bit for each; the one that stands for the largest counts, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    pub(super) key: u32,
    pub(super) slot: u16,
    pub(super) numbers: u64,
}

/// The rank of a number among `numbers`, from 1; of what stands for the largest it is the rank of that one.
pub(super) fn rank(numbers: u64, number: u8) -> u8 {
    let below = numbers & ((1 << number) - 1);
    let rank = below.count_ones() + u32::from(number != LARGEST);
    u8::try_from(rank).expect("at most 64 bits")
}

/// The bit of a number that is only compared.
pub(super) fn small(number: u64) -> u8 {
    let number = u8::try_from(number).ok().filter(|number| *number < LARGEST);
    number.expect("within the bounds of a world such numbers stay small")
}

/// The kinds of numbers that occur in a part.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    known: SmallVec<[Known; 16]>,
}

impl Spaces {
    /// The numbers of the space with this index.
    pub(super) fn get(&self, space: u8) -> Known {
        *self.known.get(usize::from(space)).expect("a mark is of a known space")
    }

    /// Notes that a number occurs; gives the index of its space, and the number.
    pub(super) fn note(&mut self, space: Space, number: u64) -> (u8, u8) {
        let number = small(number);
        (self.add(space, number), number)
    }

    /// Notes that the largest number of a kind is referred to.
    pub(super) fn note_largest(&mut self, space: Space) -> (u8, u8) {
        (self.add(space, LARGEST), LARGEST)
    }

    fn add(&mut self, space: Space, number: u8) -> u8 {
        let (key, numbers) = (space.key(), 1 << number);
        let at = self.known.iter().position(|known| known.key == key).unwrap_or_else(|| {
            self.known.push(Known { key, slot: space.slot(), numbers });
            self.known.len() - 1
        });
        self.known.get_mut(at).expect("found or added").numbers |= numbers;
        u8::try_from(at).expect("a few dozen kinds of numbers")
    }
}
