//! Storage as a trait: one [`Disk`] is one log directory, real or simulated.
//!
//! Responsible for every byte that reaches a disk: files, syncs with group commit, what happens when a sync fails or the
//! disk is full, the directory's identity and its start-up record. Leaves to others what the bytes mean (`log`) and what
//! may be promised on them (`model`).
//!
//! An operation is *issued when its method is called*; the [`Completion`] that it gives back is awaited separately, or
//! dropped: the operation is carried out all the same. Appends to one file are carried out in the order of the calls.

mod completion;
mod fault;
mod real;
mod sim;

pub use completion::{Completer, Completion};
pub use fault::Fault;
pub use real::RealDisk;
pub use sim::SimDisk;

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;

/// An open file, shared.
pub type FileRef = Arc<dyn DiskFile>;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It must be there.
    Existing,
    /// It must not be there.
    New,
    /// It is created if it is not there.
    OrNew,
}

/// A file or directory found by [`Disk::list`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name within the directory.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// What one sync covers: everything issued before the call, on these files and directories.
#[derive(Clone, Debug, Default)]
pub struct SyncSet {
    /// Files whose bytes are to be kept.
    pub files: Vec<FileRef>,
    /// Directories whose entries (files created, renamed or removed in them) are to be kept; `""` is the root.
    pub directories: Vec<String>,
}

/// One log directory.
///
/// Paths are relative to it, with `/` between names, without `.` and `..`; `""` is the directory itself. Once a sync has
/// failed the directory is offline for good: every later operation gives [`Fault::Offline`], because nobody knows which
/// bytes the kernel dropped (X11).
pub trait Disk: Send + Sync + Debug {
    /// The directory's name, for people.
    fn name(&self) -> &str;

    /// The fault that took the directory offline, if it is.
    fn offline(&self) -> Option<Fault>;

    /// Opens a file for reading and appending.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Exists`], or the system's error.
    fn open(&self, path: &str, how: Open) -> Result<FileRef, Fault>;

    /// Syncs files and directories. Whatever arrives while a sync runs is covered by the next one, together.
    ///
    /// A failure takes the directory offline and is never retried.
    fn sync(&self, set: SyncSet) -> Completion<()>;

    /// As [`Self::sync`], but blocks until it is done: for rare work that must be durable within a call.
    ///
    /// # Errors
    /// As [`Self::sync`].
    fn sync_now(&self, set: SyncSet) -> Result<(), Fault>;

    /// Replaces a whole file atomically and durably: writes `<path>.tmp`, syncs it, renames it, syncs the directory (Q43).
    /// Replacements of one path happen in the order of the calls. Completes when the new content survives a power loss;
    /// until then a crash leaves the old content or the new, never a mixture.
    fn replace(&self, path: &str, content: Bytes) -> Completion<()>;

    /// As [`Self::replace`], but blocks until it is done.
    ///
    /// # Errors
    /// As [`Self::replace`].
    fn replace_now(&self, path: &str, content: Bytes) -> Result<(), Fault>;

    /// Cuts files away, durably, before it returns: removes `remove` one after another, then shortens `keep` to a length
    /// in bytes. The one call that blocks for a sync: it is rare (a truncation that does cut records), and nothing may
    /// be appended after a cut that a power loss could undo, or old and new records would mix (X11).
    ///
    /// # Errors
    /// As [`Self::sync`].
    fn cut(&self, remove: &[String], keep: Option<(&FileRef, u64)>) -> Result<(), Fault>;

    /// Reads a whole small file.
    ///
    /// # Errors
    /// [`Fault::Missing`], or the system's error.
    fn read_whole(&self, path: &str) -> Result<Bytes, Fault>;

    /// Renames a file, or a directory with all that is in it. Not durable until its directory is synced.
    ///
    /// # Errors
    /// [`Fault::Missing`], or the system's error.
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Removes a file. Not durable until its directory is synced.
    ///
    /// # Errors
    /// [`Fault::Missing`], or the system's error.
    fn remove(&self, path: &str) -> Result<(), Fault>;

    /// Removes a directory and the files in it. Not durable until the directory above is synced.
    ///
    /// # Errors
    /// [`Fault::Missing`], or the system's error.
    fn remove_dir(&self, path: &str) -> Result<(), Fault>;

    /// Creates a directory and those above it; nothing happens if it is there.
    ///
    /// # Errors
    /// The system's error.
    fn create_dir(&self, path: &str) -> Result<(), Fault>;

    /// The entries of a directory, sorted by name.
    ///
    /// # Errors
    /// [`Fault::Missing`], or the system's error.
    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault>;

    /// Takes the directory for this process alone, until the disk is dropped or the process ends.
    ///
    /// # Errors
    /// [`Fault::Locked`] when another process has it.
    fn lock(&self) -> Result<(), Fault>;

    /// Identity of the running kernel: it changes when the machine starts anew, so that an equal one after a restart of
    /// the process means that nothing written was lost (X10, R60).
    fn boot_id(&self) -> Result<String, Fault>;
}

/// An open file of a [`Disk`]. Closed when the last reference is dropped.
pub trait DiskFile: Any + Send + Sync + Debug {
    /// Its path within the directory.
    fn path(&self) -> &str;

    /// Its length in bytes, what has been appended but not yet completed included.
    fn len_bytes(&self) -> u64;

    /// Appends the chunks in one go: either all of them or nothing. Completes when the kernel has them (X10).
    ///
    /// # Errors
    /// At once, with the file as it was: [`Fault::Full`] when there is no room (what was written of it has been cut
    /// away), [`Fault::Offline`], or the system's error.
    fn append(&self, chunks: &[Bytes]) -> Result<Completion<()>, Fault>;

    /// Writes bytes that are there already once more, where they are, and blocks until the kernel has them: so the next
    /// sync carries them to the disk whatever became of an earlier one. A kernel that has failed to write takes its pages
    /// for clean, and serves them as long as it keeps them; to sync them again does nothing and succeeds.
    ///
    /// # Errors
    /// As [`Self::append`].
    fn rewrite(&self, position: u64, chunks: &[Bytes]) -> Result<(), Fault>;

    /// Reads up to `length` bytes from `position` on; fewer only at the end of the file.
    fn read(&self, position: u64, length: usize) -> Completion<Bytes>;

    /// As [`Self::read`], but blocks until the bytes are there: for rare work that must be done within a call.
    ///
    /// # Errors
    /// The system's error.
    fn read_now(&self, position: u64, length: usize) -> Result<Bytes, Fault>;

    /// Shortens the file. Not durable until it is synced; see [`Disk::cut`].
    ///
    /// # Errors
    /// The system's error.
    fn truncate(&self, length: u64) -> Result<(), Fault>;
}
