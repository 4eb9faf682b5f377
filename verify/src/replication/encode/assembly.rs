//! Encodings of parts, and of a state from those of its parts.
//!
//! Of a part in itself everything can be said once: a digest of its bytes, with each number told by its rank among those of
//! its kind in this part. What remains for each state is how the numbers of the parts compare: the ranks of a part's
//! numbers among those of the whole state. A digest has 128 bits, so that two parts share one by chance far less often than
//! two states share a fingerprint.

use std::cmp::Ordering;
use std::hash::Hasher as _;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_128;

use super::space::{Known, Mark, Space, Spaces};
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
            bytes.extend_from_slice(&[kind, space.rank(mark.number)]);
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
    marks: SmallVec<[Mark; 96]>,
    spaces: Spaces,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(sink: &'a mut Encoder) -> Self {
        Self { sink, marks: SmallVec::new(), spaces: Spaces::default() }
    }

    /// Appends a part.
    pub(crate) fn add(&mut self, code: &Code) {
        self.sink.write(&code.digest().to_le_bytes());
        for known in code.0.known.iter().chain(&code.0.loose) {
            let space = self.spaces.merge(known);
            let mut numbers = known.numbers;
            while numbers != 0 {
                let number = u8::try_from(numbers.trailing_zeros()).expect("at most 128 bits");
                numbers &= numbers - 1;
                self.mark(space, number);
            }
        }
    }

    /// Writes a byte as it is.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.sink.write_u8(byte);
    }

    /// Leaves a place for the rank of `number` among those of its kind.
    pub(crate) fn rank(&mut self, space: Space, number: u64) {
        let (space, number) = self.spaces.note(space, number);
        self.mark(space, number);
    }

    fn mark(&mut self, space: u8, number: u8) {
        let place = u16::try_from(self.sink.bytes().len()).expect("a state takes a few hundred bytes");
        self.marks.push(Mark { space, number, place, loose: false });
        self.byte(0);
    }

    /// Puts the ranks in their places.
    pub(crate) fn finish(self) {
        for mark in &self.marks {
            let rank = self.spaces.get(mark.space).rank(mark.number);
            self.sink.set(usize::from(mark.place), rank);
        }
    }
}
