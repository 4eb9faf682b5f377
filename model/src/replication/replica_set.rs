//! Replicas of a partition as dense indices, and sets of them as bits.

use core::fmt;

use serde::{Deserialize, Serialize};

/// At most so many replicas per partition.
pub const REPLICAS_MAX: u8 = 32;

/// Position of a replica in the partition's assignment, from 0; below [`REPLICAS_MAX`]. The node behind it is in
/// [`Tenure::replicas`](super::Tenure::replicas).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaIdx(pub u8);

impl fmt::Debug for ReplicaIdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for ReplicaIdx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A set of replicas, one bit per position in the assignment: an ISR, or a part of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct IsrSet(pub u32);

impl IsrSet {
    /// No replica.
    pub const EMPTY: Self = Self(0);

    /// The first `count` replicas of an assignment, at most [`REPLICAS_MAX`].
    #[must_use]
    pub fn first(count: u8) -> Self {
        (0..count.min(REPLICAS_MAX)).map(ReplicaIdx).collect()
    }

    /// The set with only this replica, or no replica when the index is [`REPLICAS_MAX`] or above.
    #[must_use]
    pub fn only(replica: ReplicaIdx) -> Self {
        Self(1_u32.checked_shl(u32::from(replica.0)).unwrap_or(0))
    }

    /// Whether the replica is in it.
    #[must_use]
    pub fn contains(self, replica: ReplicaIdx) -> bool {
        self.0 & Self::only(replica).0 != 0
    }

    /// This set and that replica.
    #[must_use]
    pub fn with(self, replica: ReplicaIdx) -> Self {
        self.union(Self::only(replica))
    }

    /// This set without that replica.
    #[must_use]
    pub fn without(self, replica: ReplicaIdx) -> Self {
        self.minus(Self::only(replica))
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one only.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether everything in this one is in the other.
    #[must_use]
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether there is no replica in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Number of replicas in it.
    #[must_use]
    pub fn count(self) -> u8 {
        u8::try_from(self.0.count_ones()).expect("a word has at most 32 bits")
    }

    /// Its replicas in the order of the assignment.
    pub fn iter(self) -> impl Iterator<Item = ReplicaIdx> {
        (0..REPLICAS_MAX).map(ReplicaIdx).filter(move |replica| self.contains(*replica))
    }
}

impl FromIterator<ReplicaIdx> for IsrSet {
    fn from_iter<I: IntoIterator<Item = ReplicaIdx>>(replicas: I) -> Self {
        replicas.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for IsrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_replicas_behaves_as_one() {
        let set = IsrSet::first(3).without(ReplicaIdx(1));

        assert_eq!(set.iter().collect::<alloc::vec::Vec<_>>(), [ReplicaIdx(0), ReplicaIdx(2)]);
        assert_eq!((set.count(), set.contains(ReplicaIdx(1)), set.is_empty()), (2, false, false));
        assert!(set.is_subset(IsrSet::first(3)) && !IsrSet::first(3).is_subset(set));
        assert_eq!(set.union(IsrSet::only(ReplicaIdx(1))), IsrSet::first(3));
    }

    #[test]
    fn an_index_past_the_end_is_in_no_set() {
        assert!(IsrSet::only(ReplicaIdx(200)).is_empty());
        assert!(!IsrSet(u32::MAX).contains(ReplicaIdx(32)));
        assert_eq!(IsrSet::first(255).count(), 32);
    }
}
