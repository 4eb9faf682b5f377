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
}

/// The numbers of a kind that occur, a bit for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) key: u32,
    pub(super) numbers: u128,
}

/// Stands for the largest number of its kind.
pub(super) const LARGEST: u8 = 127;

/// Index of the space among those known, where it is added if it is not yet.
pub(super) fn slot(known: &mut SmallVec<[Known; 24]>, key: u32) -> u8 {
    let at = known.iter().position(|known| known.key == key).unwrap_or_else(|| {
        known.push(Known { key, numbers: 0 });
        known.len() - 1
    });
    u8::try_from(at).expect("a few dozen kinds of numbers")
}

/// Notes that the number occurs, and gives the mark for its rank.
pub(super) fn marked(known: &mut SmallVec<[Known; 24]>, space: Space, number: u64, place: u16) -> Mark {
    let number = u8::try_from(number).ok().filter(|number| *number < LARGEST);
    let number = number.expect("within the bounds of a world such numbers stay small");
    let space = slot(known, space.key());
    known.get_mut(usize::from(space)).expect("a slot that was given").numbers |= 1 << number;
    Mark { space, number, place }
}
