//! What is wrong between replicas, and what only looks so.

use std::fs;

use super::made::{
    ALL_IN_SYNC, Made, Nodes, State, decision, first_log, metadata, noted, partition, second_log, wrong,
};
use crate::audit::{Finding, Report};

/// Rule, node and offset of each finding.
fn rules(report: &Report) -> Vec<(&'static str, Option<u32>, Option<u64>)> {
    let rule = |finding: &Finding| (finding.rule, finding.place.node, finding.place.offset);
    report.findings.iter().map(rule).collect()
}

/// As [`Nodes::sound`], with more metadata: states of partition 0, one decision each.
fn with_states(states: &[State]) -> Nodes {
    let nodes = Nodes::sound();
    let mut log = metadata();
    for (at, state) in (10..).zip(states) {
        log.push(decision(at, 1, vec![partition(0, *state)]));
    }
    (1..=3).for_each(|node| nodes.write(node, "__cluster_metadata-0", &[(0, log.clone())]));
    nodes
}

/// The second log with another batch at its end.
fn ending(epoch: u32, names: std::ops::Range<u64>) -> Vec<(u64, Vec<Made>)> {
    let mut log = second_log();
    log[0].1.push(Made::named(4, epoch, names));
    log
}

#[test]
fn batches_of_one_epoch_are_the_same_everywhere() {
    let nodes = Nodes::sound();
    let mut log = second_log();
    log[0].1[1] = Made::named(2, 0, 202..204);
    nodes.write(3, "visits-1", &log);
    let at = log[0].1[0].bytes().len() as u64;
    let report = nodes.audit();

    let place = ("replicas differ", Some(3), Some(at), Some(2));
    assert_eq!(wrong(&report), [place, place]);
    assert!(report.findings[0].what.contains("node 1"), "{}", report.findings[0]);
    assert!(report.findings[1].what.contains("node 2"), "{}", report.findings[1]);
}

#[test]
fn logs_of_two_partitions_that_changed_places_differ_from_the_others() {
    let nodes = Nodes::sound();
    let log = |partition| nodes.path(2).join(format!("visits-{partition}"));
    fs::rename(log(0), log(2)).unwrap();
    fs::rename(log(1), log(0)).unwrap();
    fs::rename(log(2), log(1)).unwrap();
    let rules = rules(&nodes.audit());

    assert!(rules.contains(&("replicas differ", Some(2), Some(0))), "{rules:?}");
    assert!(rules.contains(&("leader epoch that never was", Some(2), Some(4))), "{rules:?}");
}

#[test]
fn ends_of_two_leaders_may_differ_until_they_meet_again() {
    let state = State { epoch: 2, ..ALL_IN_SYNC };
    let fallen = |first: u64, second: u64| {
        let nodes = with_states(&[State { version: 4, ..state }]);
        let mut log = first_log();
        log.pop();
        nodes.write(1, "visits-0", &log);
        for (node, epoch, names) in [(1, 1, first), (2, 2, second), (3, 2, second)] {
            let mut log = log.clone();
            log.push((6, vec![Made::named(6, epoch, names..names + 2)]));
            nodes.write(node, "visits-0", &log);
        }
        nodes
    };
    let report = fallen(6, 66).audit();
    assert_eq!((rules(&report), noted(&report)), (vec![], vec!["uncommitted ends differ"; 2]));

    // Both have been with the leader of the third epoch.
    let nodes = fallen(6, 66);
    for node in [1, 3] {
        nodes.change(&nodes.segment(node, "visits-0", 6), |bytes| {
            bytes.extend(Made::named(8, 2, 8..9).bytes())
        });
    }
    let rules = rules(&nodes.audit());
    assert!(rules.contains(&("replicas differ", Some(3), Some(6))), "{rules:?}");
    assert!(rules.contains(&("epoch begins at two places", Some(3), Some(6))), "{rules:?}");
}

