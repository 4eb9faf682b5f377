//! The encoding of a part under way: compact bytes, ranks in the place of the numbers that are only compared, and
//! replicas by the names that they have in a renaming.

use std::hash::Hasher as _;

use highwater_model::id::{BrokerEpoch, LeaderEpoch};
use highwater_model::replication::{IsrSet, ReplicaIdx};
use serde::Serialize;
use smallvec::SmallVec;

use super::assembly::Code;
use super::renaming::Renaming;
use super::space::{Mark, Space, Spaces};
use crate::engine::Encoder;

mod serializer;

use serializer::Unencodable;

/// Whose names the request ids are that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    Fetches,
    Proposals,
    Clients,
}

/// What a number that comes is, where it is not just a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ranked(Space),
    Replica,
    Replicas,
}

/// An element of a sequence that stands in the order of the names of replicas.
#[derive(Clone, Copy, Debug)]
struct Piece {
    name: ReplicaIdx,
    /// Where it begins among the bytes.
    start: usize,
    /// Where it ends, exclusive.
    end: usize,
}

/// How the members of a proposal are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// Each as it is named.
    AsNamed,
    /// Against the ISR as it is: a member that is named without its broker epoch is as good as with the current one.
    OfNow,
    /// Not at all.
    Unread,
}

/// The encoding of a part under way.
#[derive(Debug)]
pub(crate) struct Canon {
    sink: Encoder,
    /// By place.
    marks: SmallVec<[Mark; 64]>,
    spaces: Spaces,
    /// What replicas are called.
    renaming: Renaming,
    /// Whose request ids, generations and broker epochs come.
    requester: ReplicaIdx,
    /// The broker epoch to which fetches belong.
    incarnation: u8,
    /// The leader epoch to which fetches belong.
    reign: u8,
    /// The field that comes.
    field: &'static str,
    ids: Ids,
    /// The kind of the number that comes.
    next: Option<Kind>,
    all_of_view: bool,
    /// Whether what a replica does in its role matters.
    role_matters: bool,
    lag_matters: bool,
    /// Whether a proposal may be repeated.
    retry_matters: bool,
    members: Members,
    /// Whether what comes are members of a proposal.
    proposed: bool,
    /// Whether the follower that is being written is caught up: its goal is then for its timer alone.
    caught_up: bool,
}

impl Default for Canon {
    fn default() -> Self {
        Self {
            sink: Encoder::default(),
            marks: SmallVec::new(),
            spaces: Spaces::default(),
            renaming: Renaming::NONE,
            incarnation: 0,
            requester: ReplicaIdx(0),
            reign: 0,
            field: "",
            ids: Ids::Fetches,
            next: None,
            all_of_view: true,
            role_matters: true,
            lag_matters: true,
            retry_matters: true,
            members: Members::AsNamed,
            proposed: false,
            caught_up: false,
        }
    }
}

