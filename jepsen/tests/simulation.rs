//! The simulator from the outside: a seed is a history, sound brokers pass, and planted faults do not.

use std::time::Duration;

use highwater_jepsen::cluster::simulated::{Identities, Plant};
use highwater_jepsen::nemesis::{Kind, Pace, Troubles};
use highwater_jepsen::planted;
use highwater_jepsen::run::Plan;
use highwater_jepsen::simulation::{Finished, Scenario};
use highwater_jepsen::workload::{Work, log, register};
use jepsen_judge::verdict::Validity;

fn scenario(work: Work, seconds: u64) -> Scenario {
    let troubles = Troubles { kinds: Kind::ALL.to_vec(), pace: Pace::default(), frail: None };
    let plan = Plan { seed: 0, time: Duration::from_secs(seconds), troubles, work };
    Scenario { plan, plant: Plant::Nothing, rerun: "jepsen run --on sim".to_owned(), keeps_evidence: false }
}

fn records() -> Work {
    Work::Log(log::Plan { acknowledged_min: 100, ..log::Plan::simulated() })
}

fn run(scenario: &Scenario, seed: u64) -> Finished {
    let identities = Identities::new(3).expect("keys are to be had");
    scenario.run(seed, &identities).expect("the history can be judged")
}

#[track_caller]
fn is_valid(finished: &Finished) {
    assert_eq!(finished.validity(), Validity::Valid, "seed {}: {:?}", finished.run.seed, finished.results);
}

#[test]
fn one_seed_is_one_history_and_another_is_another() {
    let scenario = scenario(records(), 10);
    let first = run(&scenario, 5);
    is_valid(&first);
    // Another run at once, and keys of its own, make no difference.
    let (again, other) = std::thread::scope(|threads| {
        let other = threads.spawn(|| run(&scenario, 6));
        (run(&scenario, 5), other.join().unwrap())
    });

    assert_eq!((first.history_hash, first.trace_hash), (again.history_hash, again.trace_hash));
    assert_eq!(first.history, again.history);
    assert_ne!(first.history_hash, other.history_hash);
    assert!(first.tally.get("faults") > 0 && first.tally.get("monitor evaluations") > 0);
}

#[test]
fn registers_are_read_and_changed_whatever_goes_wrong() {
    let work = register::Plan { pause_max: Duration::from_millis(300), ..register::Plan::default() };
    let finished = run(&scenario(Work::Register(work), 60), 0);

    is_valid(&finished);
    let counts = &finished.results.checkers["registers"].counts;
    assert!(counts["writes done"] > 100 && counts["compare-and-sets done"] > 30, "{counts:?}");
}

#[test]
fn a_planted_fault_is_found_and_named() {
    let acknowledged_early = planted::ALL.iter().find(|planted| planted.id == "P-01").expect("it is planted");
    let sought = acknowledged_early.seek(10, 1).expect("it can be looked for");

    let line = sought.found.expect("ten seeds are more than it takes");
    assert!(line.anomalies.keys().any(|name| acknowledged_early.shows_as.contains(&name.as_str())), "{line}");
    assert_eq!(line.validity, Validity::Invalid);
}
