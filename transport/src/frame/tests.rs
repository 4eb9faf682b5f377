//! What the frame's wire form is, and that no bytes from outside do harm.

use super::*;
use proptest::prelude::*;

fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for frame in frames {
        encoder.push(frame, &FrameLimits::default()).expect("the frame is within the limits");
    }
    encoder.take().concat()
}

fn decoded(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::new(FrameLimits::default());
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
    }
    decoder.finish()?;
    Ok(frames)
}

fn sample() -> Frame {
    Frame {
        kind: 0x0102,
        version: 3,
        correlation: 300,
        body: Bytes::from_static(b"body"),
        payload: vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")],
    }
}

#[test]
fn version_1_of_the_frame_keeps_its_bytes() {
    let golden = [
        10, 0, // header length
        0x82, 0x02, 3, 0xac, 0x02, 4, // kind, version, correlation, body length
        3, 3, 0, 5, // three payload lengths
        b'b', b'o', b'd', b'y', b'o', b'n', b'e', b't', b'h', b'r', b'e', b'e',
    ];

    assert_eq!(encoded(&[sample()]), golden);
    assert_eq!(decoded(&golden, 1), Ok(vec![sample()]));
}

#[test]
fn header_fields_of_a_later_version_are_passed_over() {
    let mut bytes = encoded(&[sample()]);
    bytes.splice(12..12, [7, 7]);
    bytes[0] = 12;

    assert_eq!(decoded(&bytes, 64), Ok(vec![sample()]));
}

#[test]
fn a_payload_that_came_in_one_piece_is_not_copied() {
    let chunk = Bytes::from(vec![7; 100_000]);
    let mut encoder = Encoder::default();
    encoder.push(&Frame::default().with_payload(vec![chunk.clone()]), &FrameLimits::default()).unwrap();
    let mut decoder = Decoder::new(FrameLimits::default());

    encoder.take().into_iter().for_each(|chunk| decoder.push(chunk));

    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(frame.payload[0].as_ptr(), chunk.as_ptr());
}

#[test]
fn a_frame_over_the_limits_is_refused_by_sender_and_receiver() {
    let limits = FrameLimits { body_bytes_max: 8, payload_bytes_max: 16 };
    let body = Frame { body: Bytes::from(vec![0; 9]), ..Frame::default() };
    let payload = Frame::default().with_payload(vec![Bytes::from(vec![0; 10]); 2]);
    let chunks = Frame::default().with_payload(vec![Bytes::new(); PAYLOAD_CHUNKS_MAX + 1]);
    let errors = [
        (&body, FrameError::BodyTooLarge { length: 9, max: 8 }),
        (&payload, FrameError::PayloadTooLarge { length: 20, max: 16 }),
    ];

    for (frame, error) in errors {
        let mut decoder = Decoder::new(limits);
        decoder.push(encoded(core::slice::from_ref(frame)).into());
        assert_eq!(Encoder::default().push(frame, &limits), Err(error.clone()));
        assert_eq!(decoder.next_frame(), Err(error.clone()));
        assert_eq!(decoder.next_frame(), Err(error));
    }
    let count = 0xffff_ffff_u32;
    let claim = postcard::to_allocvec(&(1_u16, 1_u8, 1_u64, 1_u32, count)).unwrap();
    let mut decoder = Decoder::new(limits);
    decoder.push(u16::try_from(claim.len()).unwrap().to_le_bytes().to_vec().into());
    decoder.push(claim.into());
    assert_eq!(decoder.next_frame(), Err(FrameError::TooManyChunks { count: 0xffff_ffff }));
    assert_eq!(
        Encoder::default().push(&chunks, &limits),
        Err(FrameError::TooManyChunks { count: PAYLOAD_CHUNKS_MAX + 1 })
    );
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let header = Header { kind: 1, version: 1, correlation: 1, body: 1 << 20, payload: vec![64 << 20] };
    let header = postcard::to_allocvec(&header).unwrap();
    let mut decoder = Decoder::new(FrameLimits::default());
    decoder.push(Bytes::from(u16::try_from(header.len()).unwrap().to_le_bytes().to_vec()));
    decoder.push(header.into());

    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.finish(), Err(FrameError::Truncated));
}

#[test]
fn a_body_with_bytes_after_its_message_is_refused() {
    assert_eq!(decode_body::<u8>(&[1, 2]), Err(FrameError::TrailingBytes(1)));
    assert_eq!(decode_body::<u8>(&[1]), Ok(1));
    assert!(matches!(decode_body::<u32>(&[0x80]), Err(FrameError::MalformedBody(_))));
}

fn any_bytes(most: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..most).prop_map(Bytes::from)
}

fn any_frame() -> impl Strategy<Value = Frame> {
    let payload = proptest::collection::vec(any_bytes(9000), 0..4);
    (any::<u16>(), any::<u8>(), any::<u64>(), any_bytes(300), payload).prop_map(
        |(kind, version, correlation, body, payload)| Frame { kind, version, correlation, body, payload },
    )
}

proptest! {
    #[test]
    fn frames_come_back_as_they_were_sent(
        frames in proptest::collection::vec(any_frame(), 0..5),
        piece in 1_usize..5000,
    ) {
        prop_assert_eq!(decoded(&encoded(&frames), piece), Ok(frames));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), piece in 1_usize..99) {
        let _ = decoded(&bytes, piece);
    }

    #[test]
    fn no_damage_to_a_frame_makes_the_decoder_panic(frame in any_frame(), at in any::<usize>(), value in any::<u8>()) {
        let mut bytes = encoded(&[frame]);
        let at = at % bytes.len();
        bytes[at] = value;
        let _ = decoded(&bytes, 700);
    }
}
