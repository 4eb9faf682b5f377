//! Counterexamples in files: written wholly or not at all, and read with suspicion.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{KIND, VERSION};
use crate::world::Message;

/// What a replay needs of a counterexample's file. Everything else in the file is for people.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Recorded {
    /// The model's name.
    pub model: String,
    /// Its bounds, by key.
    pub bounds: BTreeMap<String, String>,
    /// The bug that was planted, if one was.
    #[serde(default)]
    pub planted: Option<RecordedBug>,
    /// What was broken.
    pub claim: RecordedClaim,
    /// The steps in order.
    pub steps: Vec<RecordedStep>,
}

/// The planted bug of a [`Recorded`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordedBug {
    /// Its id in the catalogue.
    pub id: String,
}

/// The broken claim of a [`Recorded`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordedClaim {
    /// Its name.
    pub name: String,
    /// The values that broke it.
    pub values: String,
}

/// One step of a [`Recorded`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct RecordedStep {
    /// The action.
    pub action: Value,
    /// The action in words.
    pub words: String,
    /// The message that it took.
    #[serde(default)]
    pub takes: Option<Message>,
    /// What it changed.
    #[serde(default)]
    pub changes: Vec<String>,
}

/// Why a file is no counterexample that can be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON of another kind.
    #[error("its type is {0}, not \"{KIND}\"")]
    OtherKind(Value),
    /// It is of a version that this build does not read.
    #[error("it is of version {0}; this build reads version {VERSION}")]
    OtherVersion(Value),
    /// It says what it is, and is not.
    #[error("not a counterexample of version {VERSION}: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// Reads a counterexample.
///
/// # Errors
/// See [`ReadError`].
pub fn read(text: &str) -> Result<Recorded, ReadError> {
    recorded(serde_json::from_str(text).map_err(ReadError::NotJson)?)
}

/// Reads a counterexample that is JSON already.
///
/// # Errors
/// See [`ReadError`].
pub fn recorded(value: Value) -> Result<Recorded, ReadError> {
    let field = |name: &str| value.get(name).cloned().unwrap_or_default();
    if field("type") != KIND {
        return Err(ReadError::OtherKind(field("type")));
    }
    if field("version") != VERSION {
        return Err(ReadError::OtherVersion(field("version")));
    }
    serde_json::from_value(value).map_err(ReadError::Malformed)
}

/// A file that will be written: its place has been tried.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// Tries whether a file can be written at `path`, which may not exist yet.
    ///
    /// # Errors
    /// When it is a directory, or its directory does not exist or takes no new file.
    pub fn at(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
        }
        let place = Self { path: path.to_path_buf() };
        let trial = place.beside()?;
        fs::File::create(&trial)?;
        fs::remove_file(&trial)?;
        Ok(place)
    }

    /// Writes the file: to another name and synced first, so that nobody finds half of it.
    ///
    /// # Errors
    /// When the disk says no; a file that was there before is untouched then.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let beside = self.beside()?;
        let written = (|| {
            let mut file = fs::File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        })();
        if written.is_err() {
            // What remains of an attempt is of no use to anybody; the error that counts is the first.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    /// The path, for people.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A name in the same directory that is this process's own.
    fn beside(&self) -> io::Result<PathBuf> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
        let mut name = self.path.file_name().ok_or_else(no_name)?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        Ok(self.path.with_file_name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text).expect_err("no counterexample").to_string()
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_told_apart() {
        assert!(refused("no").starts_with("not JSON: expected"));
        assert_eq!(refused("[]"), "its type is null, not \"highwater-counterexample\"");
        assert_eq!(refused(r#"{"type":"x"}"#), "its type is \"x\", not \"highwater-counterexample\"");
        let newer = r#"{"type":"highwater-counterexample","version":2}"#;
        assert_eq!(refused(newer), "it is of version 2; this build reads version 1");
        let empty = r#"{"type":"highwater-counterexample","version":1}"#;
        assert!(refused(empty).starts_with("not a counterexample of version 1: missing field"));
    }

    #[test]
    fn a_file_is_written_wholly_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("found.json");
        let place = Place::at(&path).expect("a place");
        assert!(!path.exists(), "to try a place leaves nothing there");

        place.write(b"one").expect("written");
        place.write(b"two").expect("written again");

        assert_eq!(fs::read(&path).expect("a file"), b"two");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_place_that_takes_no_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");

        let missing = Place::at(&folder.path().join("nowhere/found.json")).expect_err("no such folder");
        let folder = Place::at(folder.path()).expect_err("a folder");

        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        assert_eq!(folder.kind(), io::ErrorKind::IsADirectory);
    }
}
