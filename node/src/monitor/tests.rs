//! What is counted, what is kept, and when a whole core is due.

use highwater_model::id::{PartitionIndex, TopicId};

use super::*;

const AT: Place = Place::Partition(TopicPartition { topic: TopicId(1), partition: PartitionIndex(3) });

fn monitors(interval: u32) -> Monitors {
    Monitors::every(NonZeroU32::new(interval).unwrap())
}

fn broken(details: &str) -> Result<(), Violation> {
    Err(Violation { property: Monitor::WatermarkOrder.name(), details: details.to_owned() })
}

#[test]
fn evaluations_and_violations_are_counted_and_the_first_and_the_last_are_kept() {
    let monitors = monitors(8);
    let core = monitors.core(&Env::real(), AT);
    core.check(Monitor::WatermarkOrder, || Ok(()));
    core.check(Monitor::WatermarkOrder, || broken("one"));
    core.check(Monitor::WatermarkOrder, || broken("two"));
    core.check(Monitor::WatermarkOrder, || broken("three"));

    let counts = monitors.counts();
    let row = counts.iter().find(|row| row.name == "replication/watermark_order").unwrap();
    assert_eq!((row.evaluated, row.violated), (4, 3));
    let values = |found: &Option<MonitorFinding>| found.as_ref().map(|found| found.values.clone());
    assert_eq!((values(&row.first), values(&row.last)), (Some("one".to_owned()), Some("three".to_owned())));
    assert!(row.first.as_ref().is_some_and(|found| found.place.starts_with("partition ")));
    assert_eq!(counts.len(), Monitor::ALL.len());
    assert!(counts.iter().filter(|other| other.name != row.name).all(|other| other.evaluated == 0));
}

#[test]
fn a_whole_core_is_due_after_a_change_and_once_in_so_many_steps() {
    let mut core = monitors(3).core(&Env::real(), AT);

    let due: Vec<bool> = [false, false, false, true, false, false, false]
        .into_iter()
        .map(|changed| core.is_due(changed))
        .collect();
    assert_eq!(due, [false, false, true, true, false, false, true]);
}

#[test]
fn what_is_off_evaluates_nothing() {
    let monitors = Monitors::default();
    let mut core = monitors.core(&Env::real(), AT);

    core.check(Monitor::WatermarkOrder, || panic!("it is not evaluated"));
    assert!(!core.is_due(true) && !core.is_on());
    assert_eq!((monitors.counts(), monitors.interval()), (Vec::new(), None));
}
