//! Replicas that stopped in order and left the ISR by that, and clusters that were level when they stopped.

use std::fs;

use super::history::{all, send};
use super::made::{ALL_IN_SYNC, Nodes, State, partition, registered, stopping, wrong};
use crate::audit::{Question, Report};

const FENCED: u32 = 0;
const SHUTDOWN: u32 = 1;

/// Partition 0 after node 3, which follows, has stopped in order.
const WITHOUT_THIRD: State = State { version: 4, isr: 0b011, missing: &[(2, SHUTDOWN, 0)], ..ALL_IN_SYNC };

/// The same after node 1, which leads, has.
const WITHOUT_FIRST: State =
    State { leader: Some(1), epoch: 2, version: 4, isr: 0b110, missing: &[(0, SHUTDOWN, 0)], eligible: 0 };

fn rules(report: &Report) -> Vec<(&'static str, Option<u32>)> {
    wrong(report).into_iter().map(|(rule, node, _, _)| (rule, node)).collect()
}

/// Partition, node, what there is to hold, and what it holds, of each log.
fn held(report: &Report) -> Vec<(u32, u32, u64, u64)> {
    report.held.iter().map(|held| (held.partition, held.node, held.acknowledged, held.held)).collect()
}

fn whole(nodes: &Nodes, lines: Option<&str>) -> Report {
    let history = lines.map(|lines| {
        let history = nodes.root().join("history.jsonl");
        fs::write(&history, lines).unwrap();
        history
    });
    nodes.ask(&Question { history, is_whole: true, ..Question::default() }).unwrap()
}

#[test]
fn of_every_replica_it_is_told_how_many_acknowledged_records_it_holds() {
    let nodes =
        Nodes::decided(vec![vec![partition(0, State { missing: &[(2, FENCED, 0)], ..WITHOUT_THIRD })]]);
    nodes.shorten(3);
    let report = nodes.audit_told(&all());

    // It was lost from sight and may lack anything.
    assert_eq!((wrong(&report), report.gaps.clone()), (vec![], vec![]));
    assert_eq!(
        held(&report),
        [(0, 1, 10, 10), (0, 2, 10, 10), (0, 3, 10, 6), (1, 1, 4, 4), (1, 2, 4, 4), (1, 3, 4, 4)]
    );
    assert_eq!(report.judged.found, 10 + 10 + 3 * 4);
}

#[test]
fn a_follower_that_stopped_in_order_and_lacks_records_cannot_be_judged() {
    let stopped = || vec![partition(0, WITHOUT_THIRD), stopping(3)];
    let nodes = Nodes::decided(vec![stopped()]);
    assert_eq!(nodes.audit_told(&all()).gaps, [""; 0]);
    nodes.shorten(3);
    let report = nodes.audit_told(&all());
    assert_eq!((wrong(&report), report.gaps.len()), (vec![], 1));
    let gap = &report.gaps[0];
    assert!(gap.contains("node 3") && gap.contains("4 of 10") && gap.contains("--whole"), "{gap}");

    // It has started since, and fetches.
    let nodes = Nodes::decided(vec![stopped(), vec![registered(3)]]);
    nodes.shorten(3);
    assert_eq!(nodes.audit_told(&all()).gaps, [""; 0]);
}

#[test]
fn a_former_leader_may_lack_what_was_acknowledged_later() {
    let nodes = Nodes::decided(vec![vec![partition(0, WITHOUT_FIRST), stopping(1)]]);
    nodes.shorten(1);
    let report = nodes.audit_told(&all());

    // Nobody wrote in epoch 2: its leader committed what it had of epoch 1.
    assert_eq!((rules(&report), report.gaps.len()), (vec![], 1), "{:?}", report.gaps);
}

#[test]
fn a_cluster_that_was_level_is_held_to_it() {
    let nodes = Nodes::decided(vec![vec![partition(0, WITHOUT_THIRD), stopping(3)]]);
    assert_eq!((wrong(&whole(&nodes, None)), whole(&nodes, None).gaps), (vec![], vec![]));
    assert_eq!(whole(&nodes, Some(&all())).judged.found, 42);

    nodes.shorten(3);
    assert_eq!(rules(&whole(&nodes, None)), [("committed records are missing", Some(3))]);
    let report = whole(&nodes, Some(&all()));
    assert_eq!(
        rules(&report),
        [("acknowledged record is not there", Some(3)), ("committed records are missing", Some(3))]
    );

    // A member that lacks the end that nobody was told of.
    let nodes = Nodes::sound();
    nodes.shorten(2);
    assert_eq!(rules(&nodes.audit()), []);
    assert_eq!(rules(&whole(&nodes, None)), [("committed records are missing", Some(2))]);

    // One that has another end than the others.
    let nodes = Nodes::decided(vec![vec![partition(0, State { epoch: 2, ..WITHOUT_THIRD })]]);
    nodes.change(&nodes.segment(3, "visits-0", 6), |bytes| {
        let last = bytes.len() / 2 + 12;
        bytes[last..last + 4].copy_from_slice(&2_u32.to_be_bytes());
    });
    assert_eq!(rules(&nodes.audit()), []);
    assert_eq!(rules(&whole(&nodes, None)), [("committed records differ", Some(3)); 2]);
}

#[test]
fn of_a_level_cluster_every_replica_is_there() {
    let nodes = Nodes::decided(vec![vec![partition(0, WITHOUT_THIRD), partition(1, WITHOUT_THIRD)]]);
    fs::remove_dir_all(nodes.path(3).join("visits-1")).unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    assert_eq!(rules(&nodes.audit()), []);
    assert_eq!(rules(&whole(&nodes, None)), [("log is missing", Some(3))]);

    fs::remove_dir_all(nodes.path(3)).unwrap();
    assert_eq!(nodes.audit().gaps, [""; 0]);
    let report = whole(&nodes, None);
    assert_eq!((rules(&report), report.gaps.len()), (vec![], 2), "{:?}", report.gaps);
}

#[test]
fn a_record_that_a_replica_outside_the_isr_has_at_another_place_is_found() {
    let nodes = Nodes::decided(vec![vec![partition(1, WITHOUT_THIRD)]]);
    let told = all() + &send("ok", "all", true, "[[0,103,20]]");
    let report = nodes.audit_told(&told);
    let elsewhere =
        rules(&report).into_iter().filter(|(rule, _)| *rule == "acknowledged record is elsewhere");

    assert_eq!(elsewhere.count(), 2, "an uncommitted end may hold it");
}
