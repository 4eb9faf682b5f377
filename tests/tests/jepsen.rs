//! The harness on real processes: a sound cluster is found valid under kills and partitions, and a bug planted in its brokers
//! is found and named.

use std::path::Path;
use std::time::Duration;

use highwater_jepsen::nemesis::{Kind, Pace, Troubles};
use highwater_jepsen::on_processes::Attack;
use highwater_jepsen::recorder::Recorder;
use highwater_jepsen::run::Plan;
use highwater_jepsen::store::{ResultsFile, Store};
use highwater_jepsen::verdicts;
use highwater_jepsen::workload::{Work, log};
use highwater_transport::env::Env;
use jepsen_judge::verdict::Validity;

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");

/// Attacks three brokers that have this bug, and judges what came of it twice.
async fn attack(dir: &Path, plant: &str, kinds: &[Kind], time: Duration) -> ResultsFile {
    let env = Env::real();
    let store = Store::create(dir).expect("an empty directory is to be had");
    let troubles = Troubles { kinds: kinds.to_vec(), pace: Pace::default(), frail: None };
    let attack = Attack {
        plan: Plan { seed: 7, time, troubles, work: Work::Log(log::Plan::default()) },
        brokers: 3,
        program: PROGRAM.into(),
        environment: vec![("HIGHWATER_PLANT".to_owned(), plant.to_owned())],
        verify: None,
        rerun: String::new(),
    };
    let recorder = Recorder::new(&env, Box::new(store.new_history().expect("the history is begun")));
    let (run, results) = Box::pin(attack.run(&env, &store, &recorder)).await.expect("there is a result");
    let again = verdicts::results(&store.run().expect("the run is stored"), &store.history());
    assert_eq!(again.expect("the history can be judged again"), results);
    eprintln!("{plant}: {:?} {:?} {:#?}", run.faults, run.failures, results.checkers);
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_and_partitions_lose_nothing() {
    let kinds = [Kind::KillLeader, Kind::KillAll, Kind::LeaderAlone, Kind::OneWay, Kind::PauseLeader];
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");

    let results = attack(&dir.path().join("run"), "none", &kinds, Duration::from_secs(15)).await;

    assert_eq!(results.failures, Vec::<String>::new());
    assert_eq!(results.validity, Validity::Valid);
    assert!(results.availability.recovered_after_ns.is_some(), "{:?}", results.availability);
    let counts = &results.checkers["log"].counts;
    assert!(counts["acknowledged"] > 500, "{counts:?}");
    assert!(counts["linearizable ends"] > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_before_it_is_committed_is_found_lost() {
    let kinds = [Kind::LeaderAlone, Kind::KillLeader];
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");

    let results = attack(&dir.path().join("run"), "P-01", &kinds, Duration::from_secs(15)).await;

    assert_eq!(results.validity, Validity::Invalid);
    assert!(results.checkers["log"].anomalies.contains_key("lost-write"), "{:#?}", results.checkers);
}

#[test]
fn what_is_no_run_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");
    let error = Store::open(dir.path()).run().expect_err("there is nothing");
    assert!(error.to_string().contains("run.json"), "{error}");

    std::fs::write(dir.path().join("run.json"), "{\"schema\":\"other\"}").expect("the file is written");
    let error = Store::open(dir.path()).run().expect_err("it is no run's");
    assert!(error.to_string().contains("name a directory that `jepsen run` made"), "{error}");

    std::fs::create_dir(dir.path().join("sub")).expect("the directory is made");
    let error = Store::create(dir.path()).expect_err("something is there");
    assert!(error.to_string().contains("--store"), "{error}");
}
