//! Files as they are described, and files that are not.

use super::frame::crc32c;
use super::*;

/// The golden bytes of the broker's own test: a header, three records, the end in order.
fn golden() -> Vec<u8> {
    [
        MAGIC.as_slice(),
        &[0, 0, 0, 19, 0x3e, 0x04, 0x86, 0x4a, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 8, 2, 3, 0xac, 2, 1, b'1', 0, 0],
        &[0, 0, 0, 35, 0xaf, 0x1a, 0x94, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 1, 3, 1, 13, 0],
        &[2, 1, 9, 1, 1, 2, 0xf1, 0xf0, 0xcf, 0x83, 0x0b, 7],
        &[2, 1, 3, 1, 0, 8],
        &[6, 1, 0],
    ]
    .concat()
}

/// Where the second frame begins.
const SECOND: usize = 8 + 16 + 11;

/// A frame with these records.
fn framed(first: u64, records: &[u8]) -> Vec<u8> {
    let content = [first.to_be_bytes().as_slice(), records].concat();
    let length = u32::try_from(content.len()).unwrap();
    [length.to_be_bytes().as_slice(), &crc32c(&content).to_be_bytes(), &content].concat()
}

/// What is read of a folder with these files.
fn read(files: &[(&str, &[u8])]) -> Result<Vec<Recording>, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    recordings(&[folder.path().to_owned()])
}

fn of(bytes: &[u8]) -> Result<Recording, ReadError> {
    read(&[("node-2-1.trace", bytes)]).map(|mut found| found.remove(0))
}

#[test]
fn a_file_is_read_as_it_is_described() {
    let read = of(&golden()).unwrap();

    assert_eq!((read.header.node.0, read.header.started_ms, read.is_closed), (2, 300, true));
    let found: Vec<_> = read.records.iter().map(|record| (record.number, record.kind)).collect();
    assert_eq!(found, [(0, kind::ACT), (1, kind::STEP), (2, kind::STEP), (3, kind::CLOSED)]);
}

#[test]
fn a_run_that_was_cut_off_is_known_to_be() {
    let whole = golden();
    for end in SECOND..whole.len() {
        let read = of(&whole[..end]).unwrap();
        assert!(read.records.is_empty() && !read.is_closed, "cut at {end}");
        assert_eq!(read.torn_bytes, u64::try_from(end - SECOND).unwrap());
    }
    // The power went before the kernel had written it.
    let zeros = [&whole[..SECOND], &[0; 40]].concat();
    assert!(!of(&zeros).unwrap().is_closed);
}

