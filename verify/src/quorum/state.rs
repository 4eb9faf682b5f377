//! The state of the quorum world: replicas, their disks, messages in flight, and what was promised.

use highwater_model::fault::Planted;
use highwater_model::id::{DirectoryId, IncarnationId, LogGeneration, NodeId, Offset, QuorumEpoch};
use highwater_model::invariant::quorum::{Entry, Heard};
use highwater_model::quorum::{
    BatchKind, Message, ProposalId, Quorum, ReadId, SnapshotId, Tenure, Vote, VoterKey, VoterSet,
};
use smallvec::SmallVec;

use super::shared::Shared;

/// A replica's place in [`State::nodes`], and its node id.
pub type Place = u8;

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The replicas: voters first, then observers.
    pub nodes: SmallVec<[Shared<Node>; 3]>,
    /// Messages in flight, sorted: a multiset, in which no order is kept.
    pub network: SmallVec<[Packet; 6]>,
    /// What was promised and what happened.
    pub ghost: Ghost,
    /// What was spent of the bounds.
    pub spent: Spent,
    /// Proposals and voter changes that somebody waits for, and where they were made, in their order. In every step they are held to be
    /// those that the core there says it is to answer: so they tell no states apart.
    pub proposals: SmallVec<[(Place, ProposalId); 1]>,
}

/// One replica: its core and its disk. A crash and the restart that follows are one step: a replica that is down does
/// nothing, as does one whose messages and timers are late.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The core.
    pub core: Quorum<Planted>,
    /// How often it was started before.
    pub starts: u8,
    /// How often its disk was replaced.
    pub wipes: u8,
    /// What is on disk and on its way there.
    pub disk: Disk,
    /// Whom it has heard as the leader of its epoch since its check-quorum timer was armed, whatever its core says of that.
    pub heard: Heard,
}

/// A disk. A write is there at once: only a power loss undoes it, and that is chosen then. Completions of syncs and of
/// stored votes come later, in the order in which they were issued.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The stored vote.
    pub vote: Vote,
    /// Votes on their way.
    pub storing: SmallVec<[Vote; 1]>,
    /// The snapshots, oldest first, with the voters in them.
    pub snapshots: SmallVec<[(SnapshotId, VoterSet); 2]>,
    /// Offset of the first record.
    pub start: Offset,
    /// The records.
    pub entries: SmallVec<[Entry; 4]>,
    /// What a power loss leaves, exclusive.
    pub flushed: Offset,
    /// Syncs on their way: what they cover, exclusive, and of which generation of the log.
    pub syncs: SmallVec<[(Offset, LogGeneration); 2]>,
}

/// A message on its way, and the contents of the records that travel beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet {
    /// The receiver.
    pub to: Place,
    /// What is on its way.
    pub letter: Shared<Letter>,
}

/// What is on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letter {
    /// The message.
    pub message: Message,
    /// Contents of its batches.
    pub contents: SmallVec<[u64; 2]>,
}

/// What was promised and what happened: known to nobody in the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Every record that a leader's high watermark covered.
    pub committed: SmallVec<[Entry; 4]>,
    /// Offsets of the records that were acknowledged.
    pub acknowledged: SmallVec<[Offset; 2]>,
    /// Leaders so far.
    pub elected: SmallVec<[(QuorumEpoch, VoterKey); 2]>,
    /// The last vote that each voter gave.
    pub granted: SmallVec<[(VoterKey, QuorumEpoch, VoterKey); 3]>,
    /// Reads that wait: where, and the end of what was acknowledged when they were asked.
    pub reads: SmallVec<[(Place, ReadId, Offset); 1]>,
}

