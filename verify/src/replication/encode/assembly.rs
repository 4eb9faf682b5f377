//! Encodings of parts, and of a state from those of its parts.
//!
//! Of a part in itself everything can be said once: a digest of its bytes, with each number told by its rank among those of
//! its kind in this part. What remains for each state is how the numbers of the parts compare: which of all the numbers of a
//! kind a part has. A digest has 128 bits, so that two parts share one by chance far less often than two states share a
//! fingerprint.

use std::cmp::Ordering;
use std::hash::Hasher as _;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use super::space::{Known, Mark, Space, Spaces, rank, small};
use super::union::{Union, with_union};
use crate::engine::Encoder;

/// The encoding of a part.
#[derive(Debug)]
pub(crate) struct Code(Box<Contents>);

#[derive(Debug)]
struct Contents {
    /// Of everything but the numbers, as such.
    digest: u128,
    /// The numbers of each kind, in the order in which the kinds occur.
    known: SmallVec<[Known; 4]>,
    /// The numbers of which only the rank in the whole state tells anything.
    loose: SmallVec<[Known; 2]>,
}

impl Code {
    /// The encoding with these bytes, at the places of the `marks` numbers of `spaces`.
    pub(super) fn new(bytes: &[u8], marks: &[Mark], spaces: &Spaces) -> Self {
        let mut bytes = SmallVec::<[u8; 256]>::from_slice(bytes);
        let mut marks = SmallVec::<[Mark; 64]>::from_slice(marks);
        marks.sort_unstable_by_key(|mark| mark.place);
        let mut known = SmallVec::<[Known; 4]>::new();
        let mut loose = SmallVec::new();
        for mark in marks {
            bytes.extend_from_slice(&mark.place.to_le_bytes());
            let space = spaces.get(mark.space);
            if mark.loose {
                loose.push(Known { numbers: 1 << mark.number, ..space });
                continue;
            }
            let at = known.iter().position(|other| other.key == space.key).unwrap_or_else(|| {
                known.push(space);
                known.len() - 1
            });
            let kind = u8::try_from(at).expect("a few kinds of numbers");
            bytes.extend_from_slice(&[kind, rank(space.numbers, mark.number)]);
        }
        Self(Box::new(Contents { digest: xxh3_128(&bytes), known, loose }))
    }

    /// Tells all of it but the numbers.
    pub(super) fn digest(&self) -> u128 {
        self.0.digest
    }

    /// By the digests, then by the numbers: an order that is the same in any two states that only ranks could tell apart.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let numbers = |code: &Self| (code.0.known.clone(), code.0.loose.clone());
        self.digest().cmp(&other.digest()).then_with(|| numbers(self).cmp(&numbers(other)))
    }
}

/// The encoding of a state from those of its parts.
#[derive(Debug)]
pub(crate) struct Assembly<'a> {
    sink: &'a mut Encoder,
    parts: SmallVec<[&'static Code; 24]>,
    /// Numbers of no part, each with the index of its kind.
    single: SmallVec<[(u16, u8); 16]>,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(sink: &'a mut Encoder) -> Self {
        Self { sink, parts: SmallVec::new(), single: SmallVec::new() }
    }

    /// Appends a part.
    pub(crate) fn add(&mut self, code: &'static Code) {
        self.parts.push(code);
    }

    /// Writes a byte as it is.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.sink.write_u8(byte);
    }

    /// Appends the rank of `number` among those of its kind.
    pub(crate) fn rank(&mut self, space: Space, number: u64) {
        self.single.push((space.slot(), small(number)));
    }

    /// Writes the digests of the parts, and how their numbers compare.
    pub(crate) fn finish(self) {
        self.sink.write_usize(self.parts.len());
        for code in &self.parts {
            self.sink.write(&code.digest().to_le_bytes());
        }
        with_union(|union| self.compare(union));
    }

    fn compare(self, union: &mut Union) {
        for known in self.parts.iter().flat_map(|code| code.0.known.iter().chain(&code.0.loose)) {
            union.add(known.slot, known.numbers);
        }
        for (slot, number) in &self.single {
            union.add(*slot, 1 << number);
        }
        for code in &self.parts {
            for known in &code.0.known {
                self.sink.write_u64(union.pattern(known.slot, known.numbers));
            }
            for known in &code.0.loose {
                let number = u8::try_from(known.numbers.trailing_zeros()).expect("at most 64 bits");
                self.sink.write_u8(rank(union.get(known.slot), number));
            }
        }
        for (slot, number) in &self.single {
            self.sink.write_u8(rank(union.get(*slot), *number));
        }
    }
}
