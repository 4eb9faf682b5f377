//! Small files that cannot be understood, and directories that are not what they look like.

use std::fs;

use super::made::{Nodes, TOPIC_TEXT, first_log, noted, second_log, wrong};
use crate::audit::Question;

const POINTS: &str = "recovery-point-offset-checkpoint";
const MALFORMED: &str = "file cannot be understood";

/// Rule and node of each finding while a file of node 1 holds this.
fn with(file: &str, content: &[u8]) -> Vec<(&'static str, Option<u32>)> {
    let nodes = Nodes::sound();
    fs::write(nodes.path(1).join(file), content).unwrap();
    wrong(&nodes.audit()).into_iter().map(|(rule, node, _, _)| (rule, node)).collect()
}

#[test]
fn a_small_file_that_is_none_is_found_whichever_it_is() {
    for file in [
        POINTS,
        "start-up",
        "clean-stop",
        "visits-0/log-start-checkpoint",
        "visits-0/leader-epoch-checkpoint",
        "visits-0/partition.metadata",
        "__cluster_metadata-0/leader-epoch-checkpoint",
    ] {
        for content in [b"".as_slice(), b"nine", b"0\n2\n1\n", b"\xff\xfe\n", b"\0\0\0\0"] {
            let found = with(file, content);
            assert!(found.contains(&(MALFORMED, Some(1))), "{file}: {found:?}");
        }
    }
    let voters = b"version=1\ncluster.id=c\nnode.id=1\ndirectory.id=00000000-0000-0000-0000-000000000001\ninitial.controllers=1@h:1:what\n";
    assert_eq!(with("meta.properties", voters), [(MALFORMED, Some(1))]);
}

#[test]
fn small_files_as_they_are_written_are_understood() {
    assert_eq!(with("start-up", b"version=1\nboot.id=b\nbroker.epoch=5\nused.under=5\nrecovered=true\n"), []);
    assert_eq!(with("clean-stop", b"version=1\nbroker.epoch=5\n"), []);
    assert_eq!(with("visits-0/leader-epoch-checkpoint", b"0\n2\n0 0\n1 4\n"), []);
    assert_eq!(with(POINTS, b"0\n1\n__cluster_metadata 0 10\n"), []);
}

#[test]
fn damage_is_not_hidden_by_recovery_points_that_nobody_can_read() {
    let nodes = Nodes::sound();
    fs::remove_file(nodes.segment(1, "visits-0", 6)).unwrap();
    fs::write(nodes.path(1).join(POINTS), "0\n9\nvisits 0 10\n").unwrap();
    let report = nodes.audit();

    assert_eq!(wrong(&report), [(MALFORMED, Some(1), None, None)]);
    assert!(report.findings[0].place.file.ends_with(POINTS) && report.findings[0].what.contains("synced"));
}

#[test]
fn recovery_points_that_are_not_there_are_told() {
    let nodes = Nodes::sound();
    fs::remove_file(nodes.path(1).join(POINTS)).unwrap();
    let report = nodes.audit();
    assert_eq!((wrong(&report), noted(&report)), (vec![], vec!["no recovery points"]));

    // They are written before the marker of a clean stop.
    fs::write(nodes.path(1).join("clean-stop"), "version=1\nbroker.epoch=5\n").unwrap();
    assert_eq!(wrong(&nodes.audit()), [("no recovery points", Some(1), None, None)]);
}

#[test]
fn a_directory_and_its_copy_are_refused() {
    let nodes = Nodes::sound();
    let copy = nodes.root().join("node-2.old");
    fs::create_dir_all(&copy).unwrap();
    fs::copy(nodes.path(2).join("meta.properties"), copy.join("meta.properties")).unwrap();

    let refused = nodes.ask(&Question::default()).unwrap_err().to_string();
    assert!(refused.contains("node-2.old") && refused.contains("leave out the copy"), "{refused}");
}

