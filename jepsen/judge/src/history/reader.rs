//! Reads a history line by line, so that one need not fit in memory.

use std::io::{BufRead, Read as _};

use super::event::Event;
use super::line::parse;

/// The longest line that is read, in bytes: more than any poll brings.
pub const LINE_BYTES_MAX: u64 = 64 << 20;

/// Why a history cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file.
    #[error("line {line}: {error}; the rest of the history is not there")]
    File {
        /// From 1.
        line: u64,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The line is no event.
    #[error("line {line} is no event of a history: {error}")]
    Event {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// The line is too long.
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes: this is no history")]
    TooLong {
        /// From 1.
        line: u64,
    },
}

/// The events of a history, one by one; ends with the first that cannot be read.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    text: String,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from here on.
    pub fn new(from: R) -> Self {
        Self { from, text: String::new(), line: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<Event>, ReadError> {
        self.text.clear();
        self.line += 1;
        let line = self.line;
        let taken = (&mut self.from).take(LINE_BYTES_MAX).read_line(&mut self.text);
        match taken.map_err(|error| ReadError::File { line, error })? {
            0 => Ok(None),
            _ if self.text.len() as u64 >= LINE_BYTES_MAX && !self.text.ends_with('\n') => {
                Err(ReadError::TooLong { line })
            }
            _ => parse(&self.text).map(Some).map_err(|error| ReadError::Event { line, error }),
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}
