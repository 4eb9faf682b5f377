//! What `verify audit` says of the directories of real clusters that were stopped or killed, and of such as were damaged
//! afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_client::settings::ProducerSettings;
use highwater_model::id::NodeId;
use highwater_tests::processes::{Cluster, Ledger, Load, new_topic};
use highwater_verify::audit::{AuditError, Finding, Question, Report, audit};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// One partition led by each of three nodes, replicated to all.
const EVERYWHERE: [[NodeId; 3]; 3] =
    [[NodeId(1), NodeId(2), NodeId(3)], [NodeId(2), NodeId(3), NodeId(1)], [NodeId(3), NodeId(1), NodeId(2)]];

/// A topic of three partitions whose logs have many segments.
async fn create(cluster: &mut Cluster, topic: &str, replicas: [[NodeId; 3]; 3]) {
    let replicas: Vec<&[NodeId]> = replicas.iter().map(<[NodeId; 3]>::as_slice).collect();
    let mut new = new_topic(topic, &replicas, 2);
    new.configs.push(("segment.bytes".to_owned(), "16384".to_owned()));
    cluster.admin().create_topic(new, false).await.expect("nothing is in the way of it");
    cluster.all_in_sync(&[topic]).await;
}

/// A stopped cluster, and what its clients were told.
struct Stopped {
    cluster: Cluster,
    history: PathBuf,
}

impl Stopped {
    fn of(cluster: Cluster, ledger: &Ledger) -> Self {
        let history = cluster.directory().join("history.jsonl");
        fs::write(&history, ledger.history()).expect("there is room for it");
        Self { cluster, history }
    }

    fn audit(&self) -> Report {
        self.audit_of(false)
    }

    fn audit_of(&self, is_whole: bool) -> Report {
        let places = vec![self.cluster.directory().to_owned()];
        let (history, topic) = (Some(self.history.clone()), Some("visits".to_owned()));
        let question = Question { places, history, topic, is_whole, ..Question::default() };
        let report = audit(&question).expect("the directories can be read");
        show(&report);
        report
    }

    fn assert_clean(&self) -> Report {
        let report = self.audit();
        assert!(report.findings.is_empty() && report.gaps.is_empty());
        let judged = &report.judged;
        assert!(judged.compared > 0 && judged.acknowledged > 0 && judged.found >= judged.acknowledged);
        report
    }

    /// The segments of a log, in order.
    fn segments(&self, node: NodeId, log: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.cluster.data_dir(node).join(log)).expect("the log is there");
        let mut files: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
        files.retain(|file| file.extension().is_some_and(|suffix| suffix == "log"));
        files.sort();
        files
    }

    /// What an audit finds while a file is changed.
    fn while_changed(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Finding> {
        let before = fs::read(path).expect("the file is there");
        let mut after = before.clone();
        change(&mut after);
        fs::write(path, &after).expect("there is room for it");
        let found = self.audit().findings;
        fs::write(path, &before).expect("there is room for it");
        found
    }

    /// What an audit finds while a file is not there.
    fn while_gone(&self, path: &Path) -> Vec<Finding> {
        let aside = path.with_extension("aside");
        fs::rename(path, &aside).expect("the file is there");
        let found = self.audit().findings;
        fs::rename(&aside, path).expect("it is there again");
        found
    }
}

fn show(report: &Report) {
    report.findings.iter().take(10).for_each(|finding| eprintln!("{finding}"));
    report.notes.iter().take(10).for_each(|note| eprintln!("note: {note}"));
    report.gaps.iter().take(10).for_each(|gap| eprintln!("not judged: {gap}"));
    eprintln!("{} findings, {:?}", report.findings.len(), report.judged);
}

/// Whether a log begins behind 0. One that begins anew has no segment for a moment.
fn is_shortened(log: &Path) -> bool {
    let files = fs::read_dir(log).expect("a node has a metadata log");
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let bases = names.filter_map(|name| name.strip_suffix(".log")?.parse::<u64>().ok());
    bases.min().is_some_and(|base| base > 0)
}

