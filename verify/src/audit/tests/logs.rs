//! What is wrong with one log.

use std::fs;

use super::made::{Made, Nodes, TOPIC_TEXT, checksum, first_log, noted, second_log, wrong};

/// Length of one batch of the first log, in bytes; the second one is as long.
fn batch_bytes() -> usize {
    first_log()[0].1[0].bytes().len()
}

/// Where a second batch begins.
fn second() -> u64 {
    batch_bytes() as u64
}

#[test]
fn a_flipped_bit_is_found_at_its_batch() {
    let nodes = Nodes::sound();
    nodes.change(&nodes.segment(2, "visits-0", 0), |bytes| bytes[batch_bytes() + 70] ^= 1);

    assert_eq!(wrong(&nodes.audit()), [("log is damaged", Some(2), Some(second()), Some(2))]);
}

#[test]
fn a_segment_that_is_gone_is_found_whichever_it_is() {
    let gone = |base| {
        let nodes = Nodes::sound();
        fs::remove_file(nodes.segment(2, "visits-0", base)).unwrap();
        wrong(&nodes.audit())
    };

    assert_eq!(gone(4), [("log is damaged", Some(2), Some(0), Some(4))]);
    assert_eq!(gone(6), [("log ends below its recovery point", Some(2), None, Some(6))]);
    // What is deleted is noted, here or elsewhere.
    assert!(gone(0).contains(&("beginning of the log is missing", Some(2), None, Some(4))));
}

#[test]
fn a_log_begins_later_where_that_is_noted() {
    let nodes = Nodes::sound();
    fs::remove_file(nodes.segment(2, "visits-0", 0)).unwrap();
    fs::write(nodes.path(1).join("visits-0").join("log-start-checkpoint"), "0\n1\n4\n").unwrap();
    // This one has it noted, and its first segment came back; the second one did not.
    fs::write(nodes.path(3).join("visits-0").join("log-start-checkpoint"), "0\n1\n6\n").unwrap();
    fs::remove_file(nodes.segment(3, "visits-0", 4)).unwrap();
    let report = nodes.audit();

    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["log starts differ"]));
}

#[test]
fn a_note_of_the_start_beyond_the_end_is_damage() {
    let nodes = Nodes::sound();
    fs::write(nodes.path(1).join("visits-1").join("log-start-checkpoint"), "0\n1\n9\n").unwrap();
    let report = nodes.audit();

    assert!(wrong(&report).contains(&("log ends below its noted start", Some(1), None, Some(4))));
}

#[test]
fn a_batch_that_is_gone_leaves_a_gap() {
    let nodes = Nodes::sound();
    nodes.change(&nodes.segment(2, "visits-0", 0), |bytes| drop(bytes.drain(..batch_bytes())));

    assert_eq!(wrong(&nodes.audit()), [("log is damaged", Some(2), Some(0), Some(0))]);
}

#[test]
fn a_torn_tail_is_what_a_kill_leaves_and_nothing_else_is() {
    let torn = |change: &dyn Fn(&Nodes)| {
        let nodes = Nodes::sound();
        let last = nodes.segment(1, "visits-0", 6);
        nodes.change(&last, |bytes| bytes.truncate(bytes.len() - 3));
        change(&nodes);
        let report = nodes.audit();
        (wrong(&report), noted(&report))
    };
    let place = (Some(1), Some(second()), Some(8));
    let damaged = (vec![("log is damaged", place.0, place.1, place.2)], vec![]);

    assert_eq!(torn(&|_| {}), (vec![], vec!["torn tail"]));
    let clean = "version=1\nbroker.epoch=5\n";
    // Below the recovery point it was synced, and after a clean stop nothing is under way.
    let point = |point: u32| format!("0\n2\n__cluster_metadata 0 10\nvisits 0 {point}\n");
    let file = "recovery-point-offset-checkpoint";
    assert_eq!(torn(&|nodes| fs::write(nodes.path(1).join(file), point(9)).unwrap()), damaged);
    assert_eq!(torn(&|nodes| fs::write(nodes.path(1).join("clean-stop"), clean).unwrap()), damaged);
    // A sound batch behind it: it is the length that was changed.
    let behind = Made::named(12, 1, 12..14).bytes();
    assert_eq!(
        torn(&|nodes| nodes.change(&nodes.segment(1, "visits-0", 6), |bytes| {
            bytes[batch_bytes() + 8..][..4].copy_from_slice(&9_999_u32.to_be_bytes());
            bytes.extend(&behind);
        })),
        damaged
    );
    // Nor does a kill change bytes that are all there, or leave zeros.
    let last = |nodes: &Nodes| nodes.segment(1, "visits-0", 6);
    assert_eq!(
        torn(&|nodes| nodes.change(&last(nodes), |bytes| {
            let end = bytes.len();
            bytes.truncate(batch_bytes());
            bytes.resize(end, 0);
        })),
        damaged
    );
}

#[test]
fn after_a_power_loss_what_lies_above_the_recovery_point_may_be_anything() {
    let nodes = Nodes::sound();
    nodes.change(&nodes.segment(1, "visits-0", 6), |bytes| bytes[batch_bytes() + 70] ^= 1);
    nodes.change(&nodes.segment(1, "visits-0", 4), |bytes| bytes.push(0));

    let report = nodes.audit_without_power();
    assert_eq!(wrong(&report), [("log is damaged", Some(1), Some(second()), Some(6))]);

    nodes.change(&nodes.segment(1, "visits-0", 4), |bytes| bytes.truncate(bytes.len() - 1));
    let report = nodes.audit_without_power();
    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["torn tail"]));
}

