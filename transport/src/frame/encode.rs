//! Frames to chunks of bytes for a stream.
//!
//! Leaves the sending to the channel.

use super::{Frame, FrameError, FrameLimits, HEADER_BYTES_MAX, Header};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Pieces up to this many bytes are copied together, because a stream handles few large chunks better than many tiny
/// ones; larger pieces are passed on as they are.
const COPY_BYTES_MAX: usize = 4 << 10;

/// Turns frames into chunks, many frames at a time.
#[derive(Debug, Default)]
pub struct Encoder {
    small: BytesMut,
    chunks: Vec<Bytes>,
}

impl Encoder {
    /// Appends one frame.
    ///
    /// # Errors
    /// A [`FrameError`] when the frame is over the limits; nothing is appended then.
    pub fn push(&mut self, frame: &Frame, limits: &FrameLimits) -> Result<(), FrameError> {
        limits.check_frame(frame)?;
        let length = |bytes: &Bytes| u32::try_from(bytes.len()).expect("the limits are below 4 GiB");
        let header = Header {
            kind: frame.kind,
            version: frame.version,
            correlation: frame.correlation,
            body: length(&frame.body),
            payload: frame.payload.iter().map(length).collect(),
        };
        let header = postcard::to_allocvec(&header).map_err(FrameError::MalformedHeader)?;
        let header_length = u16::try_from(header.len()).ok().filter(|_| header.len() <= HEADER_BYTES_MAX);
        let too_large = FrameError::HeaderTooLarge { length: header.len() };
        self.small.put_u16_le(header_length.ok_or(too_large)?);
        self.small.put_slice(&header);
        self.piece(&frame.body);
        frame.payload.iter().for_each(|chunk| self.piece(chunk));
        Ok(())
    }

    /// All chunks so far, in order; the encoder is empty after it.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.flush();
        core::mem::take(&mut self.chunks)
    }

    fn piece(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.small.put_slice(bytes);
        } else {
            self.flush();
            self.chunks.push(bytes.clone());
        }
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }
}
