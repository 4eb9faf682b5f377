//! A serializer that writes compact bytes, and ranks in the place of the numbers that are only compared.

use std::fmt;
use std::hash::Hasher as _;

use highwater_model::replication::ReplicaIdx;
use serde::ser::{self, Serialize};
use smallvec::SmallVec;

use crate::engine::Encoder;

/// A kind of numbers that are compared with one another only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    /// Metadata offsets, and broker epochs, which are some of them.
    Metadata,
    /// Partition epochs.
    PartitionEpoch,
    /// Leader epochs.
    LeaderEpoch,
    /// Request ids of a replica.
    Request(ReplicaIdx),
    /// Log generations of a replica.
    Generation(ReplicaIdx),
}

/// At most so many replicas have a space of their own.
const REPLICAS_MAX: u8 = 8;

/// Number of spaces.
const SPACES: usize = 3 + 2 * REPLICAS_MAX as usize;

impl Space {
    fn index(self) -> u8 {
        match self {
            Self::Metadata => 0,
            Self::PartitionEpoch => 1,
            Self::LeaderEpoch => 2,
            Self::Request(replica) => 3 + replica.0 % REPLICAS_MAX,
            Self::Generation(replica) => 3 + REPLICAS_MAX + replica.0 % REPLICAS_MAX,
        }
    }
}

/// A number whose rank belongs at a place.
#[derive(Clone, Copy, Debug)]
struct Mark {
    space: u8,
    number: u8,
    place: u16,
}

/// The encoding of a part, with places left for ranks.
#[derive(Debug)]
pub(crate) struct Code {
    bytes: Box<[u8]>,
    marks: Box<[Mark]>,
}

/// The encoding of a state from those of its parts.
#[derive(Debug)]
pub(crate) struct Assembly<'a> {
    sink: &'a mut Encoder,
    marks: SmallVec<[Mark; 160]>,
    /// By space, a bit for each number that occurs.
    known: [u128; SPACES],
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(sink: &'a mut Encoder) -> Self {
        Self { sink, marks: SmallVec::new(), known: [0; SPACES] }
    }

    /// Appends a part.
    pub(crate) fn add(&mut self, code: &Code) {
        let base = u16::try_from(self.sink.bytes().len()).expect("a state takes a few hundred bytes");
        self.sink.write(&code.bytes);
        for mark in &code.marks {
            if let Some(known) = self.known.get_mut(usize::from(mark.space)) {
                *known |= 1 << mark.number;
            }
            self.marks.push(Mark { place: base + mark.place, ..*mark });
        }
    }

    /// Puts the ranks in their places.
    pub(crate) fn finish(self) {
        for mark in &self.marks {
            let known = self.known.get(usize::from(mark.space)).copied().unwrap_or_default();
            let below = known & ((1 << mark.number) - 1);
            let rank = u8::try_from(below.count_ones()).expect("at most 128 bits") + 1;
            self.sink.set(usize::from(mark.place), rank);
        }
    }
}

/// The encoding of a part under way.
#[derive(Debug)]
pub(crate) struct Canon {
    sink: Encoder,
    marks: SmallVec<[Mark; 64]>,
    /// Whose request ids and generations come.
    requester: ReplicaIdx,
    /// The field that comes.
    field: &'static str,
    /// Whether request ids are names that the clients gave.
    of_clients: bool,
    /// The kind of the number that comes.
    next: Option<Space>,
    all_of_view: bool,
}

impl Default for Canon {
    fn default() -> Self {
        Self {
            sink: Encoder::default(),
            marks: SmallVec::new(),
            requester: ReplicaIdx(0),
            field: "",
            of_clients: false,
            next: None,
            all_of_view: true,
        }
    }
}

impl Canon {
    /// Writes a byte as it is.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.sink.write_u8(byte);
    }

    /// Leaves a place for the rank of `number` among those of its kind. 0 is always the lowest.
    pub(crate) fn rank(&mut self, space: Space, number: u64) {
        if number > 0 {
            let number = u8::try_from(number).ok().filter(|number| *number < 128);
            let number = number.expect("within the bounds of a world such numbers stay small");
            let place = u16::try_from(self.sink.bytes().len()).expect("a part takes a few dozen bytes");
            self.marks.push(Mark { space: space.index(), number, place });
        }
        self.byte(0);
    }

    /// Request ids and generations from here on are those of this replica.
    pub(crate) fn requester(&mut self, requester: ReplicaIdx) {
        self.requester = requester;
    }

    /// Whether all of a view matters in what comes.
    pub(crate) fn heed_view(&mut self, all: bool) {
        self.all_of_view = all;
    }

    /// The encoding of the part.
    pub(crate) fn into_code(self) -> Code {
        Code { bytes: self.sink.bytes().into(), marks: self.marks.as_slice().into() }
    }

    /// The kind of the number in a newtype of this name.
    fn space_of(&self, name: &str) -> Option<Space> {
        match name {
            "RequestId" if !self.of_clients => Some(Space::Request(self.requester)),
            "LogGeneration" => Some(Space::Generation(self.requester)),
            "BrokerEpoch" => Some(Space::Metadata),
            "PartitionEpoch" => Some(Space::PartitionEpoch),
            "LeaderEpoch" => Some(Space::LeaderEpoch),
            "Offset" if self.field == "metadata_offset" => Some(Space::Metadata),
            _ => None,
        }
    }

    fn number(&mut self, number: u64) {
        match self.next.take() {
            Some(space) => self.rank(space, number),
            None => self.sink.write_u64(number),
        }
    }

    fn inner<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Result<(), Unencodable> {
        let unread = matches!(field, "isr" | "partition_epoch" | "replicas" | "metadata_offset");
        if unread && !self.all_of_view {
            return Ok(());
        }
        self.field = field;
        let (requester, of_clients) = (self.requester, self.of_clients);
        self.of_clients |= matches!(field, "for_commit" | "for_local" | "end_reads");
        value.serialize(&mut *self)?;
        (self.requester, self.of_clients) = (requester, of_clients);
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

/// The elements of a sequence; of a leader's `followers` each has ids of its own.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    canon: &'a mut Canon,
    of_followers: bool,
    at: u8,
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        self.canon.byte(1);
        if self.of_followers {
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
        let of_followers = self.field == "followers";
        Ok(Elements { canon: self, of_followers, at: 0 })
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
