//! Audits of small made-up clusters: clean as they are made, and each damage found at its place.

mod directories;
mod history;
mod logs;
mod made;
mod quorum;
mod replicas;
mod starts;
mod stopped;

use std::fs;

use proptest::prelude::{ProptestConfig, proptest};

use super::{AuditError, Question, audit};
use made::{Nodes, noted, wrong};

#[test]
fn a_sound_cluster_is_clean() {
    let nodes = Nodes::sound();
    let report = nodes.audit();

    assert_eq!((wrong(&report), noted(&report), report.gaps.clone()), (vec![], vec![], vec![]));
    let judged = &report.judged;
    assert_eq!((judged.directories, judged.logs, judged.segments), (3, 9, 15));
    // Five, two and seven batches in the logs of each of the three.
    assert_eq!((judged.batches, judged.pairs, judged.compared), (42, 9, 42));
}

#[test]
fn each_log_directory_is_found_once_however_it_is_named() {
    let nodes = Nodes::sound();
    let places = vec![nodes.root().to_owned(), nodes.path(2), nodes.root().join("node-1")];
    let report = audit(&Question { places, ..Question::default() }).unwrap();

    assert_eq!(report.judged.directories, 3);
}

#[test]
fn what_is_no_directory_of_a_stopped_cluster_is_refused() {
    let nodes = Nodes::sound();
    let asked = |place: std::path::PathBuf| audit(&Question { places: vec![place], ..Question::default() });

    assert!(matches!(asked(nodes.path(1).join("visits-0")), Err(AuditError::Nothing(_))));
    assert!(matches!(asked(nodes.root().join("nothing")), Err(AuditError::Unreadable(_))));

    let lock = fs::File::open(nodes.path(2).join(".lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(asked(nodes.root().to_owned()), Err(AuditError::InUse(path)) if path == nodes.path(2)));
    lock.unlock().unwrap();
    assert!(asked(nodes.root().to_owned()).is_ok());

    nodes.change(&nodes.path(3).join("meta.properties"), |bytes| bytes.retain(|byte| *byte != b'='));
    assert!(matches!(asked(nodes.root().to_owned()), Err(AuditError::Nameless { .. })));
}

#[test]
fn directories_of_two_clusters_are_not_judged_together() {
    let nodes = Nodes::sound();
    let changed = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("cluster.id=c", "cluster.id=d").into_bytes();
    };
    nodes.change(&nodes.path(3).join("meta.properties"), changed);

    assert!(matches!(nodes.ask(&Question::default()), Err(AuditError::Clusters { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever a file holds, an audit comes to an end and says something.
    #[test]
    fn any_bytes_in_any_file_are_survived(which: u16, at: u16, with: Vec<u8>, cut: Option<u16>) {
        let nodes = Nodes::sound();
        let mut files: Vec<_> = Vec::new();
        for node in 1..=3 {
            for log in ["", "visits-0", "visits-1", "__cluster_metadata-0"] {
                let entries = fs::read_dir(nodes.path(node).join(log)).unwrap();
                files.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
            }
        }
        files.sort();
        nodes.change(&files[usize::from(which) % files.len()], |bytes| {
            let at = usize::from(at) % (bytes.len() + 1);
            let end = bytes.len().min(at + with.len());
            bytes.splice(at..end, with);
            bytes.truncate(cut.map_or(usize::MAX, usize::from));
        });
        let _ = nodes.ask(&Question::default());
    }
}
