//! Reading the files of a trace, from their description in docs/TRACE.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use highwater_model::id::IncarnationId;
use highwater_model::trace::{Header, VERSION, kind};

/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"HWTRACE\0";

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number within the run.
    pub number: u64,
    /// What it is.
    pub kind: u8,
    /// Its body.
    pub body: Vec<u8>,
}

/// The body of a record.
pub(super) fn decode<T: serde::de::DeserializeOwned>(record: &Record) -> Result<T, String> {
    postcard::from_bytes(&record.body).map_err(|error| error.to_string())
}

/// One run of one process.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Whose it is.
    pub header: Header,
    /// The records, in order.
    pub records: Vec<Record>,
    /// Whether the end was recorded in order, so that nothing is missing behind it.
    pub is_closed: bool,
    /// Bytes that could not be read, as where a process was killed while it wrote.
    pub torn_bytes: u64,
}

/// A file of a run.
struct File {
    header: Header,
    records: Vec<Record>,
    torn_bytes: u64,
}

/// Whether this file holds a trace.
#[must_use]
pub fn is_trace(path: &Path) -> bool {
    use std::io::Read as _;
    let mut first = [0; MAGIC.len()];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == *MAGIC
}

/// Every run in these files and directories, by node and in the order of their starts.
///
/// # Errors
/// When something cannot be read or is no trace, or when there is none.
pub fn recordings(paths: &[PathBuf]) -> anyhow::Result<Vec<Recording>> {
    let mut runs: BTreeMap<(u32, u64, IncarnationId), Vec<File>> = BTreeMap::new();
    for path in
        paths.iter().map(|path| files(path)).collect::<anyhow::Result<Vec<_>>>()?.into_iter().flatten()
    {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let file = parse(&bytes).with_context(|| path.display().to_string())?;
        let Some(file) = file else { continue };
        let header = &file.header;
        runs.entry((header.node.0, header.started_ms, header.incarnation)).or_default().push(file);
    }
    if runs.is_empty() {
        bail!("there is no trace in {}", shown(paths));
    }
    Ok(runs.into_values().filter_map(joined).collect())
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The files at a path: itself, or those of a directory and of the ones below that end in `.trace`.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let entries = fs::read_dir(path).with_context(|| path.display().to_string())?;
    for entry in entries {
        let entry = entry.with_context(|| path.display().to_string())?.path();
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if entry.extension().is_some_and(|suffix| suffix == "trace") {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}

/// One run from its files.
fn joined(mut files: Vec<File>) -> Option<Recording> {
    files.sort_by_key(|file| file.header.file);
    let header = files.first()?.header.clone();
    let torn_bytes = files.iter().map(|file| file.torn_bytes).sum();
    let records: Vec<Record> = files.into_iter().flat_map(|file| file.records).collect();
    let is_closed = records.last().is_some_and(|last| last.kind == kind::CLOSED);
    Some(Recording { header, records, is_closed, torn_bytes })
}

/// A file's header and records; `None` if it was killed before its header was whole.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<File>> {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else { bail!("is no trace") };
    let mut header = None;
    let mut records = Vec::new();
    while let Some((first, content, after)) = frame(rest) {
        let mut number = first;
        let mut left = content;
        while !left.is_empty() {
            let (kind, body, next) = record(left).context("holds a malformed record")?;
            left = next;
            if kind == kind::HEADER {
                header = Some(postcard::from_bytes::<Header>(body).context("has a malformed header")?);
                continue;
            }
            records.push(Record { number, kind, body: body.to_vec() });
            number += 1;
        }
        rest = after;
    }
    let torn_bytes = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    Ok(header.map(|header| File { header, records, torn_bytes }))
}

/// The next whole frame: number of its first record, its records, what follows.
fn frame(bytes: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, after) = rest.split_at_checked(length)?;
    if crc32c(content) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let (first, records) = content.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*first), records, after))
}

/// The next record: kind, body, what follows.
fn record(bytes: &[u8]) -> anyhow::Result<(u8, &[u8], &[u8])> {
    let [kind, version, rest @ ..] = bytes else { bail!("it ends within a record") };
    if *version != VERSION {
        bail!("kind {kind} has version {version}, unknown to this build");
    }
    let (length, rest): (u64, &[u8]) = postcard::take_from_bytes(rest)?;
    let length = usize::try_from(length)?;
    let (body, after) = rest.split_at_checked(length).context("it ends within a record")?;
    Ok((*kind, body, after))
}

/// CRC-32C (Castagnoli), bit by bit from its definition.
fn crc32c(bytes: &[u8]) -> u32 {
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

#[cfg(test)]
pub(super) mod testing {
    //! Recordings for tests.

    use super::*;

    /// A recording as a file has it, read back.
    pub(crate) fn parsed(bytes: &[u8]) -> Recording {
        let file = parse(bytes).unwrap().unwrap();
        joined(vec![file]).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden bytes of the broker's own test.
    fn golden() -> Vec<u8> {
        [
            MAGIC.as_slice(),
            &[0, 0, 0, 19, 0xf5, 0x52, 0xfd, 0xef, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 8, 2, 3, 0xac, 2, 1, b'1', 0, 0],
            &[0, 0, 0, 35, 0xef, 0x69, 0x02, 0x79, 0, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 3, 1, 13, 0],
            &[2, 0, 9, 1, 1, 2, 0xf1, 0xf0, 0xcf, 0x83, 0x0b, 7],
            &[2, 0, 3, 1, 0, 8],
            &[6, 0, 0],
        ]
        .concat()
    }

    #[test]
    fn a_file_is_read_as_it_is_described() {
        let read = testing::parsed(&golden());

        assert_eq!((read.header.node.0, read.header.started_ms, read.is_closed), (2, 300, true));
        let found: Vec<_> = read.records.iter().map(|record| (record.number, record.kind)).collect();
        assert_eq!(found, [(0, kind::ACT), (1, kind::STEP), (2, kind::STEP), (3, kind::CLOSED)]);
    }

    #[test]
    fn a_frame_that_was_cut_or_changed_is_not_read() {
        let whole = golden();
        for end in 36..whole.len() {
            let read = testing::parsed(&whole[..end]);
            assert!(read.records.is_empty() && !read.is_closed, "cut at {end}");
        }
        let mut changed = whole;
        *changed.last_mut().unwrap() ^= 1;
        assert!(testing::parsed(&changed).records.is_empty());
    }

    #[test]
    fn the_checksum_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
