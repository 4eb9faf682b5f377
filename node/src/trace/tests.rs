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
        &[0, 0, 0, 19, 0xf5, 0x52, 0xfd, 0xef, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 8, 2, 3, 0xac, 2, 1, b'1', 0, 0],
        // An act, a step that was taken, and one that was refused.
        &[0, 0, 0, 35, 0xef, 0x69, 0x02, 0x79, 0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 0, 3, 1, 13, 0],
        &[2, 0, 9, 1, 1, 2, 0xf1, 0xf0, 0xcf, 0x83, 0x0b, 7],
        &[2, 0, 3, 1, 0, 8],
        // The end, in order.
        &[6, 0, 0],
    ];
    assert_eq!(recorder.take(), golden.concat());
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
    assert_eq!(second.get(51..54), Some([kind::GAP, 0, 1].as_slice()), "{second:?}");
}

#[tokio::test]
async fn nothing_is_recorded_by_default() {
    let core = Recorder::default().core();

    assert!(!core.is_on() && !core.is_stale());
    assert_eq!(core.noted(&1_u8), None);
}