/// Insists that this was found, in this file.
fn assert_found(found: &[Finding], rule: &str, file: &Path) {
    let is_it = |finding: &Finding| finding.rule == rule && Path::new(&finding.place.file).starts_with(file);
    assert!(found.iter().any(is_it), "{rule} in {}: {found:?}", file.display());
}

/// Each node killed and started again under load.
async fn killed_in_turn(cluster: &mut Cluster, load: &Load, rounds: usize) {
    for victim in ALL.into_iter().cycle().take(rounds) {
        cluster.kill(&[victim]).await;
        load.until_more(60).await;
        cluster.start(victim);
        load.until_more(60).await;
    }
}

#[tokio::test]
async fn a_cluster_that_was_killed_under_load_is_clean_each_time() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    create(&mut cluster, "visits", EVERYWHERE).await;
    let visits = Arc::new(Ledger::new("visits", 3, 2));
    let load = Load::start(cluster.client(), &visits);
    load.until_more(200).await;
    killed_in_turn(&mut cluster, &load, 5).await;
    // A leader dies, and everybody else while another one is being elected, or a little later.
    for (victim, pause) in ALL.into_iter().cycle().zip([0, 150, 400, 700, 1100, 1600]) {
        cluster.kill(&[victim]).await;
        cluster.env().sleep(std::time::Duration::from_millis(pause)).await;
        cluster.kill(&ALL).await;
        let stopped = Stopped::of(cluster, &visits);
        stopped.assert_clean();
        cluster = stopped.cluster;
        cluster.start_all(&ALL);
        load.until_more(60).await;
    }
    load.finish().await;
    cluster.all_in_sync(&["visits"]).await;
    for node in ALL {
        cluster.terminate(node).await;
    }

    let stopped = Stopped::of(cluster, &visits);
    let judged = stopped.assert_clean().judged;
    assert!(judged.segments > 12 && judged.batches > 300, "{judged:?}");

    // It was level, so that whoever stopped first has everything, too.
    let report = stopped.audit_of(true);
    assert!(report.findings.is_empty() && report.gaps.is_empty());
    assert_eq!(report.judged.found, 3 * report.judged.acknowledged);
    let first = stopped.cluster.data_dir(NodeId(1));
    let last = stopped.segments(NodeId(1), "visits-1").pop().expect("it has a segment");
    fs::write(&last, []).expect("there is room for it");
    fs::remove_file(first.join("recovery-point-offset-checkpoint")).expect("it is there");
    fs::remove_file(first.join("clean-stop")).expect("it is there");
    assert_found(&stopped.audit_of(true).findings, "committed records are missing", &first);
}

