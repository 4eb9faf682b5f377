//! The frame: a small header, a body, and payload chunks out of band; how it is written and read back.
//!
//! Wire form, version 1: header length (u16, little endian), header (postcard: kind, version, correlation, body length,
//! payload lengths), body, payload chunks. Bytes that follow the known fields within the header are ignored, so that a
//! later version can add fields. What the bodies mean is left to those who define the kinds.

mod decode;
mod encode;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use decode::Decoder;
pub use encode::Encoder;

/// The longest header, in bytes; it holds [`PAYLOAD_CHUNKS_MAX`] lengths with room for later fields.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// The most payload chunks of one frame.
pub const PAYLOAD_CHUNKS_MAX: usize = 1024;

/// One message on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frame {
    /// What the body is.
    pub kind: u16,
    /// The version of the body's form.
    pub version: u8,
    /// Which call this asks or answers; 0 for a frame that expects no answer.
    pub correlation: u64,
    /// The message itself, as a rule postcard.
    pub body: Bytes,
    /// Bytes that travel beside the body and are not copied for it, such as record batches.
    pub payload: Vec<Bytes>,
}

impl Frame {
    /// A frame without payload and correlation whose body is `message` in postcard.
    ///
    /// # Errors
    /// When the message cannot be expressed, which a type made for the wire never is.
    pub fn encoded<T: Serialize + ?Sized>(kind: u16, version: u8, message: &T) -> Result<Self, FrameError> {
        Ok(Self { kind, version, correlation: 0, body: encode_body(message)?, payload: Vec::new() })
    }

    /// The same frame with payload chunks beside its body.
    #[must_use]
    pub fn with_payload(mut self, payload: Vec<Bytes>) -> Self {
        self.payload = payload;
        self
    }

    /// The body, read as a postcard message that takes up all of it.
    ///
    /// # Errors
    /// [`FrameError::MalformedBody`] when it is not one.
    pub fn decoded<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        decode_body(&self.body)
    }

    /// The bytes of body and payload together.
    #[must_use]
    pub fn content_bytes(&self) -> usize {
        self.body.len() + self.payload.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Writes a message as a body.
///
/// # Errors
/// When the message cannot be expressed, which a type made for the wire never is.
pub fn encode_body<T: Serialize + ?Sized>(message: &T) -> Result<Bytes, FrameError> {
    postcard::to_allocvec(message).map(Bytes::from).map_err(FrameError::MalformedBody)
}

/// Reads a message that takes up all of `body`.
///
/// # Errors
/// [`FrameError::MalformedBody`] when the bytes are not such a message, [`FrameError::TrailingBytes`] when more follow.
pub fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let (message, rest) = postcard::take_from_bytes(body).map_err(FrameError::MalformedBody)?;
    if rest.is_empty() { Ok(message) } else { Err(FrameError::TrailingBytes(rest.len())) }
}

/// The largest frames that one side sends or accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The longest body, in bytes.
    pub body_bytes_max: u32,
    /// The most payload of one frame, all chunks together, in bytes.
    pub payload_bytes_max: u32,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { body_bytes_max: 1 << 20, payload_bytes_max: 64 << 20 }
    }
}

/// Why bytes are not a frame, or a frame cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The header is longer than any header is.
    #[error("header of {length} bytes, at most {HEADER_BYTES_MAX} are allowed")]
    HeaderTooLarge {
        /// What it said or would take.
        length: usize,
    },
    /// The header's bytes are not a header.
    #[error("malformed frame header")]
    MalformedHeader(#[source] postcard::Error),
    /// The body is longer than agreed.
    #[error("body of {length} bytes, at most {max} are allowed")]
    BodyTooLarge {
        /// What the header said, or the frame holds.
        length: usize,
        /// The limit.
        max: u32,
    },
    /// The payload is longer than agreed.
    #[error("payload of {length} bytes, at most {max} are allowed")]
    PayloadTooLarge {
        /// What the header said, or the frame holds.
        length: usize,
        /// The limit.
        max: u32,
    },
    /// The payload is in more pieces than agreed.
    #[error("payload in {count} chunks, at most {PAYLOAD_CHUNKS_MAX} are allowed")]
    TooManyChunks {
        /// What the header said, or the frame holds.
        count: usize,
    },
    /// The body is not the message that its kind and version promise.
    #[error("malformed frame body")]
    MalformedBody(#[source] postcard::Error),
    /// The body goes on after the message.
    #[error("{0} bytes after the end of the message")]
    TrailingBytes(usize),
    /// The stream ended within a frame.
    #[error("stream ended within a frame")]
    Truncated,
}

/// The header as it is written.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Header {
    kind: u16,
    version: u8,
    correlation: u64,
    body: u32,
    payload: Vec<u32>,
}

impl FrameLimits {
    /// Refuses lengths that are over the limits.
    ///
    /// # Errors
    /// The [`FrameError`] that names the length.
    fn check(&self, body: usize, payload: usize, chunks: usize) -> Result<(), FrameError> {
        let over = |length: usize, max: u32| u32::try_from(length).map_or(true, |length| length > max);
        if over(body, self.body_bytes_max) {
            return Err(FrameError::BodyTooLarge { length: body, max: self.body_bytes_max });
        }
        if chunks > PAYLOAD_CHUNKS_MAX {
            return Err(FrameError::TooManyChunks { count: chunks });
        }
        if over(payload, self.payload_bytes_max) {
            return Err(FrameError::PayloadTooLarge { length: payload, max: self.payload_bytes_max });
        }
        Ok(())
    }

    /// Refuses a frame that the other side would refuse.
    ///
    /// # Errors
    /// The [`FrameError`] that names the length.
    pub fn check_frame(&self, frame: &Frame) -> Result<(), FrameError> {
        let payload = frame.payload.iter().map(Bytes::len).sum();
        self.check(frame.body.len(), payload, frame.payload.len())
    }
}

#[cfg(test)]
mod tests;
