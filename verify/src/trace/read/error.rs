//! Why recordings cannot be judged as they were given, and what to do about it.

use std::io;
use std::path::PathBuf;

use highwater_model::trace::VERSION;

/// Why recordings cannot be judged as they were given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system refuses.
    #[error("{}: {source}; give directories that brokers recorded into (`trace.dir`), or files of them", .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why it cannot be.
        source: io::Error,
    },
    /// There is no recording in what was given.
    #[error(
        "there is no recording in {paths}; give the directory that `trace.dir` of a broker names (a broker records once it \
         is started with one)"
    )]
    Nothing {
        /// What was given.
        paths: String,
    },
    /// A file that is not one of a recording.
    #[error("{} is no recording: it does not begin as one; leave it out", .path.display())]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// A file that does not say whose it is.
    #[error("{} does not say whose recording it is: it begins without a header; leave it out", .path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// A record of another version than this build knows.
    #[error(
        "{}: record of kind {kind} and version {version} at byte {at}, but this build knows version {}; use the `verify` of \
         the build that recorded it", .path.display(), VERSION
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Where its frame begins.
        at: u64,
        /// The record's kind.
        kind: u8,
        /// Its version.
        version: u8,
    },
    /// Bytes that are not those that were written.
    #[error(
        "{} is damaged: {what} at byte {at}; copy it anew, or leave it out: what is in it then counts as missing",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage shows first.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// Two files are the same part of the same recording.
    #[error(
        "{} and {} are the same file {number} of the same run of node {node}; give each recording once",
        .first.display(), .second.display()
    )]
    Twice {
        /// The node.
        node: u32,
        /// The file's number within the run.
        number: u32,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A file with the name of another broker's.
    #[error(
        "{} is named as node {named}'s, but node {node} recorded it: files were mixed up; give it the name of its node back, \
         and see whether there are others", .path.display()
    )]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// Whose it is by its name.
        named: u32,
        /// Whose it is.
        node: u32,
    },
}
