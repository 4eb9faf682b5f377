//! Encodings of parts, and of a state from those of its parts.

use std::cmp::Ordering;
use std::hash::Hasher as _;

use smallvec::SmallVec;

use super::space::{Known, LARGEST, Mark, Space, marked, slot};
use crate::engine::Encoder;

/// The encoding of a part, with places left for ranks.
#[derive(Debug)]
pub(crate) struct Code(Box<Contents>);

#[derive(Debug)]
struct Contents {
    bytes: Box<[u8]>,
    /// By place.
    marks: Box<[Mark]>,
    known: Box<[Known]>,
}

impl Code {
    pub(super) fn new(bytes: &[u8], marks: &[Mark], known: &[Known]) -> Self {
        Self(Box::new(Contents { bytes: bytes.into(), marks: marks.into(), known: known.into() }))
    }

    /// All of it but the numbers.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// By the bytes, then by the numbers: an order that is the same in any two states that only ranks could tell apart.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes()).then_with(|| self.numbers().cmp(other.numbers()))
    }

    fn numbers(&self) -> impl Iterator<Item = (u32, u8)> {
        let key = |mark: &Mark| self.0.known.get(usize::from(mark.space)).map_or(0, |known| known.key);
        self.0.marks.iter().map(move |mark| (key(mark), mark.number))
    }
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
        self.sink.write(code.bytes());
        let mut slots = SmallVec::<[u8; 24]>::new();
        for part in &code.0.known {
            let at = slot(&mut self.known, part.key);
            self.known.get_mut(usize::from(at)).expect("a slot that was given").numbers |= part.numbers;
            slots.push(at);
        }
        for mark in &code.0.marks {
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
