//! Repetitions put together, compared, and held against limits.

use super::*;
use crate::cli::bench::limits::Limit;

fn run(mb_per_s: f64, cpu_s_per_gb: f64) -> Run {
    Run {
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
    let base = case(None, vec![run(100.0, 4.0), run(200.0, 2.0)], None);
    let changed = case(Some("trace.dir=x"), vec![run(90.0, 5.0), run(100.0, 3.0)], None);

    let compared = Comparison::of(&[base, changed]);

    let [compared] = compared.as_slice() else { panic!("one case is changed") };
    assert_eq!(compared.changed, "trace.dir=x");
    assert_eq!(compared.mb_per_s, Spread::of([0.9, 0.5]));
    assert_eq!(compared.cpu_s_per_gb, Spread::of([1.25, 1.5]));
    assert_eq!(compared.p99_ms, None);
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
}

#[test]
fn what_was_not_measured_is_no_number() {
    let case = case(None, Vec::new(), None);

    assert_eq!((case.summary.mb_per_s, case.summary.of_limits), (None, None));
    assert!(case.row().iter().skip(4).all(|cell| cell == "-"), "{:?}", case.row());
}
