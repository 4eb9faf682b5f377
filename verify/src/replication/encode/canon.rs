//! A serializer that writes compact bytes, and ranks in the place of the numbers that are only compared.

use std::fmt;
use std::hash::Hasher as _;

use highwater_model::id::{BrokerEpoch, LeaderEpoch};
use highwater_model::replication::ReplicaIdx;
use serde::ser::{self, Serialize};
use smallvec::SmallVec;

use crate::engine::Encoder;

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
    fn key(self) -> u32 {
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

/// Whose names the request ids are that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    Fetches,
    Proposals,
    Clients,
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

/// A number whose rank belongs at a place.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Index of its space among those of the part, or of the state.
    space: u8,
    number: u8,
    place: u16,
}

/// The numbers of a kind that occur, a bit for each.
#[derive(Clone, Copy, Debug)]
struct Known {
    key: u32,
    numbers: u128,
}

/// Stands for the largest number of its kind.
const LARGEST: u8 = 127;

/// Index of the space among those known, where it is added if it is not yet.
fn slot(known: &mut SmallVec<[Known; 24]>, key: u32) -> u8 {
    let at = known.iter().position(|known| known.key == key).unwrap_or_else(|| {
        known.push(Known { key, numbers: 0 });
        known.len() - 1
    });
    u8::try_from(at).expect("a few dozen kinds of numbers")
}

/// Notes that the number occurs, and gives the mark for its rank.
fn marked(known: &mut SmallVec<[Known; 24]>, space: Space, number: u64, place: u16) -> Mark {
    let number = u8::try_from(number).ok().filter(|number| *number < LARGEST);
    let number = number.expect("within the bounds of a world such numbers stay small");
    let space = slot(known, space.key());
    known.get_mut(usize::from(space)).expect("a slot that was given").numbers |= 1 << number;
    Mark { space, number, place }
}

/// The encoding of a part, with places left for ranks.
#[derive(Debug)]
pub(crate) struct Code {
    bytes: Box<[u8]>,
    marks: Box<[Mark]>,
    known: Box<[Known]>,
}

/// The encoding of a state from those of its parts.
#[derive(Debug)]
pub(crate) struct Assembly<'a> {
    sink: &'a mut Encoder,
    marks: SmallVec<[Mark; 160]>,
    known: SmallVec<[Known; 24]>,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(sink: &'a mut Encoder) -> Self {
        Self { sink, marks: SmallVec::new(), known: SmallVec::new() }
    }

    /// Appends a part.
    pub(crate) fn add(&mut self, code: &Code) {
        let base = u16::try_from(self.sink.bytes().len()).expect("a state takes a few hundred bytes");
        self.sink.write(&code.bytes);
        let mut slots = SmallVec::<[u8; 24]>::new();
        for part in &code.known {
            let at = slot(&mut self.known, part.key);
            self.known.get_mut(usize::from(at)).expect("a slot that was given").numbers |= part.numbers;
            slots.push(at);
        }
        for mark in &code.marks {
            let space =
                slots.get(usize::from(mark.space)).copied().expect("a mark is of a space of its part");
            self.marks.push(Mark { place: base + mark.place, space, ..*mark });
        }
    }

    /// Writes a byte as it is.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.sink.write_u8(byte);
    }

    /// Leaves a place for the rank of `number` among those of its kind.
    pub(crate) fn rank(&mut self, space: Space, number: u64) {
        let place = u16::try_from(self.sink.bytes().len()).expect("a state takes a few hundred bytes");
        let mark = marked(&mut self.known, space, number, place);
        self.marks.push(mark);
        self.byte(0);
    }

    /// Puts the ranks in their places.
    pub(crate) fn finish(self) {
        for mark in &self.marks {
            let known = self.known.get(usize::from(mark.space)).expect("a mark is of a known space");
            let rank = match mark.number {
                LARGEST => known.numbers.count_ones(),
                number => (known.numbers & ((1 << number) - 1)).count_ones() + 1,
            };
            let rank = u8::try_from(rank).expect("at most 128 bits");
            self.sink.set(usize::from(mark.place), rank);
        }
    }
}