#[tokio::test]
async fn a_metadata_log_that_snapshots_keep_short_is_clean() {
    let mut cluster = Cluster::with_observer(PROGRAM, 3).await;
    create(&mut cluster, "visits", EVERYWHERE).await;
    let visits = Arc::new(Ledger::new("visits", 3, 1));
    let load = Load::start(cluster.client(), &visits);
    load.until_more(100).await;
    let is_shortened = |cluster: &Cluster| {
        ALL.iter().all(|node| is_shortened(&cluster.data_dir(*node).join("__cluster_metadata-0")))
    };
    for topic in 0..30 {
        cluster.create_topic(&format!("other-{topic}"), &[ALL.as_slice(); 24], 1).await;
        killed_in_turn(&mut cluster, &load, topic % 2).await;
        if is_shortened(&cluster) {
            break;
        }
    }
    // A node that was killed again and again has yet to catch up.
    for _ in 0..400 {
        if is_shortened(&cluster) {
            break;
        }
        cluster.env().sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(is_shortened(&cluster), "the metadata log is never shortened");
    cluster.kill(&[ALL.as_slice(), &[NodeId(4)]].concat()).await;

    let judged = Stopped::of(cluster, &visits).assert_clean().judged;
    assert!(judged.directories == 4 && judged.snapshots >= 4, "{judged:?}");
}

#[tokio::test]
async fn brokers_that_are_no_controllers_are_clean() {
    let mut cluster = Cluster::with_controllers(PROGRAM, 3).await;
    let brokers = EVERYWHERE.map(|replicas| replicas.map(|node| NodeId(node.0 + 3)));
    create(&mut cluster, "visits", brokers).await;
    let visits = Arc::new(Ledger::new("visits", 3, 1));
    let load = Load::start(cluster.client(), &visits);
    load.until_more(100).await;
    killed_in_turn(&mut cluster, &load, 3).await;
    cluster.kill(&(1..=6).map(NodeId).collect::<Vec<_>>()).await;

    let judged = Stopped::of(cluster, &visits).assert_clean().judged;
    assert!(judged.directories == 6, "{judged:?}");
}

#[tokio::test]
async fn a_cluster_that_runs_is_refused() {
    let cluster = Cluster::combined(PROGRAM, 1).await;
    let question = Question { places: vec![cluster.directory().to_owned()], ..Question::default() };

    let refused = audit(&question).expect_err("its broker runs");

    assert!(matches!(&refused, AuditError::InUse(path) if *path == cluster.data_dir(NodeId(1))), "{refused}");
}

#[tokio::test]
async fn damage_in_the_directories_of_a_real_cluster_is_found_at_its_place() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    create(&mut cluster, "visits", EVERYWHERE).await;
    let visits = Ledger::new("visits", 3, 1);
    let producer = cluster.client().producer(ProducerSettings::default());
    for _ in 0..20 {
        let outcomes = visits.produce(&producer, 150).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    cluster.all_in_sync(&["visits"]).await;
    cluster.kill(&ALL).await;
    let stopped = Stopped::of(cluster, &visits);
    stopped.assert_clean();

    let segments = stopped.segments(NodeId(2), "visits-1");
    let [first, second, .., last] = segments.as_slice() else { panic!("many segments: {segments:?}") };
    let found = stopped.while_changed(second, |bytes| flip(bytes, 200));
    assert_found(&found, "log is damaged", second);
    assert!(
        found.iter().any(|one| one.place.node == Some(2) && one.place.position.is_some_and(|at| at <= 200))
    );
    assert_found(&found, "acknowledged record is not there", &stopped.cluster.data_dir(NodeId(2)));
    // As if it had never been written.
    let found = stopped.while_changed(last, Vec::clear);
    assert_found(&found, "acknowledged record is not there", &stopped.cluster.data_dir(NodeId(2)));
    let found = stopped.while_gone(second);
    assert_found(&found, "log is damaged", &stopped.cluster.data_dir(NodeId(2)));
    let found = stopped.while_gone(first);
    assert_found(&found, "beginning of the log is missing", &stopped.cluster.data_dir(NodeId(2)));
    let found = stopped.while_gone(last);
    assert_found(&found, "acknowledged record is not there", &stopped.cluster.data_dir(NodeId(2)));

    // Two partitions of one node change places.
    let data = stopped.cluster.data_dir(NodeId(3));
    let swap = || {
        for (from, to) in [("visits-0", "aside"), ("visits-2", "visits-0"), ("aside", "visits-2")] {
            fs::rename(data.join(from), data.join(to)).expect("the log is there");
        }
    };
    swap();
    let found = stopped.audit().findings;
    swap();
    for log in ["visits-0", "visits-2"] {
        assert_found(&found, "replicas differ", &data.join(log));
        assert_found(&found, "acknowledged record is not there", &data.join(log));
    }

    let metadata = stopped.segments(NodeId(1), "__cluster_metadata-0").pop().expect("it has a segment");
    let found = stopped.while_changed(&metadata, |bytes| flip(bytes, 90));
    assert_found(&found, "log is damaged", &metadata);
    stopped.assert_clean();
}

fn flip(bytes: &mut [u8], at: usize) {
    let byte = bytes.get_mut(at).expect("the file is longer");
    *byte ^= 0x10;
}
