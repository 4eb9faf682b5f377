//! One open file.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, preadv2, pwritev, retry_on_intr};

use super::threads::{ReadJob, read_rest};
use super::{Shared, system};
use crate::disk::{Completion, DiskFile, Fault};

/// The kernel takes no more chunks in one call.
const CHUNKS_MAX: usize = 1024;

/// One open file. Its length is kept here: the file is this process's alone (the directory is locked).
#[derive(Debug)]
pub(super) struct RealFile {
    fd: OwnedFd,
    path: String,
    shown: String,
    length: Mutex<Length>,
    shared: Arc<Shared>,
}

/// How long a file is.
#[derive(Debug)]
struct Length {
    bytes: u64,
    /// Whether part of a failed append may lie behind it.
    is_ragged: bool,
}

impl RealFile {
    pub(super) fn new(fd: OwnedFd, path: &str, shown: String, length: u64, shared: Arc<Shared>) -> Self {
        let length = Mutex::new(Length { bytes: length, is_ragged: false });
        Self { fd, path: path.to_owned(), shown, length, shared }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Path for people, with the directory's.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn length(&self) -> MutexGuard<'_, Length> {
        self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all chunks from `position` on.
    fn write(&self, chunks: &[Bytes], mut position: u64) -> Result<u64, Errno> {
        let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let mut left = slices.as_mut_slice();
        while left.iter().any(|slice| !slice.is_empty()) {
            let some = left.get(..left.len().min(CHUNKS_MAX)).unwrap_or_default();
            let written = retry_on_intr(|| pwritev(&self.fd, some, position))?;
            if written == 0 {
                return Err(Errno::NOSPC);
            }
            position += u64::try_from(written).unwrap_or_default();
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(position)
    }

    /// Why bytes could not be written.
    fn unwritten(&self, chunks: &[Bytes], errno: Errno) -> Fault {
        if matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::FBIG) {
            let bytes = chunks.iter().map(|chunk| u64::try_from(chunk.len()).unwrap_or_default()).sum();
            return Fault::Full { path: self.shown.clone(), bytes };
        }
        system("append to", &self.shown, errno.into())
    }

    /// Cuts away what a failed append has left, if it has.
    fn smooth(&self, length: &mut Length) -> Result<(), Fault> {
        if length.is_ragged {
            let cut = rustix::fs::ftruncate(&self.fd, length.bytes);
            cut.map_err(|errno| system("truncate", &self.shown, errno.into()))?;
            length.is_ragged = false;
        }
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn len_bytes(&self) -> u64 {
        self.length().bytes
    }

    fn append(&self, chunks: &[Bytes]) -> Result<Completion<()>, Fault> {
        self.shared.state.check()?;
        let mut length = self.length();
        self.smooth(&mut length)?;
        match self.write(chunks, length.bytes) {
            Ok(end) => {
                length.bytes = end;
                Ok(Completion::done(Ok(())))
            }
            Err(errno) => {
                // What was written of it must not stay. Should even this fail, nothing is appended before it is done.
                length.is_ragged = true;
                if let Err(fault) = self.smooth(&mut length) {
                    tracing::warn!(%fault, "part of an append could not be cut away");
                }
                Err(self.unwritten(chunks, errno))
            }
        }
    }

    fn rewrite(&self, position: u64, chunks: &[Bytes]) -> Result<(), Fault> {
        self.shared.state.check()?;
        self.write(chunks, position).map(drop).map_err(|errno| self.unwritten(chunks, errno))
    }

    fn read(&self, position: u64, length: usize) -> Completion<Bytes> {
        if let Err(fault) = self.shared.state.check() {
            return Completion::done(Err(fault));
        }
        let there = usize::try_from(self.len_bytes().saturating_sub(position)).unwrap_or(usize::MAX);
        let mut buffer = BytesMut::zeroed(length.min(there));
        let cached = preadv2(&self.fd, &mut [IoSliceMut::new(&mut buffer)], position, ReadWriteFlags::NOWAIT);
        let read = cached.unwrap_or(0);
        if read == buffer.len() {
            return Completion::done(Ok(buffer.freeze()));
        }
        let (completer, completion) = Completion::pending();
        match self.fd.try_clone() {
            Ok(fd) => {
                let job = ReadJob { fd, path: self.shown.clone(), position, buffer, read, completer };
                drop(self.shared.reads.send(job));
                completion
            }
            Err(error) => Completion::done(Err(system("read", &self.shown, error))),
        }
    }

    fn read_now(&self, position: u64, length: usize) -> Result<Bytes, Fault> {
        self.shared.state.check()?;
        let there = usize::try_from(self.len_bytes().saturating_sub(position)).unwrap_or(usize::MAX);
        read_rest(&self.fd, &self.shown, position, BytesMut::zeroed(length.min(there)), 0)
    }

    fn truncate(&self, to: u64) -> Result<(), Fault> {
        self.shared.state.check()?;
        let mut length = self.length();
        rustix::fs::ftruncate(&self.fd, to).map_err(|errno| system("truncate", &self.shown, errno.into()))?;
        *length = Length { bytes: to, is_ragged: false };
        Ok(())
    }
}
