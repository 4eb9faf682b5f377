//! How frames and records lie in a file.

use std::path::Path;

use highwater_model::trace::{Header, VERSION, kind};

use super::{ReadError, Record};

/// What a file begins with.
pub(super) const MAGIC: &[u8; 8] = b"HWTRACE\0";
/// Bytes before the records of a frame: length, checksum, number of the first record.
const FRAME_BYTES: usize = 4 + 4 + 8;
/// No frame is larger: what waits to be written is bounded, by less than this.
const FRAME_BYTES_MAX: usize = 1 << 30;

/// What a file holds.
pub(super) struct Content {
    /// Whose recording it is; `None` if the process ended before that was written.
    pub(super) header: Option<Header>,
    pub(super) records: Vec<Record>,
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
        let nothing = Content { header: None, records: Vec::new(), torn_bytes: 0, torn_at: 0 };
        let error = ReadError::NotARecording { path: path.to_owned() };
        return if is_begun { Ok(nothing) } else { Err(error) };
    };
    let mut content = Content { header: None, records: Vec::new(), torn_bytes: 0, torn_at: 0 };
    loop {
        let at = position(bytes, rest);
        let damaged = |what: &str| ReadError::Damaged { path: path.to_owned(), at, what: what.to_owned() };
        match frame(rest) {
            Frame::Whole { first, records, after } => {
                take(path, at, (first, records), &mut content)?;
                rest = after;
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
            let header = postcard::from_bytes(body).map_err(|_| damaged("a malformed header"))?;
            content.header = Some(header);
            continue;
        }
        if content.header.is_none() {
            return Err(ReadError::NoHeader { path: path.to_owned() });
        }
        content.records.push(Record { number, kind, body: body.to_vec() });
        number = number.saturating_add(1);
    }
    Ok(())
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
