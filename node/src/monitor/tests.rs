//! What is counted, what is kept, and when a whole core is due.

use highwater_model::api::{Answer, MonitorsDetail};
use highwater_model::id::{NodeId, PartitionIndex, TopicId};

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

fn at(partition: u32) -> Place {
    Place::Partition(TopicPartition { topic: TopicId(1), partition: PartitionIndex(partition) })
}

fn row_of(monitors: &Monitors) -> MonitorCount {
    let counts = monitors.counts().into_iter();
    counts.max_by_key(|row| row.violated).expect("there is a row for each monitor")
}

#[test]
fn each_place_is_counted_and_logged_by_itself_up_to_a_bound() {
    let monitors = monitors(8);
    for partition in [1, 2, 1, 3] {
        monitors.core(&Env::real(), at(partition)).check(Monitor::WatermarkOrder, || broken("x"));
    }
    let row = row_of(&monitors);
    let places: Vec<u64> = row.places.iter().map(|place| place.violated).collect();
    assert_eq!((places, row.elsewhere), (vec![2, 1, 1], 0));
    assert_eq!(
        row.places.first().map(|place| place.place.as_str()),
        row.first.as_ref().map(|at| at.place.as_str())
    );

    for partition in 0..70 {
        monitors.core(&Env::real(), at(partition)).check(Monitor::WatermarkOrder, || broken("x"));
    }
    let row = row_of(&monitors);
    assert_eq!((row.places.len(), row.elsewhere, row.violated), (PLACES_MAX, 6, 74));
}

#[test]
fn the_first_violation_in_a_place_is_logged_whatever_was_logged_of_others() {
    let mut found = Found::default();
    let now = Instant::default();

    assert_eq!(found.tally_at(at(1)).count(now), Some(0));
    assert_eq!(found.tally_at(at(1)).count(now), None);
    assert_eq!(found.tally_at(at(2)).count(now), Some(0));
    assert_eq!(found.tally_at(at(1)).count(now + LOG_INTERVAL), Some(1));
}

#[test]
fn an_answer_with_every_property_violated_everywhere_by_large_values_fits_a_frame() {
    let monitors = monitors(8);
    // Two bytes for each character, so that the bound lies within one.
    let values = format!("x{}", "\u{e9}".repeat(1 << 20));
    for monitor in Monitor::ALL {
        for partition in 0..70 {
            let at =
                TopicPartition { topic: TopicId(u128::MAX), partition: PartitionIndex(u32::MAX - partition) };
            monitors
                .core(&Env::real(), Place::Partition(at))
                .check(*monitor, || Err(Violation { property: monitor.name(), details: values.clone() }));
        }
    }

    let first = row_of(&monitors).first.expect("it is violated").values;
    assert!(first.ends_with(" bytes more") && first.len() < VALUES_BYTES_MAX + 64, "{}", first.len());
    let detail = MonitorsDetail { node: NodeId(1), interval: Some(8), counts: monitors.counts() };
    let answer = highwater_transport::api::answer(&Answer::Monitors(detail), Vec::new()).unwrap();
    let limits = highwater_transport::frame::FrameLimits::default();
    assert_eq!(limits.check_frame(&answer), Ok(()), "{} bytes", answer.body.len());
}
