//! Reading the files of a trace, from their description in docs/TRACE.md.
//!
//! What was cut off at the end of a run is what a process leaves that is killed, and said so. Whatever else is not as it was
//! written is an error that says what to do: a judgement upon half of the evidence would look like one upon all of it.

mod error;
mod frame;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use highwater_model::id::IncarnationId;
use highwater_model::trace::{Header, kind};

pub use error::ReadError;
pub(super) use frame::FRAME_BYTES_MAX;
use frame::{Content, MAGIC, parse};

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

/// The body of a record, with nothing behind it.
pub(super) fn decode<T: serde::de::DeserializeOwned>(record: &Record) -> Result<T, String> {
    match postcard::take_from_bytes(&record.body) {
        Ok((body, [])) => Ok(body),
        Ok((_, rest)) => Err(format!("{} bytes behind its body", rest.len())),
        Err(error) => Err(error.to_string()),
    }
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
    /// Bytes at its end that could not be read, as where a process was killed while it wrote.
    pub torn_bytes: u64,
}

/// A file of a run.
struct File {
    path: PathBuf,
    header: Header,
    content: Content,
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
/// [`ReadError`], which says what to do.
pub fn recordings(paths: &[PathBuf]) -> Result<Vec<Recording>, ReadError> {
    let mut runs: BTreeMap<(u32, u64, IncarnationId), Vec<File>> = BTreeMap::new();
    for path in paths {
        for path in files(path)? {
            let bytes = fs::read(&path).map_err(|source| unreadable(&path, source))?;
            let content = parse(&path, &bytes)?;
            let Some(header) = content.header.clone() else { continue };
            is_named_so(&path, &header)?;
            let key = (header.node.0, header.started_ms, header.incarnation);
            runs.entry(key).or_default().push(File { path, header, content });
        }
    }
    if runs.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(ReadError::Nothing { paths: paths.join(", ") });
    }
    runs.into_values().map(joined).collect()
}

fn unreadable(path: &Path, source: std::io::Error) -> ReadError {
    ReadError::Unreadable { path: path.to_owned(), source }
}

/// The files at a path: itself, or those of a directory and of the ones below that end in `.trace`.
fn files(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(|source| unreadable(path, source))? {
        let entry = entry.map_err(|source| unreadable(path, source))?.path();
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if entry.extension().is_some_and(|suffix| suffix == "trace") {
            found.push(entry);
        }
    }
    found.sort();
    Ok(found)
}

/// A file that is named for a node must be that node's.
fn is_named_so(path: &Path, header: &Header) -> Result<(), ReadError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named = name.strip_prefix("node-").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    match named {
        Some(named) if named != header.node.0 => {
            Err(ReadError::Misnamed { path: path.to_owned(), named, node: header.node.0 })
        }
        _ => Ok(()),
    }
}

/// One run from its files.
fn joined(mut files: Vec<File>) -> Result<Recording, ReadError> {
    files.sort_by_key(|file| file.header.file);
    for pair in files.windows(2) {
        let [first, second] = pair else { continue };
        if first.header.file == second.header.file {
            return Err(ReadError::Twice {
                node: first.header.node.0,
                number: first.header.file,
                first: first.path.clone(),
                second: second.path.clone(),
            });
        }
        // The next file was begun after this one was written whole.
        if first.content.torn_bytes > 0 {
            let what = "it ends within a frame, though there is a later file of its run".to_owned();
            return Err(ReadError::Damaged { path: first.path.clone(), at: first.content.torn_at, what });
        }
        if second.content.first < first.content.next {
            let what = "it begins with records of numbers that the file before it has".to_owned();
            return Err(ReadError::Damaged { path: second.path.clone(), at: 0, what });
        }
    }
    let torn_bytes = files.last().map_or(0, |last| last.content.torn_bytes);
    let header = files.first().map(|file| file.header.clone());
    let records: Vec<Record> = files.into_iter().flat_map(|file| file.content.records).collect();
    let is_closed = records.last().is_some_and(|last| last.kind == kind::CLOSED);
    let header = header.expect("a run is made of the files that were found of it");
    Ok(Recording { header, records, is_closed, torn_bytes })
}
