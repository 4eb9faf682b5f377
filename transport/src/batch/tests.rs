use super::*;

#[test]
fn a_built_batch_parses_and_validates() {
    let mut builder = BatchBuilder::new();
    builder.push(&NewRecord { timestamp_ms: 5, value: Some(b"v"), ..NewRecord::default() }).unwrap();
    let mut bytes = builder.build().unwrap();
    let batch = Batch::split_first(&mut bytes).unwrap();

    batch.validate(&Limits { size_bytes_max: 1000, source: Source::Client }).unwrap();
    assert!(bytes.is_empty());
}
