//! What is wrong with the metadata.

use std::fs;

use proptest::prelude::proptest;

use super::history::all;
use super::made::{
    ALL_IN_SYNC, Made, Nodes, State, bytes, configured, decision, metadata, noted, partition, snapshot,
    snapshot_of, snapshot_to, voters_of, wrong,
};

use crate::audit::batch::Header;
use crate::audit::record;

const LOG: &str = "__cluster_metadata-0";

/// Partition 1 as [`metadata`] has it last.
const SECOND: State = State { epoch: 0, ..ALL_IN_SYNC };

fn snapshot_name(end: u64, epoch: u32) -> String {
    format!("{end:020}-{epoch:010}.checkpoint")
}

#[test]
fn logs_of_voters_match() {
    let nodes = Nodes::sound();
    let mut log = metadata();
    log[6] = decision(8, 1, vec![partition(1, SECOND), partition(0, ALL_IN_SYNC)]);
    nodes.write(2, LOG, &[(0, log.clone())]);
    let at = bytes(&log[..6]).len() as u64;

    let wrong = wrong(&nodes.audit());
    let place = (Some(at), Some(8));
    assert_eq!(
        wrong,
        [("replicas differ", Some(2), place.0, place.1), ("replicas differ", Some(3), place.0, place.1),]
    );
}

#[test]
fn a_voter_may_be_behind_and_may_have_an_end_that_nobody_else_has() {
    let nodes = Nodes::sound();
    for (node, epoch) in [(1, 2), (2, 3)] {
        let mut log = metadata();
        log.push(decision(10, epoch, vec![partition(0, State { version: 4, ..ALL_IN_SYNC })]));
        nodes.write(node, LOG, &[(0, log)]);
        fs::write(nodes.path(node).join("quorum-state"), [0, 3, 0]).unwrap();
    }
    let report = nodes.audit();

    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["uncommitted ends differ"]));
}

#[test]
fn the_stored_epoch_is_not_below_the_logs() {
    let with = |vote: Option<&[u8]>| {
        let nodes = Nodes::sound();
        let file = nodes.path(2).join("quorum-state");
        vote.map_or_else(|| fs::remove_file(&file), |vote| fs::write(&file, vote)).unwrap();
        wrong(&nodes.audit())
    };
    let found = |rule| vec![(rule, Some(2), None, None)];

    assert_eq!(with(Some(&[0, 1, 1, 2, 2])), []);
    assert_eq!(with(Some(&[0, 0, 0])), found("stored epoch is below the log's"));
    assert_eq!(with(Some(&[0, 1])), found("vote cannot be read"));
    assert_eq!(with(Some(&[1, 1, 0])), found("vote cannot be read"));
    assert_eq!(with(None), found("vote is missing"));
}

#[test]
fn a_damaged_metadata_log_is_found() {
    let nodes = Nodes::sound();
    let at = bytes(&metadata()[..5]).len();
    nodes.change(&nodes.segment(3, LOG, 0), |bytes| bytes[at + 80] ^= 4);

    assert_eq!(wrong(&nodes.audit()), [("log is damaged", Some(3), Some(at as u64), Some(5))]);
}

#[test]
fn a_record_that_nobody_knows_is_found() {
    let nodes = Nodes::sound();
    let mut log = metadata();
    log.push(Made { records: vec![(None, vec![0, 11, 0])], ..decision(10, 1, vec![]) });
    log.push(Made { records: vec![(None, vec![0, 8, 0, 1])], ..decision(11, 1, vec![]) });
    nodes.write(1, LOG, &[(0, log.clone())]);
    let wrong = wrong(&nodes.audit());

    let at = [bytes(&log[..7]).len() as u64, bytes(&log[..8]).len() as u64];
    assert_eq!(
        wrong,
        [
            ("metadata cannot be read", Some(1), Some(at[0]), Some(10)),
            ("metadata cannot be read", Some(1), Some(at[1]), Some(11)),
        ]
    );
}

#[test]
fn a_log_that_begins_later_has_a_snapshot_of_what_was_before() {
    let shortened = |epoch: u32, second: State| {
        let nodes = Nodes::sound();
        for node in 1..=3 {
            fs::remove_file(nodes.segment(node, LOG, 0)).unwrap();
            let later = decision(10, 1, vec![partition(0, State { version: 4, ..ALL_IN_SYNC })]);
            nodes.write(node, LOG, &[(10, vec![later])]);
            let path = nodes.path(node).join(LOG).join(snapshot_name(10, epoch));
            fs::write(path, bytes(&snapshot(second))).unwrap();
        }
        nodes
    };
    let nodes = shortened(1, SECOND);
    let report = nodes.audit();
    assert_eq!((wrong(&report), noted(&report), report.judged.snapshots), (vec![], vec![], 3));
    assert_eq!(report.judged.compared, 24);

    fs::remove_file(nodes.path(2).join(LOG).join(snapshot_name(10, 1))).unwrap();
    assert_eq!(wrong(&nodes.audit()), [("log start has no snapshot", Some(2), None, Some(10))]);
}

