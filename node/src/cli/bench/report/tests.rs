//! Repetitions put together, compared, and held against limits.

use super::*;
use crate::cli::bench::limits::Limit;

fn run(mb_per_s: f64, cpu_s_per_gb: f64) -> Run {
    Run {
        repetition: 0,
        load_average: None,
        ready_ms: 1.0,
        seconds: 1.0,
        records: 1,
        failed: 0,
        last_error: None,
        mb_per_s,
        records_per_s: mb_per_s * 1000.0,
        latency: None,
        cpu_s_per_gb: Some(cpu_s_per_gb),
        client_cpu_s_per_gb: None,
        brokers: Vec::new(),
        failover: None,
    }
}

fn repeated(repetition: u32, run: Run) -> Run {
    Run { repetition, ..run }
}

fn case(changed: Option<&str>, runs: Vec<Run>, limits: Option<&Limits>) -> Case {
    Case::of((Phase::Produce, 12, FlushPolicy::Os), changed.map(str::to_owned), runs, limits, 3)
}

fn limit(mb_per_s: f64, cpu_s_per_gb: f64) -> Limit {
    Limit {
        mb_per_s: Spread { median: mb_per_s, min: mb_per_s, max: mb_per_s },
        cpu_s_per_gb: Spread::of([cpu_s_per_gb]),
    }
}

#[test]
fn a_changed_property_is_compared_repetition_by_repetition() {
    // The second repetition without the change failed, and the fourth with it.
    let base = [(0, run(100.0, 4.0)), (2, run(200.0, 2.0)), (3, run(1.0, 1.0))];
    let changed = [(0, run(90.0, 5.0)), (1, run(900.0, 900.0)), (2, run(100.0, 3.0))];
    let runs = |of: [(u32, Run); 3]| of.map(|(at, run)| repeated(at, run)).to_vec();
    let (base, changed) = (case(None, runs(base), None), case(Some("trace.dir=x"), runs(changed), None));

    let compared = Comparison::of(&[base, changed]);

    let [compared] = compared.as_slice() else { panic!("one case is changed") };
    assert_eq!(compared.changed, "trace.dir=x");
    assert_eq!(compared.mb_per_s, Spread::of([0.9, 0.5]));
    assert_eq!(compared.cpu_s_per_gb, Spread::of([1.25, 1.5]));
    assert_eq!(compared.p99_ms, None);
    let row = ["produce", "12", "os", "trace.dir=x", "0.70 (0.50..0.90)", "-", "1.38 (1.25..1.50)"];
    assert_eq!((compared.row(), compared.row().len()), (row.map(str::to_owned).to_vec(), COMPARED.len()));
}

#[test]
fn a_record_is_sent_and_written_once_for_each_replica() {
    let limits = Limits {
        write_bytes: 65_536,
        quic: limit(2000.0, 0.5),
        append: limit(3000.0, 0.25),
        append_synced_each: limit(100.0, 1.0),
        append_synced_mib: limit(1000.0, 0.25),
    };

    let case = case(None, vec![run(500.0, 9.0)], Some(&limits));

    let expected = OfLimits { quic: 0.25, disk: 0.5, cpu: Some(4.0) };
    assert_eq!(case.summary.of_limits, Some(expected));
    assert_eq!(case.row().len(), HEADINGS.len());
    assert_eq!(case.limits_row().map(|row| row.len()), Some(OVER_LIMITS.len()));
}

#[test]
fn what_was_not_measured_is_no_number() {
    let case = case(None, Vec::new(), None);

    assert_eq!((case.summary.mb_per_s, case.summary.of_limits), (None, None));
    assert!(case.row().iter().skip(4).all(|cell| cell == "-"), "{:?}", case.row());
}