#[test]
fn committed_records_do_not_differ_whoever_wrote_them() {
    let nodes = Nodes::sound();
    nodes.write(3, "visits-1", &ending(0, 200..202));
    nodes.write(2, "visits-1", &ending(0, 300..302));
    nodes.change(&nodes.segment(2, "visits-1", 0), |bytes| {
        let at = bytes.len() - Made::named(4, 0, 300..302).bytes().len() + 12;
        bytes[at..at + 4].copy_from_slice(&1_u32.to_be_bytes());
    });
    // The metadata is behind: the epoch is the next one, which nobody has been told of.
    assert_eq!(rules(&nodes.audit()), [("leader epoch that never was", Some(2), Some(4))]);

    let line = r#"{"index":0,"time":0,"process":0,"type":"ok","f":"send","value":{"acks":"all","idempotent":true,"records":[[1,200,4]]}}"#;
    let report = nodes.audit_told(line);
    let rules = rules(&report);
    assert!(rules.contains(&("committed records differ", Some(3), Some(4))), "{rules:?}");
    assert!(rules.contains(&("committed records are missing", Some(1), Some(4))), "{rules:?}");
    assert!(rules.contains(&("acknowledged record is not there", Some(2), Some(4))), "{rules:?}");
}

#[test]
fn whom_a_leader_took_in_has_what_the_leader_had() {
    let without = State { epoch: 2, version: 4, isr: 0b011, ..ALL_IN_SYNC };
    let with = State { isr: 0b111, version: 5, ..without };
    let lacking = |states: &[State]| {
        let nodes = with_states(states);
        fs::remove_file(nodes.segment(3, "visits-0", 6)).unwrap();
        fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
        rules(&nodes.audit())
    };
    // The leader of epoch 2 has no record of it: it begins where its log ends.
    assert_eq!(lacking(&[without, with]), [("replica in sync lacks records", Some(3), Some(6))]);
    // One that was in sync all the time may be behind.
    assert_eq!(lacking(&[State { isr: 0b111, ..without }]), []);
    // One that is not in sync may be anywhere.
    assert_eq!(lacking(&[with, without]), []);

    let nodes = with_states(&[without, with]);
    let mut log = first_log();
    log[2].1[1] = Made::named(8, 2, 88..90);
    nodes.write(3, "visits-0", &log);
    let rules = rules(&nodes.audit());
    assert!(rules.contains(&("committed records differ", Some(3), Some(8))), "{rules:?}");
}

#[test]
fn nothing_is_asked_of_replicas_after_an_unclean_election() {
    let out = State { leader: None, epoch: 2, version: 4, isr: 0, eligible: 0b001, missing: &[] };
    let unclean = State { leader: Some(2), epoch: 3, version: 5, isr: 0b100, eligible: 0, missing: &[] };
    let nodes = with_states(&[out, unclean]);
    fs::write(nodes.path(1).join("visits-0").join("log-start-checkpoint"), "0\n1\n8\n").unwrap();
    fs::remove_file(nodes.segment(3, "visits-0", 6)).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    assert_eq!(rules(&nodes.audit()), []);

    // A clean one is held to it.
    let nodes = with_states(&[out, State { leader: Some(0), isr: 0b001, ..unclean }]);
    fs::write(nodes.path(3).join("visits-0").join("log-start-checkpoint"), "0\n1\n8\n").unwrap();
    assert_eq!(rules(&nodes.audit()), []);
    let short = State { leader: Some(0), isr: 0b101, ..unclean };
    let nodes = with_states(&[out, short]);
    fs::write(nodes.path(1).join("visits-0").join("log-start-checkpoint"), "0\n1\n8\n").unwrap();
    fs::remove_file(nodes.segment(3, "visits-0", 6)).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    assert_eq!(rules(&nodes.audit()), [("committed records are missing", Some(3), Some(6))]);
}

