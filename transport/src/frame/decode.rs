//! Chunks of bytes from a stream back to frames, in whatever pieces they come.
//!
//! Leaves the receiving to the channel. No length from outside leads to an allocation before it was checked, and none
//! before the bytes themselves are there.

use super::{Frame, FrameError, FrameLimits, HEADER_BYTES_MAX, Header, PAYLOAD_CHUNKS_MAX};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::collections::VecDeque;

/// Turns chunks into frames. After an error it gives that error for ever: where the next frame would begin is unknown.
#[derive(Debug)]
pub struct Decoder {
    limits: FrameLimits,
    pieces: VecDeque<Bytes>,
    buffered: usize,
    stage: Stage,
}

/// How far the frame at the front has been read.
#[derive(Debug)]
enum Stage {
    HeaderLength,
    Header(usize),
    Content(Header, usize),
    Broken(FrameError),
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self { limits, pieces: VecDeque::new(), buffered: 0, stage: Stage::HeaderLength }
    }

    /// Takes in what came next.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.buffered += bytes.len();
            self.pieces.push_back(bytes);
        }
    }

    /// The next frame, or none when more bytes are needed.
    ///
    /// # Errors
    /// A [`FrameError`] when the bytes are not a frame within the limits.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Stage::Broken(error) = &self.stage {
                return Err(error.clone());
            }
            match self.advance() {
                Ok(Progress::Starved) => return Ok(None),
                Ok(Progress::Step) => {}
                Ok(Progress::Complete(frame)) => return Ok(Some(frame)),
                Err(error) => self.stage = Stage::Broken(error),
            }
        }
    }

    /// The length in bytes of the frame that is being read, once its header is.
    #[must_use]
    pub fn content_bytes(&self) -> Option<usize> {
        match &self.stage {
            Stage::Content(_, length) => Some(*length),
            Stage::HeaderLength | Stage::Header(_) | Stage::Broken(_) => None,
        }
    }

    /// Whether the stream may end here: between frames.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when it may not.
    pub fn finish(&self) -> Result<(), FrameError> {
        match &self.stage {
            Stage::HeaderLength if self.buffered == 0 => Ok(()),
            Stage::Broken(error) => Err(error.clone()),
            Stage::HeaderLength | Stage::Header(_) | Stage::Content(..) => Err(FrameError::Truncated),
        }
    }

    fn advance(&mut self) -> Result<Progress, FrameError> {
        let needed = match &self.stage {
            Stage::HeaderLength => 2,
            Stage::Header(length) | Stage::Content(_, length) => *length,
            Stage::Broken(error) => return Err(error.clone()),
        };
        if self.buffered < needed {
            return Ok(Progress::Starved);
        }
        match core::mem::replace(&mut self.stage, Stage::HeaderLength) {
            Stage::HeaderLength => self.on_header_length(),
            Stage::Header(length) => self.on_header(length),
            Stage::Content(header, _) => Ok(Progress::Complete(self.content(&header))),
            Stage::Broken(error) => Err(error),
        }
    }

    fn on_header_length(&mut self) -> Result<Progress, FrameError> {
        let length = usize::from(self.take(2).get_u16_le());
        if length > HEADER_BYTES_MAX {
            return Err(FrameError::HeaderTooLarge { length });
        }
        self.stage = Stage::Header(length);
        Ok(Progress::Step)
    }

    fn on_header(&mut self, length: usize) -> Result<Progress, FrameError> {
        let header = header(&self.take(length))?;
        let payload = header.payload.iter().map(|length| wide(*length)).fold(0, usize::saturating_add);
        self.limits.check(wide(header.body), payload, header.payload.len())?;
        let content = wide(header.body) + payload;
        self.stage = Stage::Content(header, content);
        Ok(Progress::Step)
    }

    fn content(&mut self, header: &Header) -> Frame {
        Frame {
            kind: header.kind,
            version: header.version,
            correlation: header.correlation,
            body: self.take(wide(header.body)),
            payload: header.payload.iter().map(|length| self.take(wide(*length))).collect(),
        }
    }

    /// Takes `length` buffered bytes off the front, without copying when they came in one piece.
    fn take(&mut self, length: usize) -> Bytes {
        assert!(length <= self.buffered, "only what has come is taken");
        self.buffered -= length;
        if length == 0 {
            return Bytes::new();
        }
        if let Some(front) = self.pieces.front_mut().filter(|front| front.len() > length) {
            return front.split_to(length);
        }
        match self.pieces.pop_front() {
            Some(front) if front.len() == length => front,
            front => self.gather(front.unwrap_or_default(), length),
        }
    }

    /// Copies `length` bytes together, the first of which are `first`.
    fn gather(&mut self, first: Bytes, length: usize) -> Bytes {
        let mut gathered = BytesMut::with_capacity(length);
        gathered.put(first);
        while gathered.len() < length {
            let rest = length - gathered.len();
            let mut piece = self.pieces.pop_front().expect("the buffered bytes are in pieces");
            if piece.len() > rest {
                gathered.put(piece.split_to(rest));
                self.pieces.push_front(piece);
            } else {
                gathered.put(piece);
            }
        }
        gathered.freeze()
    }
}

/// Reads a header field by field, so that the count of payload chunks is checked before there is room for them.
fn header(bytes: &[u8]) -> Result<Header, FrameError> {
    let fixed = postcard::take_from_bytes(bytes).map_err(FrameError::MalformedHeader)?;
    let ((kind, version, correlation, body, count), mut rest): ((u16, u8, u64, u32, u32), &[u8]) = fixed;
    let count = wide(count);
    if count > PAYLOAD_CHUNKS_MAX {
        return Err(FrameError::TooManyChunks { count });
    }
    let mut payload = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let (length, after) = postcard::take_from_bytes(rest).map_err(FrameError::MalformedHeader)?;
        payload.push(length);
        rest = after;
    }
    // What is left are fields of later versions.
    Ok(Header { kind, version, correlation, body, payload })
}

enum Progress {
    Starved,
    Step,
    Complete(Frame),
}

fn wide(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