#[test]
fn a_snapshot_says_what_the_log_before_its_end_does() {
    let with = |name: String, content: Vec<u8>| {
        let nodes = Nodes::sound();
        fs::write(nodes.path(2).join(LOG).join(name), content).unwrap();
        wrong(&nodes.audit())
    };
    let sound = bytes(&snapshot(SECOND));
    let other = bytes(&snapshot(State { isr: 0b11, ..SECOND }));

    assert_eq!(with(snapshot_name(10, 1), sound.clone()), []);
    assert_eq!(
        with(snapshot_name(10, 1), other),
        [("snapshot is not what the log says", Some(2), None, Some(10))]
    );
    let another = with(snapshot_name(10, 0), sound.clone());
    assert_eq!(another[0], ("snapshot is of another log", Some(2), None, Some(10)));
    assert_eq!(with(snapshot_name(8, 1), sound.clone()), [("snapshot is malformed", Some(2), None, Some(8))]);
    let cut = &sound[..sound.len() - 1];
    let last = bytes(&snapshot(SECOND)[..3]).len() as u64;
    assert_eq!(
        with(snapshot_name(10, 1), cut.to_vec()),
        [("snapshot is malformed", Some(2), Some(last), Some(10))]
    );
    let three = bytes(&snapshot(SECOND)[..3]);
    assert_eq!(with(snapshot_name(10, 1), three), [("snapshot is malformed", Some(2), Some(last), Some(10))]);
}

proptest! {
    /// Whatever a record holds, sound as its batch is, it is decoded or refused.
    #[test]
    fn any_record_is_survived(kind in 0_u8..=11, body: Vec<u8>, is_control: bool) {
        let value = [vec![0, kind, 0], body].concat();
        let key = is_control.then(|| vec![0, 0, 0, kind]);
        let attributes = if is_control { 1 << 5 } else { 0 };
        let batch = Made { attributes, records: vec![(key, value)], ..decision(10, 1, vec![]) }.bytes();
        let header = Header::parse(&batch).unwrap();
        let _ = record::decision(&header, &batch);
        let _ = record::control(&header, &batch);
        let _ = record::vote(&batch[61..]);
    }
}

