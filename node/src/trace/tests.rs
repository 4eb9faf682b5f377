//! Records as they lie in files, and what becomes of those that find no room.

use highwater_model::id::{IncarnationId, NodeId};
use highwater_model::replication::Timer;

use super::*;

fn header() -> Header {
    Header {
        node: NodeId(2),
        incarnation: IncarnationId(3),
        started_ms: 300,
        build: "1".to_owned(),
        planted: None,
        file: 0,
    }
}

fn begun(bytes_max: usize) -> Recorder {
    let recorder = Recorder::memory(bytes_max);
    recorder.begin(&Env::real(), header());
    recorder
}

#[tokio::test]
async fn a_recording_keeps_its_bytes() {
    let recorder = begun(1 << 10);
    let core = recorder.core();
    core.act(|| Act::Armed(Timer::FetchRetry));
    core.stepped(core.noted(&7_u8), Some(&[1_u8, 2]));
    core.stepped::<u8>(core.noted(&8_u8), None);

    let golden = [
        b"HWTRACE\0".as_slice(),
        // The header, in a frame of its own.
        &[0, 0, 0, 19, 0x3e, 0x04, 0x86, 0x4a, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 8, 2, 3, 0xac, 2, 1, b'1', 0, 0],
        // An act, a step that was taken, and one that was refused.
        &[0, 0, 0, 35, 0xaf, 0x1a, 0x94, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 1, 3, 1, 13, 0],
        &[2, 1, 9, 1, 1, 2, 0xf1, 0xf0, 0xcf, 0x83, 0x0b, 7],
        &[2, 1, 3, 1, 0, 8],
        // The end, in order.
        &[6, 1, 0],
    ];
    assert_eq!(recorder.take(), golden.concat());
}

#[tokio::test]
async fn a_large_recording_has_many_frames_and_all_its_records() {
    let recorder = begun(16 << 20);
    let core = recorder.core();
    let input = vec![7_u8; 300];
    for _ in 0..10_000 {
        core.stepped(core.noted(&input), Some(&[1_u8]));
    }

    let taken = recorder.take();
    let (mut rest, mut frames, mut first) = (&taken[8..], 0, 0);
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        assert!(length < (1 << 20) + 16);
        let number = u64::from_be_bytes(behind[4..12].try_into().unwrap());
        assert!(number == 0 || number > first, "{number} after {first}");
        (rest, frames, first) = (&behind[4 + length..], frames + 1, number);
    }
    assert_eq!(frames, 4, "a header, and three MB");
    assert_eq!(taken[taken.len() - 3..], [kind::CLOSED, 1, 0]);
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_every_core_shown_anew() {
    let recorder = begun(256);
    let mut core = recorder.core();
    let life = || Life::Quorum {
        tenure: highwater_model::quorum::Tenure {
            key: highwater_model::quorum::VoterKey {
                id: NodeId(1),
                directory: highwater_model::id::DirectoryId(1),
            },
            incarnation: IncarnationId(1),
        },
        from: highwater_model::trace::Beginning::Shown(highwater_model::trace::Shown {
            state: Vec::new(),
            under_way: highwater_model::trace::UnderWay::default(),
        }),
    };
    core.began(life);
    assert!(!core.is_stale());
    for _ in 0..100 {
        core.did(|| Act::Woke);
    }
    let taken = || recorder.shared.as_ref().unwrap().locked().take();
    let first = taken();
    assert!(first.len() < 400, "{} bytes", first.len());
    core.did(|| Act::Woke);

    assert!(core.is_stale(), "what was dropped may have been anything");
    let second = taken();
    assert_eq!(second.get(51..54), Some([kind::GAP, 1, 1].as_slice()), "{second:?}");
}

/// The names of the files that are there, in order.
fn names(dir: &std::path::Path) -> Vec<String> {
    let disk = crate::disk::RealDisk::open(dir).unwrap();
    let listed = crate::disk::Disk::list(&disk, "").unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

/// Records a run that starts at this time by its clock.
async fn recorded(dir: &std::path::Path, (started_ms, incarnation): (u64, u128), bytes_max: u64) {
    let recorder = Recorder::files(dir.to_owned(), bytes_max);
    let header = Header { started_ms, incarnation: IncarnationId(incarnation), ..header() };
    recorder.begin(&Env::real(), header);
    recorder.core().did(|| Act::Woke);
    recorder.close().await;
}

#[tokio::test]
async fn a_run_comes_after_those_before_it_though_the_clock_was_set_back() {
    let dir = tempfile::tempdir().unwrap();
    for run in [(300, 0xb), (200, 0xa), (100, 0xc), (302, 0x1)] {
        recorded(dir.path(), run, 1 << 20).await;
    }
    // Another node's runs are no concern of this one.
    let other = Header { node: NodeId(1), ..header() };
    assert_eq!(file::after_all(dir.path(), &other), 300);

    let order: Vec<String> = names(dir.path()).iter().map(|name| name[7..56].to_owned()).collect();
    let expected = [(300, 0xb), (301, 0xa), (302, 0xc), (303, 0x1)];
    assert_eq!(order, expected.map(|(at, incarnation): (u64, u128)| format!("{at:016}-{incarnation:032x}")));
}

#[tokio::test]
async fn the_newest_run_is_kept_though_the_clock_was_set_back() {
    let dir = tempfile::tempdir().unwrap();
    // Room for two or three files of one run each.
    for run in [(900, 1), (500, 2), (400, 3), (300, 4), (200, 5)] {
        recorded(dir.path(), run, 200).await;
    }

    let left = names(dir.path());
    assert!((1..5).contains(&left.len()) && left.last().unwrap().contains("00000005-"), "{left:?}");
    assert!(!left.iter().any(|name| name.contains("00000001-")), "{left:?}");
}

#[tokio::test]
async fn nothing_is_recorded_by_default() {
    let core = Recorder::default().core();

    assert!(!core.is_on() && !core.is_stale());
    assert_eq!(core.noted(&1_u8), None);
}