#[test]
fn leader_epochs_never_fall() {
    let nodes = Nodes::sound();
    let fallen = [Made::named(0, 2, 0..2), Made::named(2, 1, 2..4)];
    (1..=3).for_each(|node| nodes.write(node, "visits-1", &[(0, fallen.to_vec())]));
    let at = fallen[0].bytes().len() as u64;

    let wrong = wrong(&nodes.audit());
    assert!(wrong.contains(&("log is damaged", Some(3), Some(at), Some(2))), "{wrong:?}");
}

#[test]
fn a_batch_that_nobody_appended_and_one_out_of_reach_of_its_segment_are_found() {
    let unstamped = Nodes::sound();
    unstamped.change(&unstamped.segment(3, "visits-0", 0), |bytes| bytes[12..16].fill(0xff));
    assert_eq!(wrong(&unstamped.audit()), [("log is damaged", Some(3), Some(0), Some(0))]);

    // Its last record lies further from the first of the segment than an index can say.
    let far = Nodes::sound();
    far.change(&far.segment(3, "visits-0", 6), |bytes| {
        let mut last = Made { base: 8, ..first_log()[2].1[1].clone() }.bytes();
        last[23..27].copy_from_slice(&i32::MAX.to_be_bytes());
        let checksum = checksum(&last[21..]);
        last[17..21].copy_from_slice(&checksum.to_be_bytes());
        bytes.truncate(bytes.len() - last.len());
        bytes.extend(last);
    });
    assert_eq!(wrong(&far.audit()), [("log is damaged", Some(3), Some(second()), Some(8))]);
}

#[test]
fn producers_neither_repeat_themselves_nor_leave_a_gap() {
    let with = |second: Made| {
        let nodes = Nodes::sound();
        let log = [Made::named(0, 0, 100..102).by(9, 3, i32::MAX), second];
        (1..=3).for_each(|node| nodes.write(node, "visits-1", &[(0, log.to_vec())]));
        let report = nodes.audit();
        assert_eq!(noted(&report).len(), 3, "each log begins with a producer in the midst");
        wrong(&report).into_iter().map(|(rule, node, _, offset)| (rule, node, offset)).collect::<Vec<_>>()
    };
    let next = || Made::named(2, 0, 102..104);
    let thrice = |rule| (1..=3).map(|node| (rule, Some(node), Some(2))).collect::<Vec<_>>();

    // After the largest comes 0: the first batch has taken both.
    assert_eq!(with(next().by(9, 3, 1)), []);
    assert_eq!(with(next().by(9, 3, i32::MAX)), thrice("producer repeats itself"));
    assert_eq!(with(next().by(9, 3, 2)), thrice("producer leaves a gap"));
    assert_eq!(with(next().by(9, 4, 0)), []);
    assert_eq!(with(next().by(9, 4, 1)), thrice("producer leaves a gap"));
    assert_eq!(with(next().by(9, 2, 1)), thrice("producer epoch falls"));
    assert_eq!(with(next().by(9, 3, -1)), thrice("producer without a sequence"));
}

#[test]
fn a_compressed_batch_cannot_be_read() {
    let nodes = Nodes::sound();
    let mut log = second_log();
    log[0].1[1].attributes = 2;
    (1..=3).for_each(|node| nodes.write(node, "visits-1", &log));
    let at = log[0].1[0].bytes().len() as u64;

    let wrong = wrong(&nodes.audit());
    assert_eq!(wrong[0], ("batch cannot be read", Some(1), Some(at), Some(2)));
    assert_eq!(wrong.len(), 3);
}

#[test]
fn a_log_that_was_there_and_is_not_is_missed() {
    let nodes = Nodes::sound();
    fs::remove_dir_all(nodes.path(2).join("visits-0")).unwrap();

    assert_eq!(wrong(&nodes.audit())[0], ("log is missing", Some(2), None, None));
}

#[test]
fn a_log_says_of_which_topic_it_is() {
    let nodes = Nodes::sound();
    fs::remove_file(nodes.path(2).join("visits-1").join("partition.metadata")).unwrap();
    fs::rename(nodes.path(3).join("visits-0"), nodes.path(3).join("clicks-0")).unwrap();
    let rules: Vec<_> = wrong(&nodes.audit()).into_iter().map(|(rule, node, _, _)| (rule, node)).collect();

    assert!(rules.contains(&("log does not say of which topic it is", Some(2))), "{rules:?}");
    assert!(rules.contains(&("log of another topic", Some(3))), "{rules:?}");
}

#[test]
fn a_log_that_is_to_begin_anew_has_nothing_else() {
    let nodes = Nodes::sound();
    let log = nodes.path(3).join("visits-0");
    fs::write(log.join(format!("{:020}.log.next", 4)), "").unwrap();
    fs::write(nodes.path(3).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    nodes.change(&nodes.segment(3, "visits-0", 0), |bytes| bytes.clear());

    let report = nodes.audit();
    assert_eq!(wrong(&report), []);
    assert_eq!(
        noted(&report),
        ["log begins anew", "log starts differ", "beginning of the log is not explained"]
    );
}

#[test]
fn logs_of_deleted_topics_are_told_and_those_under_way_out_ignored() {
    let nodes = Nodes::sound();
    nodes.write(1, "old-0", &second_log());
    let said = format!("version: 0\ntopic_id: {}\n", TOPIC_TEXT.replace("AS", "BS"));
    fs::write(nodes.path(1).join("old-0").join("partition.metadata"), said).unwrap();
    nodes.write(2, "visits-0-delete", &[(3, vec![])]);
    nodes.write(2, "visits-0.0123456789abcdef0123456789abcdef-stray", &[(3, vec![])]);
    let report = nodes.audit();

    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["log of no topic"]));
}
