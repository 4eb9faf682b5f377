//! How values of the cores are written, by serde: every number, field and element, in the order in which they stand.

use std::fmt;
use std::hash::Hasher as _;

use highwater_model::replication::ReplicaIdx;
use serde::ser::{self, Serialize};

use smallvec::SmallVec;

use super::super::space::Space;
use super::{Canon, Piece};

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

/// What the elements of a sequence are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Each {
    /// One for each replica, with ids of its own.
    OfReplica,
    /// A member of a proposal: they stand in the order of the replicas.
    Member,
    Other,
}

/// The elements of a sequence.
#[derive(Debug)]
pub(crate) struct Elements<'a> {
    canon: &'a mut Canon,
    each: Each,
    at: u8,
    /// Where each is, if their order is one of names that have changed.
    pieces: SmallVec<[Piece; 3]>,
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = ();
    type Error = Unencodable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unencodable> {
        let start = self.canon.sink.bytes().len();
        self.canon.byte(1);
        let mut replica = ReplicaIdx(self.at);
        if self.each == Each::OfReplica {
            self.canon.requester = replica;
        }
        self.at += 1;
        value.serialize(&mut *self.canon)?;
        if self.each == Each::Member {
            // What a member is told of is named in it.
            replica = self.canon.requester;
        }
        if self.each != Each::Other && !self.canon.renaming.is_none() {
            let (name, end) = (self.canon.renaming.of(replica), self.canon.sink.bytes().len());
            self.pieces.push(Piece { name, start, end });
        }
        Ok(())
    }
    fn end(mut self) -> Result<(), Unencodable> {
        self.canon.arrange(&mut self.pieces);
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
        self.next = self.kind_of(name);
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
        let each = match self.field {
            "followers" | "replicas" => Each::OfReplica,
            "members" => Each::Member,
            _ => Each::Other,
        };
        Ok(Elements { canon: self, each, at: 0, pieces: SmallVec::new() })
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
