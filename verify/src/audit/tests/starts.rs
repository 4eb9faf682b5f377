//! Where logs begin, and whether anything says why.

use std::fs;

use super::history::all;
use super::made::{Nodes, configured, noted, wrong};

/// Notes that records of a log of partition 0 were deleted.
fn start(nodes: &Nodes, node: u32, at: u64) {
    let note = format!("0\n1\n{at}\n");
    fs::write(nodes.path(node).join("visits-0").join("log-start-checkpoint"), note).unwrap();
}

/// Every log of partition 0 begins at 5.
fn deleted(settings: &[(&str, Option<&str>)]) -> Nodes {
    let decisions = settings.iter().map(|(name, value)| vec![configured(name, *value)]);
    let nodes = Nodes::decided(decisions.collect());
    for node in 1..=3 {
        fs::remove_file(nodes.segment(node, "visits-0", 0)).unwrap();
        start(&nodes, node, 5);
    }
    nodes
}

#[test]
fn acknowledged_records_below_a_log_start_are_told_with_their_number_and_place() {
    for settings in [
        [].as_slice(),
        &[("retention.ms", Some("-1"))],
        &[("segment.bytes", Some("4096")), ("cleanup.policy", Some("delete"))],
        &[("retention.ms", None)],
    ] {
        let report = deleted(settings).audit_told(&all());

        assert_eq!((wrong(&report), noted(&report)), (vec![], vec![]));
        assert_eq!((report.gaps.len(), report.judged.found), (3, 3 * (5 + 4)), "{:?}", report.gaps);
        for (node, gap) in (1..).zip(&report.gaps) {
            let place = nodes_log(node);
            assert!(
                gap.contains(&place) && gap.contains("5 acknowledged records below its start 5"),
                "{gap}"
            );
        }
    }
}

fn nodes_log(node: u32) -> String {
    format!("node-{node}/data/visits-0")
}

#[test]
fn what_the_topic_lets_be_deleted_is_not_missed() {
    for settings in [
        [("retention.ms", Some("1000"))].as_slice(),
        &[("retention.bytes", Some("0"))],
        &[("cleanup.policy", Some("compact,delete"))],
        // It was so once, and that is when.
        &[("retention.ms", Some("1000")), ("retention.ms", None)],
    ] {
        let report = deleted(settings).audit_told(&all());

        assert_eq!((wrong(&report), report.gaps.clone()), (vec![], vec![]));
        assert_eq!((noted(&report), report.judged.found), (vec!["acknowledged records were deleted"; 3], 27));
    }
}

#[test]
fn starts_that_differ_for_no_reason_are_told() {
    let nodes = Nodes::sound();
    start(&nodes, 2, 1);
    let report = nodes.audit();
    assert_eq!((wrong(&report), noted(&report), report.gaps.len()), (vec![], vec!["log starts differ"], 0));

    // Nobody was told of the first record.
    let report = nodes.audit_told(&all().replace("[0,0,0],", ""));
    assert_eq!((wrong(&report), report.gaps.len()), (vec![], 1), "{:?}", report.gaps);
    assert!(
        report.gaps[0].contains("visits-0") && report.gaps[0].contains("node 2 at 1"),
        "{:?}",
        report.gaps
    );

    let nodes = Nodes::decided(vec![vec![configured("retention.ms", Some("1000"))]]);
    start(&nodes, 2, 1);
    let report = nodes.audit_told(&all());
    assert_eq!((wrong(&report), report.gaps.clone()), (vec![], vec![]));
}
