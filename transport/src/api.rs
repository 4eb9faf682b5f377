//! How [`highwater_model::api`] travels in frames: one kind, one version, postcard bodies, batches as payload.
//!
//! A request and its answer have the same kind. What they mean is left to client and node.

use bytes::Bytes;
use highwater_model::api::{Answer, Request};

use crate::frame::{Frame, FrameError};

/// The kind of every frame that carries a [`Request`] or an [`Answer`].
pub const KIND: u16 = 0x0001;

/// The version of these bodies.
pub const VERSION: u8 = 0;

/// A request as a frame; the batches of a produce are its payload, in the order of its partitions.
///
/// # Errors
/// When the request cannot be expressed, which none is.
pub fn request(request: &Request, payload: Vec<Bytes>) -> Result<Frame, FrameError> {
    Ok(Frame::encoded(KIND, VERSION, request)?.with_payload(payload))
}

/// An answer as a frame; the batches of a fetch are its payload, in the order of its partitions.
///
/// # Errors
/// When the answer cannot be expressed, which none is.
pub fn answer(answer: &Answer, payload: Vec<Bytes>) -> Result<Frame, FrameError> {
    Ok(Frame::encoded(KIND, VERSION, answer)?.with_payload(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back_as_it_was() {
        let asked = Request::DescribeTopic { topic: "clicks".to_owned() };

        let frame = request(&asked, vec![Bytes::from_static(b"beside")]).expect("a request can be expressed");

        assert_eq!((frame.kind, frame.version), (KIND, VERSION));
        assert_eq!(frame.decoded::<Request>(), Ok(asked));
    }
}