#[test]
fn an_eligible_leader_has_what_is_committed_too() {
    let shrunk = State { isr: 0b001, eligible: 0b100, version: 4, ..ALL_IN_SYNC };
    let nodes = with_states(&[shrunk]);
    fs::write(nodes.path(1).join("visits-0").join("log-start-checkpoint"), "0\n1\n8\n").unwrap();
    for node in [2, 3] {
        fs::remove_file(nodes.segment(node, "visits-0", 6)).unwrap();
        fs::write(nodes.path(node).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    }
    assert_eq!(rules(&nodes.audit()), [("committed records are missing", Some(3), Some(6))]);
}

#[test]
fn a_replica_that_is_not_there_cannot_be_judged() {
    let nodes = Nodes::sound();
    fs::remove_dir_all(nodes.path(3)).unwrap();
    let report = nodes.audit();

    assert_eq!(rules(&report), []);
    assert_eq!(report.gaps.len(), 2, "of two partitions: {:?}", report.gaps);
    fs::remove_dir_all(nodes.path(2)).unwrap();
    let report = nodes.audit();
    assert!(report.gaps[0].contains("1 of 3 voters"), "{:?}", report.gaps);
}

#[test]
fn a_member_without_a_log_is_found_once_something_was_committed() {
    let nodes = Nodes::sound();
    fs::remove_dir_all(nodes.path(3).join("visits-1")).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    let report = nodes.audit();
    assert_eq!((rules(&report), noted(&report)), (vec![], vec!["log is missing"]));

    fs::write(nodes.path(1).join("visits-1").join("log-start-checkpoint"), "0\n1\n2\n").unwrap();
    assert_eq!(rules(&nodes.audit()), [("log is missing", Some(3), None)]);
}

#[test]
fn a_log_belongs_to_a_replica_of_a_partition() {
    let nodes = with_states(&[State { version: 4, ..ALL_IN_SYNC }]);
    fs::rename(nodes.path(3).join("visits-1"), nodes.path(3).join("visits-9")).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    assert_eq!(rules(&nodes.audit()), [("log of no partition", Some(3), None)]);

    let nodes = Nodes::sound();
    let said = "version=1\ncluster.id=c\nnode.id=4\ndirectory.id=00000000-0000-0000-0000-000000000004\n";
    fs::create_dir_all(nodes.path(4)).unwrap();
    fs::write(nodes.path(4).join("meta.properties"), said).unwrap();
    fs::write(nodes.path(4).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    fs::rename(nodes.path(3).join("visits-1"), nodes.path(4).join("visits-1")).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    let report = nodes.audit();
    assert_eq!((rules(&report), noted(&report)), (vec![], vec!["log of no replica", "log is missing"]));
}

#[test]
fn of_two_copies_on_one_node_the_one_in_use_last_counts() {
    let nodes = Nodes::sound();
    let second = nodes.root().join("node-1").join("more");
    fs::create_dir_all(second.join("visits-1")).unwrap();
    let said = "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=00000000-0000-0000-0000-000000000009\n";
    fs::write(second.join("meta.properties"), said).unwrap();
    fs::write(second.join("start-up"), "version=1\nused.under=1\n").unwrap();
    fs::write(nodes.path(1).join("start-up"), "version=1\nused.under=2\n").unwrap();
    let from = nodes.path(1).join("visits-1");
    fs::copy(from.join("partition.metadata"), second.join("visits-1").join("partition.metadata")).unwrap();
    let report = nodes.audit();

    assert_eq!((rules(&report), noted(&report)), (vec![], vec!["older copy of a log"]));
    assert!(report.notes[0].place.file.contains("more"));
}

#[test]
fn a_copy_of_a_directory_of_another_node_is_found() {
    let nodes = Nodes::sound();
    nodes.change(&nodes.path(3).join("meta.properties"), |bytes| {
        let said = String::from_utf8(bytes.clone()).unwrap();
        *bytes = said.replace("000000000003", "000000000002").into_bytes();
    });

    assert!(rules(&nodes.audit()).contains(&("directory is a copy", Some(3), None)));
}
