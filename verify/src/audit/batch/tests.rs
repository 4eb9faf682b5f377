//! The reader against the golden bytes of docs/FORMAT.md, and against bytes that are anything.

use proptest::prelude::{any, proptest};

use super::*;

/// The example of docs/FORMAT.md.
const GOLDEN: &str = "000000000000002a0000004c000000050228b61cef0000000000010000018bcfe568000000018bcfe56800\
    0000000000000fa000070000000b000000022600000002\
    6b0a68656c6c6f0402680231026801\
    0c000502010100";

fn golden() -> Vec<u8> {
    let digits: Vec<u8> = GOLDEN.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Whether a whole batch is what was written, as far as anyone can tell.
fn is_sound(bytes: &[u8]) -> bool {
    let header = Header::parse(bytes);
    header.is_ok_and(|header| {
        header.size_bytes == bytes.len()
            && header.check_sum(bytes).is_ok()
            && header.check_records(bytes).is_ok()
    })
}

#[test]
fn the_golden_bytes_are_what_the_format_says() {
    let bytes = golden();
    let header = Header::parse(&bytes).unwrap();
    let records: Vec<Record<'_>> = header.records(&bytes).unwrap().map(Result::unwrap).collect();

    assert_eq!((bytes.len(), header.size_bytes), (88, 88));
    assert_eq!((header.base_offset, header.end_offset(), header.epoch, header.count), (42, 44, Some(5), 2));
    assert_eq!(header.producer, Some(Producer { id: 4000, epoch: 7, sequence: Some(11) }));
    assert!(is_sound(&bytes) && !header.is_control());
    assert_eq!(records[0], Record { offset: 42, key: Some(b"k"), value: Some(b"hello") });
    assert_eq!(records[1], Record { offset: 43, key: None, value: None });
}

#[test]
fn every_bit_counts_but_those_that_a_leader_writes() {
    let bytes = golden();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let is_ours = bit / 8 < 8 || (12..16).contains(&(bit / 8));
        // The base offset's sign, and one that has no end behind it, are wrong in any case.
        assert!(is_ours || !is_sound(&changed), "bit {bit}");
    }
}

#[test]
fn what_is_cut_off_is_torn_and_zeros_are_not() {
    let bytes = golden();
    for length in 0..HEADER_BYTES {
        assert!(matches!(Header::parse(&bytes[..length]), Err(BatchFault::Torn { .. })), "{length} bytes");
    }
    assert!(matches!(Header::parse(&[0; 40]), Err(BatchFault::Length(0))));
}

#[test]
fn counts_that_disagree_are_found() {
    let mut bytes = golden();
    bytes[60] = 1;
    let header = Header::parse(&bytes).unwrap();
    assert_eq!(header.check_records(&bytes), Err(BatchFault::Count { said: 1, held: 2 }));

    bytes[60] = 3;
    assert_eq!(Header::parse(&bytes), Err(BatchFault::Count { said: 3, held: 2 }));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, length in 49_u8..=200) {
        let mut bytes = bytes;
        // Half way to a header, or nothing would come further than its magic.
        if bytes.len() > 16 {
            bytes[8..12].copy_from_slice(&u32::from(length).to_be_bytes());
            bytes[16] = 2;
        }
        if let Ok(header) = Header::parse(&bytes) {
            let _ = header.check_sum(&bytes);
            let _ = header.check_records(&bytes);
        }
    }

    #[test]
    fn a_changed_batch_is_read_or_refused(at in 0_usize..88, with: [u8; 4], cut in any::<proptest::sample::Index>()) {
        let mut bytes = golden();
        for (byte, with) in bytes.iter_mut().skip(at).zip(with) {
            *byte = with;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        if let Ok(header) = Header::parse(&bytes) {
            let _ = header.check_sum(&bytes);
            let _ = header.check_records(&bytes);
        }
    }
}