#[test]
fn a_file_that_was_cut_before_its_header_says_nothing() {
    for end in 0..SECOND {
        let error = of(&golden()[..end]).unwrap_err();
        assert!(matches!(error, ReadError::Nothing { .. }), "{end}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_a_frame_is_found_or_makes_it_look_cut_off() {
    let whole = golden();
    for at in 8..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        match of(&flipped) {
            Err(ReadError::Damaged { .. } | ReadError::Nothing { .. }) => {}
            Ok(read) => assert!(!read.is_closed && read.torn_bytes > 0, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

/// Three frames of a record each, in the last file of a run, and where they begin.
fn three() -> ([usize; 3], Vec<u8>) {
    let mut bytes = golden()[..SECOND].to_vec();
    let mut starts = [0; 3];
    for (number, start) in (0..).zip(&mut starts) {
        *start = bytes.len();
        bytes.extend_from_slice(&framed(number, &[5, 1, 1, 7]));
    }
    (starts, bytes)
}

#[test]
fn a_changed_length_with_more_behind_it_is_damage_and_not_a_kill() {
    let (starts, whole) = three();
    // The header's, too, without which nobody would know whose file it is.
    for at in [8, starts[0], starts[1]] {
        let mut changed = whole.clone();
        changed[at + 2] ^= 0x10;
        let said = of(&changed).unwrap_err().to_string();
        assert!(said.contains(&format!("a frame of another length than its own at byte {at}")), "{said}");
    }
    let mut changed = whole;
    changed[starts[2] + 2] ^= 0x10;
    let read = of(&changed).unwrap();
    assert_eq!((read.records.len(), read.torn_bytes), (2, 20), "nothing tells it from one that was cut off");
}

#[test]
fn no_frame_is_longer_than_what_may_wait_to_be_written() {
    let mut long = golden();
    long[SECOND + 1..SECOND + 4].copy_from_slice(&[0xff; 3]);
    assert!(of(&long).is_ok(), "one byte less than 16 MiB");
    long[SECOND..SECOND + 4].copy_from_slice(&[1, 0, 4, 1]);
    let said = of(&long).unwrap_err().to_string();
    assert!(said.contains("a frame of an impossible length at byte 35"), "{said}");
}

#[test]
fn looking_for_what_lies_behind_ends_on_any_bytes() {
    // Each byte is the beginning of something that may be a frame.
    let crafted = [&golden()[..SECOND], &[1, 0, 0, 0], &[0; 1 << 16]].concat();
    assert!(of(&crafted).is_ok());
    let crafted = [&golden()[..SECOND], &[1, 0, 0, 0], &[0, 0, 0, 9, 0].repeat(1 << 14)].concat();
    drop(of(&crafted));
}

#[test]
fn numbers_of_records_ascend_and_a_file_has_one_header() {
    let with = |frames: &[Vec<u8>]| [&golden()[..SECOND], &frames.concat()].concat();
    let record = [5, 1, 1, 7];
    for again in [[framed(3, &record), framed(3, &record)], [framed(3, &record), framed(1, &record)]] {
        let said = of(&with(&again)).unwrap_err().to_string();
        assert!(said.contains("records whose numbers have been before at byte 55"), "{said}");
    }
    let said = of(&with(&[framed(u64::MAX, &record)])).unwrap_err().to_string();
    assert!(said.contains("more records than there are numbers"), "{said}");
    let header = [0, 1, 8, 3, 3, 0xac, 2, 1, b'1', 0, 0];
    let said = of(&with(&[framed(0, &header)])).unwrap_err().to_string();
    assert!(said.contains("a second header at byte 35"), "{said}");
    let longer = [MAGIC.as_slice(), &framed(0, &[&[0, 1, 9], &header[3..], &[0]].concat())].concat();
    let said = of(&longer).unwrap_err().to_string();
    assert!(said.contains("a malformed header"), "{said}");
}

#[test]
fn files_whose_records_overlap_are_damage() {
    let header = |file: u8| framed(0, &[0, 1, 8, 2, 3, 0xac, 2, 1, b'1', 0, file]);
    let file =
        |number: u8, first: u64| [MAGIC.as_slice(), &header(number), &framed(first, &[5, 1, 1, 7])].concat();
    let said = read(&[("a.trace", &file(0, 4)), ("b.trace", &file(1, 4))]).unwrap_err().to_string();

    assert!(said.contains("it begins with records of numbers that the file before it has"), "{said}");
}

#[test]
fn nothing_follows_the_body_of_a_record() {
    use highwater_model::trace::Gap;
    let body = |bytes: &[u8]| Record { number: 0, kind: kind::GAP, body: bytes.to_vec() };

    assert_eq!(decode(&body(&[1])), Ok(Gap { records: 1 }));
    assert_eq!(decode::<Gap>(&body(&[1, 1])), Err("1 bytes behind its body".to_owned()));
}

#[test]
fn a_damaged_frame_says_where_and_what_to_do() {
    let mut changed = golden();
    *changed.last_mut().unwrap() ^= 1;
    let said = of(&changed).unwrap_err().to_string();
    assert!(said.contains("is damaged: a frame with another checksum than its own at byte 35"), "{said}");
    assert!(said.contains("copy it anew, or leave it out"), "{said}");

    let mut huge = golden();
    huge[SECOND] = 0xff;
    let said = of(&huge).unwrap_err().to_string();
    assert!(said.contains("a frame of an impossible length at byte 35"), "{said}");

    let lying = [&golden()[..SECOND], &framed(0, &[3, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1])].concat();
    let said = of(&lying).unwrap_err().to_string();
    assert!(said.contains("a malformed record at byte 35"), "{said}");
}

#[test]
fn what_was_cut_before_a_later_file_is_damage() {
    let header = |file: u8| framed(0, &[0, 1, 8, 2, 3, 0xac, 2, 1, b'1', 0, file]);
    let first = [MAGIC.as_slice(), &header(0), &framed(0, &[6, 1, 0])].concat();
    let second = [MAGIC.as_slice(), &header(1), &framed(1, &[6, 1, 0])].concat();
    let both = |first: &[u8]| read(&[("node-2-0.trace", first), ("node-2-1.trace", &second)]);

    assert_eq!(both(&first).unwrap().first().unwrap().records.len(), 2);
    let said = both(&first[..first.len() - 1]).unwrap_err().to_string();
    assert!(said.contains("it ends within a frame, though there is a later file of its run"), "{said}");
}

#[test]
fn a_record_of_another_version_is_for_another_build() {
    let newer = [&golden()[..SECOND], &framed(0, &[3, 2, 1, 7])].concat();

    let said = of(&newer).unwrap_err().to_string();
    assert!(said.contains("kind 3 and version 2 at byte 35, but this build knows version 1"), "{said}");
    assert!(said.contains("use the `verify` of the build that recorded it"), "{said}");
}

#[test]
fn files_that_are_no_part_of_it_are_named() {
    let said = of(b"once upon a time").unwrap_err().to_string();
    assert!(said.contains("is no recording: it does not begin as one; leave it out"), "{said}");

    let anonymous = [MAGIC.as_slice(), &framed(0, &[6, 1, 0])].concat();
    let said = of(&anonymous).unwrap_err().to_string();
    assert!(said.contains("does not say whose recording it is"), "{said}");

    let said = read(&[]).unwrap_err().to_string();
    assert!(said.contains("there is no recording in") && said.contains("trace.dir"), "{said}");

    let nowhere = recordings(&[PathBuf::from("/nowhere/at/all")]).unwrap_err().to_string();
    assert!(nowhere.starts_with("/nowhere/at/all: ") && nowhere.contains("trace.dir"), "{nowhere}");
}

#[test]
fn a_recording_that_is_given_twice_is_judged_neither_way() {
    let said = read(&[("a.trace", &golden()), ("b.trace", &golden())]).unwrap_err().to_string();

    assert!(
        said.contains("are the same file 0 of the same run of node 2; give each recording once"),
        "{said}"
    );
}

#[test]
fn a_file_under_another_brokers_name_is_not_taken() {
    let said = read(&[("node-1-0000.trace", &golden())]).unwrap_err().to_string();

    assert!(said.contains("is named as node 1's, but node 2 recorded it: files were mixed up"), "{said}");
}

#[test]
fn the_checksum_is_castagnoli() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
