//! How frames and records lie in a file.

use std::path::Path;

use highwater_model::trace::{Header, VERSION, kind};

use super::{ReadError, Record};

/// What a file begins with.
pub(super) const MAGIC: &[u8; 8] = b"HWTRACE\0";
/// Bytes before the records of a frame: length, checksum, number of the first record.
const FRAME_BYTES: usize = 4 + 4 + 8;
/// No frame is larger: at most 16 MiB wait to be written, and what is said of those that found no room.
pub(in crate::trace) const FRAME_BYTES_MAX: usize = (16 << 20) + (1 << 10);
/// How many bytes are looked through at most for a whole frame behind one that looks cut off.
const LOOKED_THROUGH_MAX: usize = 256 << 20;

/// What a file holds.
#[derive(Default)]
pub(super) struct Content {
    /// Whose recording it is; `None` if the process ended before that was written.
    pub(super) header: Option<Header>,
    pub(super) records: Vec<Record>,
    /// Number of its first record; of the next one, if it has none.
    pub(super) first: u64,
    /// Number of the record after its last.
    pub(super) next: u64,
    /// Bytes at its end that are part of a frame.
    pub(super) torn_bytes: u64,
    /// Where they begin.
    pub(super) torn_at: u64,
}

/// Reads a file whole.
///
/// # Errors
/// When it is none of a recording, of another version, or damaged before its end.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Content, ReadError> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // A process may end while it writes the very first bytes.
        let is_begun = MAGIC.starts_with(bytes);
        let error = ReadError::NotARecording { path: path.to_owned() };
        return if is_begun { Ok(Content::default()) } else { Err(error) };
    };
    let mut content = Content::default();
    loop {
        let at = position(bytes, rest);
        let damaged = |what: &str| ReadError::Damaged { path: path.to_owned(), at, what: what.to_owned() };
        match frame(rest) {
            Frame::Whole { first, records, after } => {
                take(path, at, (first, records), &mut content)?;
                rest = after;
            }
            Frame::Torn if is_followed(rest, content.next) => {
                return Err(damaged("a frame of another length than its own"));
            }
            Frame::Torn => {
                content.torn_bytes = u64::try_from(rest.len()).unwrap_or(u64::MAX);
                content.torn_at = at;
                return Ok(content);
            }
            Frame::Damaged(what) => return Err(damaged(what)),
        }
    }
}

fn position(bytes: &[u8], rest: &[u8]) -> u64 {
    u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX)
}

/// What comes next in a file.
enum Frame<'a> {
    Whole {
        first: u64,
        records: &'a [u8],
        after: &'a [u8],
    },
    /// Nothing, or a part of a frame up to the end of the file: its process ended there.
    Torn,
    Damaged(&'static str),
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    // What the kernel had not written when the power went is zeros.
    if bytes.len() < FRAME_BYTES || bytes.iter().all(|byte| *byte == 0) {
        return Frame::Torn;
    }
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Frame::Torn };
    let Some((checksum, rest)) = rest.split_first_chunk::<4>() else { return Frame::Torn };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if !(8..=FRAME_BYTES_MAX).contains(&length) {
        return Frame::Damaged("a frame of an impossible length");
    }
    let Some((content, after)) = rest.split_at_checked(length) else { return Frame::Torn };
    if crc32c(content) != u32::from_be_bytes(*checksum) {
        return Frame::Damaged("a frame with another checksum than its own");
    }
    match content.split_first_chunk::<8>() {
        Some((first, records)) => Frame::Whole { first: u64::from_be_bytes(*first), records, after },
        None => Frame::Damaged("a frame of an impossible length"),
    }
}

/// Whether a whole frame lies behind the beginning of these bytes, of records from `next` on: what was cut off has
/// nothing behind it.
fn is_followed(bytes: &[u8], next: u64) -> bool {
    if bytes.iter().all(|byte| *byte == 0) {
        return false;
    }
    let last = next.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let mut looked_through = 0_usize;
    for at in 1..bytes.len().saturating_sub(FRAME_BYTES) {
        let Some(behind) = bytes.get(at..) else { return false };
        let Some((length, first)) = claimed(behind) else { continue };
        // Each record takes bytes, so that no number is further on than there are bytes.
        if !(next..=last).contains(&first) {
            continue;
        }
        looked_through = looked_through.saturating_add(length);
        if looked_through > LOOKED_THROUGH_MAX || matches!(frame(behind), Frame::Whole { .. }) {
            return true;
        }
    }
    false
}

/// Length and first number of the frame that these bytes begin with, if they begin with one and hold it.
fn claimed(bytes: &[u8]) -> Option<(usize, u64)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let content = rest.get(4..)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (first, _) = content.split_first_chunk::<8>()?;
    let is_possible = (8..=FRAME_BYTES_MAX.min(content.len())).contains(&length);
    is_possible.then_some((length, u64::from_be_bytes(*first)))
}

/// Takes the records of a frame.
fn take(
    path: &Path,
    at: u64,
    (mut number, mut left): (u64, &[u8]),
    content: &mut Content,
) -> Result<(), ReadError> {
    let damaged = |what: &str| ReadError::Damaged { path: path.to_owned(), at, what: what.to_owned() };
    while !left.is_empty() {
        let (kind, version, body, next) = record(left).ok_or_else(|| damaged("a malformed record"))?;
        if version != VERSION {
            return Err(ReadError::OtherVersion { path: path.to_owned(), at, kind, version });
        }
        left = next;
        if kind == kind::HEADER {
            if content.header.is_some() {
                return Err(damaged("a second header"));
            }
            (content.first, content.next) = (number, number);
            let header = decoded(body).ok_or_else(|| damaged("a malformed header"))?;
            content.header = Some(header);
            continue;
        }
        if content.header.is_none() {
            return Err(ReadError::NoHeader { path: path.to_owned() });
        }
        if number < content.next {
            return Err(damaged("records whose numbers have been before"));
        }
        if content.records.is_empty() {
            content.first = number;
        }
        content.records.push(Record { number, kind, body: body.to_vec() });
        number = number.checked_add(1).ok_or_else(|| damaged("more records than there are numbers"))?;
        content.next = number;
    }
    Ok(())
}

/// A body with nothing behind it.
fn decoded(body: &[u8]) -> Option<Header> {
    postcard::take_from_bytes(body).ok().filter(|(_, rest)| rest.is_empty()).map(|(header, _)| header)
}

/// The next record: kind, version, body, what follows.
fn record(bytes: &[u8]) -> Option<(u8, u8, &[u8], &[u8])> {
    let [kind, version, rest @ ..] = bytes else { return None };
    let (length, rest): (u64, &[u8]) = postcard::take_from_bytes(rest).ok()?;
    let (body, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((*kind, *version, body, after))
}

/// CRC-32C (Castagnoli), bit by bit from its definition.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let next = |crc: u32, byte: &u8| {
        let index = usize::from(u8::try_from((crc ^ u32::from(*byte)) & 0xff).unwrap_or_default());
        (crc >> 8) ^ TABLE.get(index).copied().unwrap_or_default()
    };
    !bytes.iter().fold(!0, next)
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    let mut seed: u32 = 0;
    while index < 256 {
        let mut crc = seed;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated when this is compiled, within the bounds")]
        {
            table[index] = crc;
        }
        index += 1;
        seed += 1;
    }
    table
}
