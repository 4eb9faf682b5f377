//! The two threads of a log directory: one syncs, with group commit, and one reads what the page cache does not have.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Mode, OFlags, fdatasync, fsync};
use rustix::io::{pread, retry_on_intr, write};

use super::file::RealFile;
use super::{State, system};
use crate::disk::{Completer, Fault};

/// Something to be synced.
#[derive(Debug)]
pub(super) enum Target {
    File(Arc<RealFile>),
    Directory(PathBuf),
}

impl Target {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(two)) => Arc::ptr_eq(one, two),
            (Self::Directory(one), Self::Directory(two)) => one == two,
            (Self::File(_), Self::Directory(_)) | (Self::Directory(_), Self::File(_)) => false,
        }
    }
}

/// Work for the thread that syncs.
#[derive(Debug)]
pub(super) enum Job {
    Sync { targets: Vec<Target>, completer: Completer<()> },
    Replace { path: PathBuf, content: Bytes, completer: Completer<()> },
}

/// A read that the page cache could not serve whole.
#[derive(Debug)]
pub(super) struct ReadJob {
    pub(super) fd: OwnedFd,
    pub(super) path: String,
    pub(super) position: u64,
    pub(super) buffer: BytesMut,
    /// How much of the buffer has been read.
    pub(super) read: usize,
    pub(super) completer: Completer<Bytes>,
}

pub(super) fn start_syncs(directory: &str, state: Arc<State>) -> io::Result<mpsc::Sender<Job>> {
    let (sender, receiver) = mpsc::channel();
    let directory = directory.to_owned();
    thread::Builder::new()
        .name("disk-sync".to_owned())
        .spawn(move || run_syncs(&directory, &state, &receiver))?;
    Ok(sender)
}

pub(super) fn start_reads(_directory: &str) -> io::Result<mpsc::Sender<ReadJob>> {
    let (sender, receiver) = mpsc::channel::<ReadJob>();
    thread::Builder::new().name("disk-read".to_owned()).spawn(move || {
        for job in receiver {
            let ReadJob { fd, path, position, buffer, read, completer } = job;
            completer.complete(read_rest(&fd, &path, position, buffer, read));
        }
    })?;
    Ok(sender)
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_rest(
    fd: &OwnedFd,
    path: &str,
    from: u64,
    mut buffer: BytesMut,
    mut read: usize,
) -> Result<Bytes, Fault> {
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        let position = from + u64::try_from(read).unwrap_or_default();
        let more = retry_on_intr(|| pread(fd, &mut *rest, position));
        match more.map_err(|errno| system("read", path, errno.into()))? {
            0 => break,
            more => read += more,
        }
    }
    buffer.truncate(read);
    Ok(buffer.freeze())
}

/// Group commit: everything that arrived while the last sync ran is done together.
fn run_syncs(directory: &str, state: &State, receiver: &mpsc::Receiver<Job>) {
    while let Ok(first) = receiver.recv() {
        let mut targets = Vec::<Target>::new();
        let mut waiting = Vec::new();
        let mut replacements = Vec::new();
        for job in std::iter::once(first).chain(receiver.try_iter()) {
            match job {
                Job::Sync { targets: more, completer } => {
                    for target in more {
                        if !targets.iter().any(|known| known.is(&target)) {
                            targets.push(target);
                        }
                    }
                    waiting.push(completer);
                }
                Job::Replace { path, content, completer } => replacements.push((path, content, completer)),
            }
        }
        let synced = sync_all(directory, state, &targets);
        for completer in waiting {
            completer.complete(synced.clone());
        }
        for (path, content, completer) in replacements {
            completer.complete(replace(directory, state, &path, &content));
        }
    }
}

fn sync_all(directory: &str, state: &State, targets: &[Target]) -> Result<(), Fault> {
    state.check()?;
    for target in targets {
        match target {
            Target::File(file) => sync_file(directory, state, file)?,
            Target::Directory(path) => sync_directory(directory, state, path)?,
        }
    }
    Ok(())
}

pub(super) fn sync_file(directory: &str, state: &State, file: &RealFile) -> Result<(), Fault> {
    retry_on_intr(|| fdatasync(file.as_fd()))
        .map_err(|errno| state.take_offline(directory, file.shown(), &errno.into()))
}

pub(super) fn sync_directory(directory: &str, state: &State, path: &Path) -> Result<(), Fault> {
    let offline =
        |errno: rustix::io::Errno| state.take_offline(directory, &path.display().to_string(), &errno.into());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        // A directory that has been removed since has no entries to keep.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(offline(errno)),
    };
    retry_on_intr(|| fsync(&fd)).map_err(offline)
}

/// Writes a file anew beside the old one, and puts it in its place.
fn replace(directory: &str, state: &State, path: &Path, content: &[u8]) -> Result<(), Fault> {
    state.check()?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let shown = path.display().to_string();
    let fd = match create(&temporary, &shown, content) {
        Ok(fd) => fd,
        Err(fault) => {
            // On a full disk what was written of it takes room that others want.
            let _ = rustix::fs::unlink(&temporary);
            return Err(fault);
        }
    };
    retry_on_intr(|| fsync(&fd)).map_err(|errno| state.take_offline(directory, &shown, &errno.into()))?;
    rustix::fs::rename(&temporary, path).map_err(|errno| system("rename", &shown, errno.into()))?;
    sync_directory(directory, state, path.parent().unwrap_or(path))
}

/// A new file with this content, not synced.
fn create(path: &Path, shown: &str, content: &[u8]) -> Result<OwnedFd, Fault> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644));
    let fd = fd.map_err(|errno| system("create", shown, errno.into()))?;
    let mut left = content;
    while !left.is_empty() {
        let written =
            retry_on_intr(|| write(&fd, left)).map_err(|errno| system("write", shown, errno.into()))?;
        left = left.get(written..).unwrap_or_default();
    }
    Ok(fd)
}
