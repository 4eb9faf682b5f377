//! Who votes: voter keys, voter sets, majorities, and the history of the sets in a log (Q9, Q30).

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::refusal::Refusal;
use crate::id::{DirectoryId, NodeId, Offset};

/// Identity of a replica of the quorum log, voter or observer: a node and the disk that it runs on. A node that returns
/// with another disk is another replica (Q4, Q36, X12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoterKey {
    /// The node.
    pub id: NodeId,
    /// Its log directory.
    pub directory: DirectoryId,
}

impl core::fmt::Display for VoterKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "node {} (directory {})", self.id, self.directory)
    }
}

/// A set of voters, sorted, at most one key per node, at most [`VoterSet::VOTERS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmallVec<[VoterKey; 3]>")]
pub struct VoterSet(SmallVec<[VoterKey; 3]>);

impl TryFrom<SmallVec<[VoterKey; 3]>> for VoterSet {
    type Error = Refusal;

    fn try_from(keys: SmallVec<[VoterKey; 3]>) -> Result<Self, Refusal> {
        Self::new(keys)
    }
}

impl VoterSet {
    /// The largest set: votes are counted in 32 bits.
    pub const VOTERS_MAX: u32 = 32;

    /// The set of these keys.
    ///
    /// # Errors
    /// [`Refusal::BadVoterSet`] when a node appears twice or there are more than [`Self::VOTERS_MAX`].
    pub fn new(keys: impl IntoIterator<Item = VoterKey>) -> Result<Self, Refusal> {
        let mut keys: SmallVec<[VoterKey; 3]> = keys.into_iter().collect();
        keys.sort_unstable();
        let twice = keys.windows(2).any(|pair| matches!(pair, [a, b] if a.id == b.id));
        let size = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        if twice || size > Self::VOTERS_MAX { Err(Refusal::BadVoterSet { size }) } else { Ok(Self(keys)) }
    }

    /// The keys, in ascending order.
    #[must_use]
    pub fn keys(&self) -> &[VoterKey] {
        &self.0
    }

    /// Whether this replica, with this very disk, is a voter.
    #[must_use]
    pub fn contains(&self, key: VoterKey) -> bool {
        self.0.contains(&key)
    }

    /// The key of this node, if it is a voter.
    #[must_use]
    pub fn of_node(&self, id: NodeId) -> Option<VoterKey> {
        self.0.iter().copied().find(|key| key.id == id)
    }

    /// Number of voters.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::try_from(self.0.len()).expect("a voter set has at most VOTERS_MAX voters")
    }

    /// The least number of voters that is more than half; 1 for an empty set, which therefore never decides.
    #[must_use]
    pub fn majority(&self) -> u32 {
        self.size() / 2 + 1
    }

    /// This set and one more voter (Q30).
    ///
    /// # Errors
    /// [`Refusal::BadVoterSet`] when the node votes already or the set is full.
    pub fn with(&self, key: VoterKey) -> Result<Self, Refusal> {
        Self::new(self.0.iter().copied().chain([key]))
    }

    /// This set and one voter less (Q30).
    #[must_use]
    pub fn without(&self, key: VoterKey) -> Self {
        Self(self.0.iter().copied().filter(|voter| *voter != key).collect())
    }
}

/// A voter set and the record that brought it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoterRecord {
    /// Offset of the record.
    pub offset: Offset,
    /// The set from there on.
    pub voters: VoterSet,
}

/// The voter sets of a log by offset: each takes effect when its record is appended and reverts when it is truncated
/// (Q30).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VoterHistory {
    /// The set before the first record: of the latest snapshot, or as formatted.
    base: VoterSet,
    records: SmallVec<[VoterRecord; 1]>,
}

impl VoterHistory {
    /// The history of a log without voters records.
    #[must_use]
    pub fn new(base: VoterSet) -> Self {
        Self { base, records: SmallVec::new() }
    }

    /// The set in effect: the last one appended, committed or not (Q9).
    #[must_use]
    pub fn latest(&self) -> &VoterSet {
        self.records.last().map_or(&self.base, |record| &record.voters)
    }

    /// The set in effect after everything below `end` (exclusive).
    #[must_use]
    pub fn at(&self, end: Offset) -> &VoterSet {
        self.records
            .iter()
            .rev()
            .find(|record| record.offset < end)
            .map_or(&self.base, |record| &record.voters)
    }

    /// Offset of the last voters record in the log, if there is one above the snapshot.
    #[must_use]
    pub fn last_offset(&self) -> Option<Offset> {
        self.records.last().map(|record| record.offset)
    }

    /// The set before the first record.
    pub(super) fn base(&self) -> &VoterSet {
        &self.base
    }

    /// The records above the snapshot, oldest first.
    #[must_use]
    pub fn records(&self) -> &[VoterRecord] {
        &self.records
    }

    /// A voters record was appended at `offset`.
    ///
    /// # Panics
    /// When it is not above the last one: logs grow at their end.
    pub fn append(&mut self, offset: Offset, voters: VoterSet) {
        assert!(self.last_offset().is_none_or(|last| last < offset), "voters records are appended in order");
        self.records.push(VoterRecord { offset, voters });
    }

    /// The log was cut back to `end` (exclusive).
    pub fn truncate(&mut self, end: Offset) {
        self.records.retain(|record| record.offset < end);
    }

    /// Everything below `start` is in a snapshot now.
    pub fn trim(&mut self, start: Offset) {
        self.base = self.at(start).clone();
        self.records.retain(|record| record.offset >= start);
    }
}