#[test]
fn committed_metadata_is_on_a_majority() {
    let nodes = Nodes::sound();
    fs::write(nodes.path(1).join(LOG).join(snapshot_name(10, 1)), bytes(&snapshot(SECOND))).unwrap();
    let shorten = |node| {
        nodes.write(node, LOG, &[(0, metadata()[..5].to_vec())]);
        fs::write(nodes.path(node).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    };
    shorten(2);
    assert_eq!(wrong(&nodes.audit()), []);
    shorten(3);
    let missing = |node| ("committed metadata is missing", Some(node), None, Some(5));
    assert_eq!(wrong(&nodes.audit()), [missing(2), missing(3)]);
    // One of a disk that is not there may have it.
    fs::remove_dir_all(nodes.path(3)).unwrap();
    assert_eq!(wrong(&nodes.audit()), []);
}

#[test]
fn without_any_metadata_log_it_cannot_be_told() {
    let nodes = Nodes::sound();
    for node in 1..=3 {
        fs::remove_dir_all(nodes.path(node).join(LOG)).unwrap();
        fs::write(nodes.path(node).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    }
    let report = nodes.audit();

    assert_eq!((wrong(&report).len(), report.gaps.len()), (0, 1));
}

/// As [`Nodes::sound`], but the metadata of every node begins at 10, and with a snapshot of a topic of this configuration.
fn shortened(configuration: &[(u32, i64)]) -> Nodes {
    let nodes = Nodes::sound();
    for node in 1..=3 {
        fs::remove_file(nodes.segment(node, LOG, 0)).unwrap();
        let later = decision(10, 1, vec![partition(0, State { version: 4, ..ALL_IN_SYNC })]);
        nodes.write(node, LOG, &[(10, vec![later])]);
        let path = nodes.path(node).join(LOG).join(snapshot_name(10, 1));
        fs::write(path, bytes(&snapshot_of(SECOND, configuration.to_vec()))).unwrap();
    }
    nodes
}

#[test]
fn a_snapshot_ends_where_a_decision_does() {
    let with = |end: u64, epoch: u32| {
        let nodes = Nodes::sound();
        let snapshot = bytes(&snapshot_to(end, SECOND, vec![]));
        fs::write(nodes.path(2).join(LOG).join(snapshot_name(end, epoch)), snapshot).unwrap();
        wrong(&nodes.audit())
    };

    // In the midst of the decision that makes the topic, and of the last one.
    for end in [6, 7, 9] {
        assert_eq!(with(end, 1), [("snapshot ends within a decision", Some(2), None, Some(end))]);
    }
    assert_eq!(with(8, 1)[0].0, "snapshot is not what the log says");
    // Beyond all that is committed, by an epoch that was over then.
    assert!(with(12, 0).contains(&("snapshot is of another log", Some(2), None, Some(12))));
}

#[test]
fn snapshots_of_one_end_say_the_same_even_where_no_log_reaches_back() {
    let nodes = shortened(&[]);
    let older = |node, second| {
        let path = nodes.path(node).join(LOG).join(snapshot_name(8, 1));
        fs::write(path, bytes(&snapshot_to(8, second, vec![]))).unwrap();
    };
    older(1, SECOND);
    older(2, SECOND);
    assert_eq!(wrong(&nodes.audit()), []);

    older(2, State { isr: 0b11, ..SECOND });
    assert_eq!(wrong(&nodes.audit()), [("snapshots of one end differ", Some(2), None, Some(8))]);
}

#[test]
fn what_was_void_before_a_snapshot_may_be_so_still() {
    let told = all();
    let nodes = shortened(&[(2, 0)]);
    let report = nodes.audit_told(&told);
    assert_eq!((noted(&report), report.gaps.len(), report.judged.found), (vec![], 0, 42));

    // Unclean election is set: there may have been one.
    let nodes = shortened(&[(2, 1)]);
    nodes.shorten(3);
    let report = nodes.audit_told(&told);
    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["nothing is promised of a partition"; 2]));
    assert!(
        report.gaps.len() == 2 && report.gaps[0].contains("unclean election is set"),
        "{:?}",
        report.gaps
    );

    // A log that has the whole history knows better.
    let nodes = Nodes::decided(vec![vec![configured("unclean.leader.election.enable", Some("true"))]]);
    nodes.shorten(3);
    assert!(
        wrong(&nodes.audit_told(&told)).iter().any(|(rule, ..)| *rule == "acknowledged record is not there")
    );
    // Somebody is out of the ISR since one.
    let since = State { version: 4, isr: 0b011, missing: &[(2, 6, 0)], ..ALL_IN_SYNC };
    let nodes = Nodes::decided(vec![vec![partition(0, since)]]);
    assert_eq!(nodes.audit_told(&told).gaps.len(), 1);
}

#[test]
fn voters_and_partitions_are_what_they_can_be() {
    let with = |records| {
        let nodes = Nodes::decided(vec![records]);
        wrong(&nodes.audit()).into_iter().filter(|(rule, ..)| *rule == "metadata cannot be read").count()
    };
    let state = State { version: 4, ..ALL_IN_SYNC };
    assert_eq!(with(vec![partition(0, state)]), 0);
    assert_eq!(
        with(vec![partition(0, State { leader: Some(3), ..state })]),
        3,
        "a leader that is no replica"
    );
    assert_eq!(with(vec![partition(0, State { isr: 0b1111, ..state })]), 3, "a member that is no replica");
    assert_eq!(with(vec![partition(0, State { isr: 0b110, ..state })]), 3, "a leader that is not in sync");
    assert_eq!(with(vec![partition(0, State { eligible: 0b001, ..state })]), 3, "in sync and eligible");

    let nodes = Nodes::sound();
    let mut log = metadata();
    log[1] = voters_of(&[(1, 1), (1, 1), (1, 1), (2, 2), (3, 3)]);
    (1..=3).for_each(|node| nodes.write(node, LOG, &[(0, log.clone())]));
    fs::remove_dir_all(nodes.path(2)).unwrap();
    fs::remove_dir_all(nodes.path(3)).unwrap();
    let report = nodes.audit();
    assert_eq!(wrong(&report)[0].0, "metadata cannot be read");
    assert!(report.gaps.iter().any(|gap| gap.contains("no majority")), "{:?}", report.gaps);
}
