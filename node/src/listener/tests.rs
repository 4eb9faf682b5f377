//! What becomes of answers.

use super::*;

#[test]
fn an_answer_that_is_too_large_is_refused_and_not_dropped() {
    let limits = FrameLimits { body_bytes_max: 200, payload_bytes_max: 10 };
    let refusal = |answer: &api::Answer, payload: &'static [u8]| {
        let frame = framed(answer, vec![Bytes::from_static(payload)], limits).unwrap();
        assert_eq!(limits.check_frame(&frame), Ok(()));
        let api::Answer::Refused(error) = frame.decoded().unwrap() else { return None };
        Some((error.code, error.message))
    };
    let long = api::Answer::Refused(api::ApiError::new(ErrorCode::InvalidConfig, "x".repeat(300)));

    assert_eq!(refusal(&api::Answer::Done, b"ten bytes!"), None);
    let (code, message) = refusal(&long, b"").unwrap();
    assert_eq!(code, ErrorCode::InvalidRequest);
    assert!(message.contains("at most 200 are allowed"), "{message}");
    let (_, message) = refusal(&api::Answer::Done, b"eleven byte").unwrap();
    assert!(message.contains("payload of 11 bytes"), "{message}");
}