/// The encoding of a part under way.
#[derive(Debug)]
pub(crate) struct Canon {
    sink: Encoder,
    marks: SmallVec<[Mark; 64]>,
    known: SmallVec<[Known; 24]>,
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
    next: Option<Space>,
    all_of_view: bool,
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
            known: SmallVec::new(),
            incarnation: 0,
            requester: ReplicaIdx(0),
            reign: 0,
            field: "",
            ids: Ids::Fetches,
            next: None,
            all_of_view: true,
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
        let place = u16::try_from(self.sink.bytes().len()).expect("a part takes a few dozen bytes");
        let mark = marked(&mut self.known, space, number, place);
        self.marks.push(mark);
        self.byte(0);
    }

    /// Leaves a place for the rank of the largest number of its kind, whichever that is.
    fn largest(&mut self, space: Space) {
        let place = u16::try_from(self.sink.bytes().len()).expect("a part takes a few dozen bytes");
        let space = slot(&mut self.known, space.key());
        self.marks.push(Mark { space, number: LARGEST, place });
        self.byte(0);
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

    /// The encoding of the part.
    pub(crate) fn into_code(self) -> Code {
        let (marks, known) = (self.marks.as_slice().into(), self.known.as_slice().into());
        Code { bytes: self.sink.bytes().into(), marks, known }
    }

    /// The kind of the number in a newtype of this name.
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
        if self.field == "replica" {
            self.requester = ReplicaIdx(u8::try_from(number).expect("few replicas"));
        }
        if self.field == "caught_up" {
            self.caught_up = number > 0;
        }
        match self.next.take() {
            Some(space) => {
                if matches!(space, Space::BrokerEpoch(_)) {
                    self.incarnation = u8::try_from(number).unwrap_or(u8::MAX);
                }
                self.rank(space, number);
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

/// Never happens: everything the cores hold can be encoded.
#[derive(Debug)]
pub(crate) struct Unencodable(String);

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl ser::Error for Unencodable {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(what.to_string())
    }
}
impl ser::StdError for Unencodable {}

/// The elements of a sequence; where it has one for each replica, each has ids of its own.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    canon: &'a mut Canon,
    of_replicas: bool,
    at: u8,
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        self.canon.byte(1);
        if self.of_replicas {
            self.canon.requester = ReplicaIdx(self.at);
        }
        self.at += 1;
        value.serialize(&mut *self.canon)
    }
    fn end(self) -> Result<(), Unencodable> {
        self.canon.byte(0);
        Ok(())
    }
}

/// Writes a compound as its parts, one after the other.
macro_rules! compounds {
    ($($kind:ident: $method:ident($($key:ident: $name:ty)?);)*) => {
        $(impl ser::$kind for &mut Canon {
            type Ok = ();
            type Error = Unencodable;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $name,)? value: &T) -> Result<(), Unencodable> {
                let field = "";
                $(let field: $name = { let _ = field; $key };)?
                self.inner(field, value)
            }
            fn end(self) -> Result<(), Unencodable> {
                Ok(())
            }
        })*
    };
}

compounds! {
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(key: &'static str);
    SerializeStructVariant: serialize_field(key: &'static str);
}

impl ser::SerializeMap for &mut Canon {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unencodable> {
        self.byte(1);
        key.serialize(&mut **self)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        value.serialize(&mut **self)
    }
    fn end(self) -> Result<(), Unencodable> {
        self.byte(0);
        Ok(())
    }
}

/// Writes each kind of number as one.
macro_rules! numbers {
    ($($method:ident($kind:ty);)*) => {
        $(fn $method(self, value: $kind) -> Result<(), Unencodable> {
            self.number(u64::from(value));
            Ok(())
        })*
    };
}

/// Writes each kind of signed number, or text, as its bytes.
macro_rules! bytes {
    ($($method:ident($kind:ty), $value:ident => $bytes:expr;)*) => {
        $(fn $method(self, $value: $kind) -> Result<(), Unencodable> {
            self.sink.write($bytes);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Canon {
    type Ok = ();
    type Error = Unencodable;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_bool(bool);
        serialize_char(char);
    }
    bytes! {
        serialize_u128(u128), value => &value.to_le_bytes();
        serialize_i8(i8), value => &value.to_le_bytes();
        serialize_i16(i16), value => &value.to_le_bytes();
        serialize_i32(i32), value => &value.to_le_bytes();
        serialize_i64(i64), value => &value.to_le_bytes();
        serialize_i128(i128), value => &value.to_le_bytes();
        serialize_f32(f32), value => &value.to_le_bytes();
        serialize_f64(f64), value => &value.to_le_bytes();
        serialize_bytes(&[u8]), value => value;
        serialize_str(&str), value => value.as_bytes();
    }

    fn serialize_none(self) -> Result<(), Unencodable> {
        // A member of the ISR that is proposed without its broker epoch: whichever the controller knows will do.
        if self.proposed {
            self.byte(1);
            self.largest(Space::BrokerEpoch(self.requester));
            return Ok(());
        }
        self.byte(0);
        Ok(())
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unencodable> {
        self.byte(1);
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Unencodable> {
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unencodable> {
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, at: u32, _: &'static str) -> Result<(), Unencodable> {
        self.sink.write_u32(at);
        Ok(())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        self.next = self.space_of(name);
        value.serialize(&mut *self)?;
        self.next = None;
        Ok(())
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        at: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unencodable> {
        self.sink.write_u32(at);
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Unencodable> {
        let of_replicas = matches!(self.field, "followers" | "replicas");
        Ok(Elements { canon: self, of_replicas, at: 0 })
    }
    fn serialize_tuple(self, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        at: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unencodable> {
        self.sink.write_u32(at);
        Ok(self)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self, Unencodable> {
        Ok(self)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unencodable> {
        Ok(self)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        at: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unencodable> {
        self.sink.write_u32(at);
        Ok(self)
    }
}
