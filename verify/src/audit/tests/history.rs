//! What was acknowledged and is not there.

use std::fs;

use proptest::prelude::proptest;

use super::made::{Made, Nodes, bytes, noted, second_log, wrong};
use crate::audit::{AuditError, Question};

/// A line of a history: one send of records `[partition, name, offset]`.
pub(super) fn send(phase: &str, acks: &str, idempotent: bool, records: &str) -> String {
    let value = format!(r#"{{"acks":"{acks}","idempotent":{idempotent},"records":{records}}}"#);
    format!(r#"{{"index":0,"time":1,"process":2,"type":"{phase}","f":"send","value":{value}}}"#) + "\n"
}

/// Everything in both logs of [`Nodes::sound`], acknowledged.
pub(super) fn all() -> String {
    let first: Vec<String> = (0..10).map(|name| format!("[0,{name},{name}]")).collect();
    let second: Vec<String> = (0..4).map(|offset| format!("[1,{},{offset}]", 100 + offset)).collect();
    let other =
        r#"{"index":0,"time":0,"process":"nemesis","type":"info","f":"fault","value":{"kind":"kill"}}"#;
    let begun = send("invoke", "all", true, "[[0,55,null]]");
    let sent = send("ok", "all", true, &format!("[{}]", first.join(",")));
    format!("{begun}{other}\n{sent}\n{}", send("info", "all", false, &format!("[{}]", second.join(","))))
}

#[test]
fn what_was_acknowledged_is_found_in_every_replica() {
    let report = Nodes::sound().audit_told(&all());

    assert_eq!((wrong(&report), noted(&report), report.gaps.clone()), (vec![], vec![], vec![]));
    assert_eq!((report.judged.acknowledged, report.judged.found), (14, 42));
}

#[test]
fn one_acknowledged_record_that_is_gone_without_a_trace_is_missed() {
    let nodes = Nodes::sound();
    // As if the second batch had never been written, by anyone.
    let log = [Made::named(0, 0, 100..102), Made::named(2, 0, 200..201)];
    (1..=3).for_each(|node| nodes.write(node, "visits-1", &[(0, log.to_vec())]));
    assert_eq!(wrong(&nodes.audit()), []);

    let missing = |node, offset| ("acknowledged record is not there", Some(node), None, Some(offset));
    let lacks = |node, offset| ("committed records are missing", Some(node), None, Some(offset));
    let each = |node| [missing(node, 2), missing(node, 3)];
    let mut expected: Vec<_> = (1..=3).flat_map(each).collect();
    expected.extend((1..=3).map(|node| lacks(node, 3)));
    assert_eq!(wrong(&nodes.audit_told(&all())), expected);
}

#[test]
fn a_replica_that_is_short_of_acknowledged_records_is_found() {
    let nodes = Nodes::sound();
    fs::remove_file(nodes.segment(2, "visits-0", 6)).unwrap();
    fs::write(nodes.path(2).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    assert_eq!(wrong(&nodes.audit()), []);

    let report = nodes.audit_told(&all());
    assert_eq!(
        wrong(&report),
        [
            ("acknowledged record is not there", Some(2), None, Some(6)),
            ("committed records are missing", Some(2), None, Some(6)),
        ]
    );
    assert!(report.findings[0].what.contains("4 records from there on"), "{}", report.findings[0]);
}

#[test]
fn what_was_acknowledged_once_is_there_once() {
    let nodes = Nodes::sound();
    let mut log = second_log();
    // One of the other partition's by an idempotent producer, and one of this one's by one that is not.
    log[0].1.push(Made::named(4, 0, 5..6));
    log[0].1.push(Made::named(5, 0, 103..104));
    (1..=3).for_each(|node| nodes.write(node, "visits-1", &log));
    let at = bytes(&log[0].1[..2]).len() as u64;

    let expected: Vec<_> =
        (1..=3).map(|node| ("acknowledged record is elsewhere", Some(node), Some(at), Some(4))).collect();
    assert_eq!(wrong(&nodes.audit_told(&all())), expected);
}

#[test]
fn of_many_that_are_missing_some_are_named_and_the_others_counted() {
    let nodes = Nodes::sound();
    let log = [Made::named(0, 0, 500..550)];
    (1..=3).for_each(|node| nodes.write(node, "visits-1", &[(0, log.to_vec())]));
    let records: Vec<String> = (0..50).map(|offset| format!("[1,{},{offset}]", 549 - offset)).collect();
    let report = nodes.audit_told(&send("ok", "all", true, &format!("[{}]", records.join(","))));

    // In each log each is missing at its place and is at another's.
    assert_eq!(report.findings.len(), 3 * 2 * (20 + 1));
    let counted = report.findings.iter().filter(|finding| finding.what.contains("with 30 more records"));
    assert_eq!(counted.count(), 3 * 2);
}

proptest! {
    /// Whatever a line is, it is read or told.
    #[test]
    fn any_line_is_survived(at in 0_usize..400, with: Vec<u8>, cut in 0_usize..800) {
        let mut lines = all().into_bytes();
        let end = lines.len().min(at + with.len());
        lines.splice(at..end, with);
        lines.truncate(lines.len() - cut.min(lines.len()));
        let nodes = Nodes::sound();
        let history = nodes.root().join("history.jsonl");
        fs::write(&history, lines).unwrap();
        let _ = nodes.ask(&Question { history: Some(history), ..Question::default() });
    }
}

#[test]
fn what_was_promised_by_nobody_is_not_missed() {
    let told = send("ok", "1", true, "[[0,77,3]]") + &send("ok", "0", true, "[[0,78,null]]");
    let report = Nodes::sound().audit_told(&(told.clone() + &all()));
    assert_eq!((wrong(&report), report.judged.acknowledged), (vec![], 14));

    let report = Nodes::sound().audit_told(&told);
    assert_eq!((wrong(&report).len(), report.gaps.len()), (0, 1), "no record was acknowledged");
}

#[test]
fn a_partition_that_nobody_knows_and_lines_that_are_none_are_told() {
    let report = Nodes::sound().audit_told(&send("ok", "all", true, "[[7,77,3]]"));
    assert_eq!(wrong(&report), [("partition is missing", None, None, None)]);

    let report = Nodes::sound().audit_told(&(all() + "{\"f\":\"send\",\"ty"));
    assert_eq!((wrong(&report).len(), report.gaps.len(), report.judged.found), (0, 1, 42));
    assert!(report.gaps[0].starts_with("line 6 of"), "{:?}", report.gaps);
}

#[test]
fn the_topic_of_a_history_is_named_or_the_only_one() {
    let nodes = Nodes::sound();
    let history = nodes.root().join("history.jsonl");
    fs::write(&history, all()).unwrap();
    let asked = |topic: &str| {
        nodes.ask(&Question {
            history: Some(history.clone()),
            topic: Some(topic.to_owned()),
            ..Question::default()
        })
    };

    assert_eq!(asked("visits").unwrap().judged.found, 42);
    assert!(matches!(asked("clicks"), Err(AuditError::Topic(_))));
}