#[test]
fn each_place_that_was_asked_about_has_a_log_directory() {
    let nodes = Nodes::sound();
    let empty = nodes.root().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let places = vec![nodes.path(1), nodes.path(2), nodes.path(3), empty];
    let refused = super::audit(&Question { places, ..Question::default() }).unwrap_err().to_string();

    assert!(refused.contains("empty"), "{refused}");
}

#[test]
fn a_partition_has_one_name() {
    let nodes = Nodes::sound();
    nodes.write(1, "visits-00", &second_log());
    let said = format!("version: 0\ntopic_id: {TOPIC_TEXT}\n");
    fs::write(nodes.path(1).join("visits-00").join("partition.metadata"), said).unwrap();
    let report = nodes.audit();

    assert_eq!((wrong(&report), noted(&report), report.judged.logs), (vec![], vec![], 9));
}

#[test]
fn names_do_not_steer_the_terminal() {
    let nodes = Nodes::sound();
    nodes.write(1, "\u{1b}[2J\nvisits-0", &second_log());
    let report = nodes.audit();
    let shown = format!("{}{}", report.findings[0], report.findings[0].what);

    assert_eq!(wrong(&report)[0].0, "log does not say of which topic it is");
    assert!(shown.contains("\\u{1b}[2J") && !shown.contains('\u{1b}'), "{shown}");
}

#[cfg(unix)]
mod links {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_plain_file_is_refused_and_not_waited_for() {
        for file in [POINTS, "visits-0/00000000000000000000.log", "visits-0/partition.metadata", ".lock"] {
            let nodes = Nodes::sound();
            let path = nodes.path(2).join(file);
            fs::remove_file(&path).unwrap();
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            let refused = nodes.ask(&Question::default()).unwrap_err().to_string();
            assert!(refused.contains(file) && refused.contains("no plain file"), "{refused}");
        }
    }

    #[test]
    fn a_link_to_nothing_does_not_count_as_absent() {
        let nodes = Nodes::sound();
        fs::remove_file(nodes.path(2).join(POINTS)).unwrap();
        symlink("gone", nodes.path(2).join(POINTS)).unwrap();
        let refused = nodes.ask(&Question::default()).unwrap_err().to_string();
        assert!(refused.contains("link to nothing"), "{refused}");

        let nodes = Nodes::sound();
        fs::remove_dir_all(nodes.path(2).join("visits-0")).unwrap();
        symlink("gone", nodes.path(2).join("visits-0")).unwrap();
        assert_eq!(wrong(&nodes.audit())[0], ("log is missing", Some(2), None, None));
    }

    #[test]
    fn a_link_around_in_a_circle_is_survived() {
        let nodes = Nodes::sound();
        symlink(nodes.root(), nodes.root().join("round")).unwrap();
        symlink("self", nodes.root().join("self")).unwrap();

        assert_eq!(nodes.audit().judged.directories, 3);
    }

    #[test]
    fn replicas_that_share_a_file_are_one() {
        let shared = |link: &dyn Fn(&Nodes)| {
            let nodes = Nodes::sound();
            fs::remove_dir_all(nodes.path(2).join("visits-0")).unwrap();
            link(&nodes);
            let found = wrong(&nodes.audit());
            found.into_iter().map(|(rule, node, _, _)| (rule, node)).collect::<Vec<_>>()
        };
        let expected = [("file is in two logs", Some(2)); 3];
        assert_eq!(
            shared(&|nodes| symlink(nodes.path(1).join("visits-0"), nodes.path(2).join("visits-0")).unwrap()),
            expected
        );
        assert_eq!(
            shared(&|nodes| {
                let log = nodes.path(2).join("visits-0");
                fs::create_dir(&log).unwrap();
                fs::copy(nodes.path(1).join("visits-0/partition.metadata"), log.join("partition.metadata"))
                    .unwrap();
                for (base, _) in first_log() {
                    let from = nodes.segment(1, "visits-0", base);
                    fs::hard_link(from, nodes.segment(2, "visits-0", base)).unwrap();
                }
            }),
            expected
        );
    }
}
