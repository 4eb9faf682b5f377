//! The few files that the command line itself reads and writes: configuration, certificates, input. Logs belong to `disk`.
#![expect(
    clippy::disallowed_methods,
    reason = "the command line runs before there is a disk, and never in the simulator"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::failure::Failure;

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

/// The text of a file, for settings that name one.
pub(crate) fn read_named(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// The bytes of a file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file(path, &error))
}

/// Writes a file anew; what is in it is kept when this returns.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    write_with_mode(path, text, 0o644)
}

/// Writes a file anew that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    write_with_mode(path, text, 0o600)
}

fn write_with_mode(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| Failure::file(path, &error))
}

/// Creates a directory and those above it.
pub(crate) fn create_dir(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| Failure::file(path, &error))
}

/// Removes a directory and everything in it.
pub(crate) fn remove_dir(path: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(path).map_err(|error| Failure::file(path, &error))
}

/// A file to append to, for the output of a process.
pub(crate) fn append(path: &Path) -> Result<File, Failure> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|error| Failure::file(path, &error))
}

/// The lines of a file, or of standard input.
pub(crate) fn lines(
    path: Option<&Path>,
) -> Result<Box<dyn Iterator<Item = io::Result<Vec<u8>>> + Send>, Failure> {
    let reader: Box<dyn BufRead + Send> = match path {
        Some(path) => {
            Box::new(BufReader::new(File::open(path).map_err(|error| Failure::file(path, &error))?))
        }
        None => Box::new(BufReader::new(io::stdin())),
    };
    Ok(Box::new(Lines(reader)))
}

/// Lines as bytes, without their ends.
struct Lines(Box<dyn BufRead + Send>);

impl Iterator for Lines {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// The path made absolute, for other processes to use.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::file(path, &error))
}
