//! Runs that are put together here, record by record.

use highwater_model::metadata::{LifecycleInput, LifecycleTenure};
use highwater_model::trace::{Beginning, Effects, Gap, Header, Life, Outcome, kind};

use super::*;
use crate::trace::encoded;
use crate::trace::read::Record;

const CORE: CoreNumber = CoreNumber(1);

/// A run with these records.
fn run(records: impl IntoIterator<Item = (u64, u8, Vec<u8>)>) -> Recording {
    let header = Header {
        node: NodeId(1),
        incarnation: IncarnationId(2),
        started_ms: 3,
        build: String::new(),
        planted: None,
        file: 0,
    };
    let record = |(number, kind, body)| Record { number, kind, body };
    let records = records.into_iter().map(record).collect();
    Recording { header, records, is_closed: true, torn_bytes: 0 }
}

/// A lifecycle begins its life.
fn began() -> Vec<u8> {
    let tenure = LifecycleTenure {
        node: NodeId(1),
        incarnation: IncarnationId(2),
        address: String::new(),
        directories: Vec::new(),
    };
    let from = Beginning::Recovered((), Effects::default());
    encoded(&Began { core: CORE, life: Life::Lifecycle { tenure, from } })
}

#[test]
fn numbers_that_nobody_would_write_do_no_harm() {
    let gap = |number: u64| (number, kind::GAP, encoded(&Gap { records: u64::MAX }));
    let (findings, tally) = replay(run([gap(5), gap(6), gap(6), gap(2), gap(u64::MAX), gap(u64::MAX)]));

    assert_eq!((findings, tally.missing), (Vec::new(), u64::MAX));
}

#[test]
fn a_core_whose_life_has_ended_takes_no_step() {
    let ended = || encoded(&Ended { core: CORE });
    let step = Step { core: CORE, outcome: Outcome::Refused, input: LifecycleInput::StopAsked };
    for (kind, late) in [(kind::STEP, encoded(&step)), (kind::ENDED, ended()), (kind::BEGAN, began())] {
        let (findings, tally) =
            replay(run([(0, kind::BEGAN, began()), (1, kind::ENDED, ended()), (2, kind, late)]));

        let found: Vec<_> = findings.iter().map(|found| (found.record, found.rule)).collect();
        assert_eq!(found, [(2, "nothing is done for a core whose life has ended")]);
        assert!(!tally.has_gaps(), "nothing is missing: {tally:?}");
    }
}

#[test]
fn more_than_a_frame_at_the_end_that_cannot_be_read_is_missing() {
    let cut = |torn_bytes| Recording { is_closed: false, torn_bytes, ..run([]) };

    assert!(!replay(cut(1 << 24)).1.has_gaps());
    assert!(replay(cut(1 << 25)).1.has_gaps());
}
