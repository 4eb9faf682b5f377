//! The batch codec against bytes laid out by hand, altered bytes, and any bytes at all.

use bytes::Bytes;
use highwater_model::id::{ProducerEpoch, ProducerId, Sequence};
use proptest::prelude::*;

use super::*;

/// Two records at offset 42 of leader epoch 5, from producer 4000 in epoch 7 with sequences from 11 on. Laid out by
/// hand after Kafka's documentation, its checksum computed bit by bit; the same computation gives the checksum of a
/// batch that a Kafka broker wrote.
const GOLDEN: [u8; 88] = [
    0, 0, 0, 0, 0, 0, 0, 42, // base offset
    0, 0, 0, 76, // length of what follows
    0, 0, 0, 5, // partition leader epoch
    2, // magic
    0x28, 0xb6, 0x1c, 0xef, // checksum
    0, 0, // attributes
    0, 0, 0, 1, // last offset delta
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, // base timestamp 1,700,000,000,000
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, // max timestamp
    0, 0, 0, 0, 0, 0, 0x0f, 0xa0, // producer id
    0, 7, // producer epoch
    0, 0, 0, 11, // base sequence
    0, 0, 0, 2,    // records
    0x26, // record of 19 bytes
    0, 0, 0, // attributes, timestamp delta, offset delta
    2, b'k', 10, b'h', b'e', b'l', b'l', b'o', // key and value
    4, 2, b'h', 2, b'1', 2, b'h', 1,    // two headers of one key, the second without a value
    0x0c, // record of 6 bytes
    0, 5, 2, // attributes, timestamp delta -3, offset delta 1
    1, 1, 0, // no key, no value, no headers
];

const GOLDEN_HEADERS: [(&[u8], Option<&[u8]>); 2] = [(b"h", Some(b"1")), (b"h", None)];
const TIME_MS: i64 = 1_700_000_000_000;
const CLIENT: Limits = Limits { size_bytes_max: 1 << 20, source: Source::Client };
const LOG: Limits = Limits { size_bytes_max: 1 << 20, source: Source::Log };

fn producer() -> BatchProducer {
    BatchProducer { id: ProducerId(4000), epoch: ProducerEpoch(7), base_sequence: Some(Sequence(11)) }
}

fn golden() -> Batch {
    Batch::split_first(&mut Bytes::from_static(&GOLDEN)).unwrap()
}

fn built() -> BatchBuilder {
    let mut builder = BatchBuilder::new().producer(producer());
    let first =
        NewRecord { timestamp_ms: TIME_MS, key: Some(b"k"), value: Some(b"hello"), headers: &GOLDEN_HEADERS };
    builder.push(&first).unwrap();
    builder.push(&NewRecord { timestamp_ms: TIME_MS - 3, ..NewRecord::default() }).unwrap();
    builder
}