impl Canon {
    /// Writes a byte as it is.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.sink.write_u8(byte);
    }

    /// Leaves a place for the rank of `number` among those of its kind.
    pub(crate) fn rank(&mut self, space: Space, number: u64) {
        let (space, number) = self.spaces.note(space, number);
        self.mark(space, number, self.proposed);
    }

    /// Leaves a place for the rank of the largest number of its kind, whichever that is.
    fn largest(&mut self, space: Space) {
        let (space, number) = self.spaces.note_largest(space);
        self.mark(space, number, true);
    }

    fn mark(&mut self, space: u8, number: u8, loose: bool) {
        let place = u16::try_from(self.sink.bytes().len()).expect("a part takes a few dozen bytes");
        self.marks.push(Mark { space, number, place, loose });
        self.byte(0);
    }

    /// Writes a replica by its name.
    pub(crate) fn replica(&mut self, replica: ReplicaIdx) {
        self.byte(self.renaming.of(replica).0);
    }

    /// Writes a set of replicas by their names.
    pub(crate) fn replicas(&mut self, replicas: IsrSet) {
        self.sink.write_u32(self.renaming.of_set(replicas).0);
    }

    /// Replicas from here on are called so.
    pub(crate) fn rename(&mut self, renaming: Renaming) {
        self.renaming = renaming;
    }

    /// Request ids, generations and broker epochs from here on are those of this replica.
    pub(crate) fn requester(&mut self, requester: ReplicaIdx) {
        self.requester = requester;
    }

    /// Fetches from here on belong to this broker epoch, unless another one is written before, and to this leader epoch.
    pub(crate) fn fetches(&mut self, broker_epoch: BrokerEpoch, leader_epoch: LeaderEpoch) {
        self.incarnation = u8::try_from(broker_epoch.0).expect("within the bounds of a world it stays small");
        self.reign = u8::try_from(leader_epoch.0).expect("within the bounds of a world it stays small");
    }

    /// What replicas are called.
    pub(crate) fn renaming(&self) -> Renaming {
        self.renaming
    }

    /// Whose request ids come.
    pub(crate) fn whose(&self) -> ReplicaIdx {
        self.requester
    }

    /// The space of the generations that come.
    pub(crate) fn generations(&self) -> Space {
        Space::Generation { replica: self.requester, incarnation: self.incarnation }
    }

    /// Request ids from here on are those of proposals.
    pub(crate) fn proposals(&mut self) {
        self.ids = Ids::Proposals;
    }

    /// Whether a lag timer can still run out.
    pub(crate) fn heed_lag(&mut self, matters: bool) {
        self.lag_matters = matters;
    }

    /// Whether a leader's wait for the controller can still run out.
    pub(crate) fn heed_retry(&mut self, matters: bool) {
        self.retry_matters = matters;
    }

    /// How the members are read that the proposal that comes proposes.
    pub(crate) fn heed_members(&mut self, members: Members) {
        self.members = members;
    }

    /// Whether all of a view matters in what comes.
    pub(crate) fn heed_view(&mut self, all: bool) {
        self.all_of_view = all;
    }

    /// Whether what a replica does in its role matters in what comes.
    pub(crate) fn heed_role(&mut self, matters: bool) {
        self.role_matters = matters;
    }

    /// The encoding of the part.
    pub(crate) fn into_code(self) -> Code {
        Code::new(self.sink.bytes(), &self.marks, &self.spaces)
    }

    /// Puts elements that end the bytes so far in the order of their names.
    fn arrange(&mut self, pieces: &mut [Piece]) {
        let Some(start) = pieces.first().map(|piece| piece.start) else { return };
        pieces.sort_unstable_by_key(|piece| piece.name);
        let bytes = SmallVec::<[u8; 128]>::from_slice(self.sink.bytes());
        let earlier = self.marks.partition_point(|mark| usize::from(mark.place) < start);
        let marks: SmallVec<[Mark; 32]> = self.marks.drain(earlier..).collect();
        let mut to = start;
        for Piece { start, end, .. } in pieces {
            let of_piece = |mark: &&Mark| (*start..*end).contains(&usize::from(mark.place));
            for mark in marks.iter().filter(of_piece) {
                let place = to + usize::from(mark.place) - *start;
                let place = u16::try_from(place).expect("a part takes a few dozen bytes");
                self.marks.push(Mark { place, ..*mark });
            }
            for byte in bytes.iter().take(*end).skip(*start) {
                self.sink.set(to, *byte);
                to += 1;
            }
        }
    }

    /// What the number in a newtype of this name is.
    fn kind_of(&self, name: &str) -> Option<Kind> {
        match name {
            "ReplicaIdx" => Some(Kind::Replica),
            "IsrSet" => Some(Kind::Replicas),
            _ => self.space_of(name).map(Kind::Ranked),
        }
    }

    /// The space of the numbers in a newtype of this name.
    fn space_of(&self, name: &str) -> Option<Space> {
        match name {
            "RequestId" => match self.ids {
                Ids::Fetches => {
                    let (replica, incarnation, reign) = (self.requester, self.incarnation, self.reign);
                    Some(Space::Fetch { replica, incarnation, reign })
                }
                Ids::Proposals => Some(Space::Proposal(self.requester)),
                Ids::Clients => None,
            },
            "LogGeneration" => Some(self.generations()),
            "BrokerEpoch" => Some(Space::BrokerEpoch(self.requester)),
            "PartitionEpoch" => Some(Space::PartitionEpoch),
            "LeaderEpoch" => Some(Space::LeaderEpoch),
            _ => None,
        }
    }

    fn number(&mut self, number: u64) {
        if self.field == "caught_up" {
            self.caught_up = number > 0;
        }
        match self.next.take() {
            Some(Kind::Ranked(space)) => {
                if matches!(space, Space::BrokerEpoch(_)) {
                    self.incarnation = u8::try_from(number).unwrap_or(u8::MAX);
                }
                self.rank(space, number);
            }
            Some(Kind::Replica) => {
                let replica = ReplicaIdx(u8::try_from(number).expect("few replicas"));
                if self.field == "replica" {
                    self.requester = replica;
                }
                self.replica(replica);
            }
            Some(Kind::Replicas) => {
                self.replicas(IsrSet(u32::try_from(number).expect("a set of replicas is a word")));
            }
            None => self.sink.write_u64(number),
        }
    }

    fn inner<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Unencodable> {
        let unread = matches!(field, "isr" | "partition_epoch" | "replicas");
        let unread_goal = field == "goal" && self.caught_up;
        if matches!(field, "metadata_offset" | "last_proposal")
            || unread_goal
            || (unread && !self.all_of_view)
            || (field == "armed" && !self.lag_matters)
            || (field == "change" && !self.retry_matters)
            || (field == "role" && !self.role_matters)
            || (field == "members" && self.members == Members::Unread)
        {
            return Ok(());
        }
        self.field = field;
        let (requester, ids) = (self.requester, self.ids);
        match field {
            "for_commit" | "for_local" | "end_reads" => self.ids = Ids::Clients,
            "proposal" => self.ids = Ids::Proposals,
            "members" => self.proposed = self.members == Members::OfNow,
            _ => {}
        }
        value.serialize(&mut *self)?;
        self.ids = ids;
        self.proposed &= field != "members";
        // What follows the name of a replica is that replica's.
        if field != "replica" {
            self.requester = requester;
        }
        Ok(())
    }
}