/// What was spent of the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Values proposed.
    pub values: u8,
    /// Candidacies begun.
    pub elections: u8,
    /// Processes killed.
    pub kills: u8,
    /// Power losses.
    pub power_losses: u8,
    /// Disks replaced.
    pub wipes: u8,
    /// Disks that lost durable records.
    pub corruptions: u8,
    /// Fetches sent again.
    pub resends: u8,
    /// Messages delivered twice.
    pub repeats: u8,
    /// Leaders that resigned.
    pub resigns: u8,
    /// Voter changes asked for.
    pub changes: u8,
    /// Reads asked for.
    pub reads: u8,
    /// Snapshots taken.
    pub snapshots: u8,
}

/// The key of a replica whose disk was replaced so often.
#[must_use]
pub(super) fn key(place: Place, wipes: u8) -> VoterKey {
    VoterKey {
        id: NodeId(u32::from(place)),
        directory: DirectoryId(u128::from(place) + 16 * u128::from(wipes)),
    }
}

/// The place of a node.
#[must_use]
pub(super) fn place(id: NodeId) -> Place {
    Place::try_from(id.0).expect("node ids of this world are places")
}

/// The tenure of the run that a replica is in.
#[must_use]
pub(super) fn tenure(at: Place, node: &Node) -> Tenure {
    Tenure { key: key(at, node.wipes), incarnation: IncarnationId(u128::from(node.starts)) }
}

/// The content of a value's record.
#[must_use]
pub(super) fn value(id: u64) -> u64 {
    id
}

/// The content of a control record: of a leader change 0, of a voters record the keys packed above a marker.
#[must_use]
pub(super) fn control(kind: &BatchKind) -> u64 {
    match kind {
        BatchKind::Data | BatchKind::LeaderChange => 0,
        BatchKind::Voters(voters) => voters.keys().iter().fold(VOTERS, |packed, key| {
            let directory = u64::try_from(key.directory.0).expect("directories of this world are small");
            (packed << 8) | directory
        }),
    }
}

/// Marks the content of a voters record.
const VOTERS: u64 = 0xff;

/// The kind of the batch that a record's content stands for.
#[must_use]
pub(super) fn kind(content: u64) -> BatchKind {
    if content == 0 {
        return BatchKind::LeaderChange;
    }
    if content < VOTERS {
        return BatchKind::Data;
    }
    let bytes = content.to_be_bytes();
    let packed = bytes.iter().copied().skip_while(|byte| *byte == 0).skip(1);
    let keys = packed.map(|byte| key(byte % 16, byte / 16));
    BatchKind::Voters(VoterSet::new(keys).expect("only legal sets are written"))
}

impl State {
    /// A replica.
    #[must_use]
    pub fn node(&self, at: Place) -> &Shared<Node> {
        self.nodes.get(usize::from(at)).expect("places are of replicas that are there")
    }

    /// Whoever waits at this replica knows that it waits in vain.
    pub fn dismiss(&mut self, at: Place) {
        self.proposals.retain(|(place, _)| *place != at);
        self.ghost.reads.retain(|(place, ..)| *place != at);
    }

    /// A replica, to be changed.
    pub fn node_mut(&mut self, at: Place) -> &mut Shared<Node> {
        self.nodes.get_mut(usize::from(at)).expect("places are of replicas that are there")
    }
}

impl Disk {
    /// The end of the log, exclusive.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.start.after(self.entries.len() as u64)
    }

    /// How many records lie below `offset`.
    #[must_use]
    pub fn index(&self, offset: Offset) -> usize {
        usize::try_from(offset.since(self.start)).expect("logs of this world are short")
    }

    /// Cuts the log to `end`.
    pub fn truncate(&mut self, end: Offset) {
        self.entries.truncate(self.index(end));
        self.flushed = self.flushed.min(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_content_tells_its_kind() {
        let voters = VoterSet::new([key(0, 0), key(2, 1)]).expect("a legal set");

        for made in [BatchKind::LeaderChange, BatchKind::Voters(voters)] {
            assert_eq!(kind(control(&made)), made);
        }
        assert_eq!(kind(value(3)), BatchKind::Data);
    }
}