/// The golden bytes with some replaced, and a checksum that fits.
fn altered(at: usize, with: &[u8]) -> Result<Batch, BatchError> {
    let mut bytes = GOLDEN.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    let crc = crc32c(&[&bytes[21..]]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    Batch::split_first(&mut Bytes::from(bytes))
}

#[test]
fn the_golden_bytes_are_read() {
    let batch = golden();

    let header = batch.header();
    assert_eq!(
        (header.base_offset, header.last_offset(), header.end_offset()),
        (Offset(42), Offset(43), Offset(44))
    );
    assert_eq!((header.leader_epoch, header.size_bytes(), header.records_count), (Some(5), 88, 2));
    assert_eq!((header.producer, header.last_sequence()), (Some(producer()), Some(Sequence(12))));
    assert_eq!((header.base_timestamp_ms, header.max_timestamp_ms), (TIME_MS, TIME_MS));
    batch.validate(&CLIENT).unwrap();
    let static_header = |value| RecordHeader { key: Bytes::from_static(b"h"), value };
    let first = Record {
        offset: Offset(42),
        timestamp_ms: TIME_MS,
        key: Some(Bytes::from_static(b"k")),
        value: Some(Bytes::from_static(b"hello")),
        headers: vec![static_header(Some(Bytes::from_static(b"1"))), static_header(None)],
    };
    let second =
        Record { offset: Offset(43), timestamp_ms: TIME_MS - 3, key: None, value: None, headers: vec![] };
    let records: Result<Vec<_>, _> = batch.records().unwrap().collect();
    assert_eq!(records.unwrap(), [first, second]);
}

#[test]
fn the_golden_bytes_are_built() {
    assert_eq!(built().build_at(Offset(42), Some(5)).unwrap(), GOLDEN.as_slice());
    assert_eq!(BatchBuilder::new().build(), Err(BuildError::Empty));
}

#[test]
fn stamping_changes_offset_and_epoch_and_keeps_the_checksum() {
    let stamped = golden().stamped(Offset(1000), 9, None);

    stamped.check_crc().unwrap();
    assert_eq!((stamped.header().base_offset, stamped.header().leader_epoch), (Offset(1000), Some(9)));
    let mut expected = GOLDEN.to_vec();
    expected[..8].copy_from_slice(&1000_u64.to_be_bytes());
    expected[12..16].copy_from_slice(&9_u32.to_be_bytes());
    assert_eq!(stamped.to_bytes(), expected);
    let mut in_place = GOLDEN.to_vec();
    assert_eq!(stamp_in_place(&mut in_place, Offset(1000), 9, None).as_ref(), Ok(stamped.header()));
    assert_eq!(in_place, expected);
}

#[test]
fn an_append_time_is_the_time_of_every_record() {
    let stamped = golden().stamped(Offset(42), 5, Some(77));

    stamped.validate(&LOG).unwrap();
    assert_eq!(stamped.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!((stamped.header().base_timestamp_ms, stamped.header().max_timestamp_ms), (TIME_MS, 77));
    assert!(stamped.records().unwrap().all(|record| record.unwrap().timestamp_ms == 77));
}

#[test]
fn a_run_of_batches_is_taken_apart() {
    let run = Bytes::from([GOLDEN, GOLDEN].concat());

    assert_eq!(split(run.clone()).unwrap(), [golden(), golden()]);
    assert_eq!(split(run.slice(..100)), Err(BatchError::Truncated { needs: 61, has: 12 }));
    assert_eq!(split(run.slice(..150)), Err(BatchError::Truncated { needs: 88, has: 62 }));
    assert_eq!(split(Bytes::new()), Ok(Vec::new()));
}

#[test]
fn headers_with_impossible_numbers_are_refused() {
    let error = |at, with: &[u8]| altered(at, with).unwrap_err();

    assert_eq!(error(16, &[1]), BatchError::Magic { found: 1 });
    assert_eq!(
        error(0, &[0xff]),
        BatchError::OutOfRange { field: "base offset", value: -0x00ff_ffff_ffff_ffd6 }
    );
    assert_eq!(error(8, &[0, 0, 0, 48]), BatchError::OutOfRange { field: "batch length", value: 48 });
    assert_eq!(error(8, &[0xff; 4]), BatchError::OutOfRange { field: "batch length", value: -1 });
    assert_eq!(error(8, &[0x7f, 0xff, 0xff, 0xff]), BatchError::Truncated { needs: 0x8000_000b, has: 88 });
    assert_eq!(error(23, &[0xff; 4]), BatchError::OutOfRange { field: "last offset delta", value: -1 });
    assert_eq!(error(57, &[0xff; 4]), BatchError::OutOfRange { field: "records count", value: -1 });
    assert_eq!(error(57, &[0, 0, 0, 3]), BatchError::Count { counted: 3, offsets: 1 });
    assert_eq!(
        error(43, &[0xff]),
        BatchError::OutOfRange { field: "producer id", value: -0x00ff_ffff_ffff_f060 }
    );
    assert_eq!(error(51, &[0xff; 2]), BatchError::OutOfRange { field: "producer epoch", value: -1 });
    let last = [&[0x7f][..], &[0xff; 7]].concat();
    assert!(matches!(error(0, &last), BatchError::OutOfRange { field: "last offset", .. }));
    assert_eq!(altered(12, &[0xff; 4]).unwrap().header().leader_epoch, None);
}

#[test]
fn bodies_that_do_not_fit_their_header_are_refused() {
    let error = |at, with: &[u8], limits| altered(at, with).unwrap().validate(&limits).unwrap_err();

    assert_eq!(error(22, &[5], LOG), BatchError::Codec { number: 5 });
    assert_eq!(error(57, &[0, 0, 0, 1], CLIENT), BatchError::Count { counted: 1, offsets: 1 });
    assert_eq!(error(57, &[0, 0, 0, 1], LOG), BatchError::Trailing { count: 7 });
    assert_eq!(error(64, &[2], LOG), BatchError::RecordOffset { index: 1, delta: 1 });
    assert_eq!(error(64, &[1], LOG), BatchError::RecordOffset { index: 0, delta: -1 });
    assert_eq!(error(64, &[8], LOG), BatchError::RecordOffset { index: 0, delta: 4 });
    assert_eq!(error(61, &[0x70], LOG), BatchError::Truncated { needs: 56, has: 26 });
    assert_eq!(error(73, &[0x40], LOG), BatchError::Truncated { needs: 64, has: 7 });
    assert_eq!(
        error(53, &[0xff; 4], CLIENT),
        BatchError::NotForClients { what: "a producer id without a sequence" }
    );
    assert_eq!(error(22, &[0x20], CLIENT), BatchError::NotForClients { what: "a control batch" });
    assert_eq!(error(22, &[0x20], LOG), BatchError::Control);
    let small = Limits { size_bytes_max: 87, ..CLIENT };
    assert_eq!(golden().validate(&small), Err(BatchError::TooLarge { size: 88, size_max: 87 }));
    assert_eq!(altered(22, &[2]).unwrap().records().err(), Some(BatchError::Compressed(Compression::Snappy)));
    assert_eq!(error(22, &[2], CLIENT), BatchError::Compressed(Compression::Snappy));
    altered(22, &[2]).unwrap().validate(&LOG).unwrap();
}

#[test]
fn every_flipped_bit_past_the_epoch_is_found() {
    for bit in 16 * 8..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let batch = Batch::split_first(&mut Bytes::from(bytes));

        assert!(batch.and_then(|batch| batch.validate(&LOG)).is_err(), "bit {bit}");
    }
}

#[test]
fn a_control_batch_says_its_kind() {
    for kind in (0..9).map(ControlKind::of) {
        let mut bytes = BatchBuilder::control(kind, 5, b"v").unwrap().build().unwrap();
        let batch = Batch::split_first(&mut bytes).unwrap();

        assert_eq!(batch.control_kind(), Ok(Some(kind)));
        batch.validate(&LOG).unwrap();
    }
    assert_eq!(golden().control_kind(), Ok(None));
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::of(prop::collection::vec(any::<u8>(), 0..300))
}

type Plain = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

fn record() -> impl Strategy<Value = Plain> {
    let header = (prop::collection::vec(any::<u8>(), 0..5), bytes());
    (any::<i64>(), bytes(), bytes(), prop::collection::vec(header, 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_read_back(records in prop::collection::vec(record(), 1..20), base in 0_u64..1 << 62) {
        let mut builder = BatchBuilder::new().producer(producer());
        for (timestamp_ms, key, value, headers) in &records {
            let headers: Vec<(&[u8], Option<&[u8]>)> =
                headers.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
            let (key, value) = (key.as_deref(), value.as_deref());
            builder.push(&NewRecord { timestamp_ms: *timestamp_ms, key, value, headers: &headers }).unwrap();
        }
        let mut bytes = builder.build_at(Offset(base), Some(3)).unwrap();
        let batch = Batch::split_first(&mut bytes).unwrap();
        batch.validate(&CLIENT).unwrap();
        prop_assert_eq!(batch.len_bytes(), builder.len_bytes());
        let read: Vec<Plain> = batch
            .records()
            .unwrap()
            .map(|record| {
                let record = record.unwrap();
                let headers = record.headers.into_iter();
                let headers = headers.map(|header| (header.key.to_vec(), header.value.map(|value| value.to_vec())));
                let (key, value) = (record.key.map(|key| key.to_vec()), record.value.map(|value| value.to_vec()));
                (record.timestamp_ms, key, value, headers.collect())
            })
            .collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn no_bytes_make_it_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(split(Bytes::from(noise)));
    }

    #[test]
    fn no_altered_batch_makes_it_panic(
        changes in prop::collection::vec((12_usize..88, any::<u8>()), 1..6),
        length in 0_usize..89,
    ) {
        let mut bytes = GOLDEN.to_vec();
        for (at, with) in changes {
            bytes[at] = with;
        }
        bytes[16] = 2;
        let crc = crc32c(&[&bytes[21..]]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        bytes.truncate(length);
        if let Ok(batch) = Batch::split_first(&mut Bytes::from(bytes)) {
            batch.validate(&LOG).ok();
            batch.records().map(Iterator::count).ok();
            batch.control_kind().ok();
        }
    }
}
