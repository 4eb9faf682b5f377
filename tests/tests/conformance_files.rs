//! What the files of recordings show when some of them are gone, were never written, or are not what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use highwater_model::fault::Slip;
use highwater_model::id::NodeId;
use highwater_model::replication::Timer;
use highwater_model::trace::{Act, Acted, Began, CoreNumber, Life, kind};
use highwater_tests::simulation::{Control, Identities, Report, Scenario};
use highwater_verify::trace::read::{Record, Recording, recordings};
use highwater_verify::trace::recording::replay;
use highwater_verify::trace::{Finding, Tally, cluster};

/// Room for all that a node records, in files of an eighth of it.
const ROOM: u64 = 128 << 10;
/// Room for a part of it.
const LITTLE_ROOM: u64 = 32 << 10;

/// The rule of a message that nobody sent.
const SENT_BEFORE: &str = "a message that is taken was sent, as it is and by whom it names";

static IDENTITIES: LazyLock<Identities> =
    LazyLock::new(|| Identities::new().expect("keys and certificates can be made"));

const SCENARIO: Scenario =
    Scenario { seed: 0, control: Control::Nothing, events_kept: 0, recorded_bytes_max: None };

/// The files of a run whose brokers may record so much each.
fn recorded(bytes_max: u64) -> (tempfile::TempDir, Report) {
    let dir = tempfile::tempdir().expect("a directory");
    let report = SCENARIO.run_into(&IDENTITIES, dir.path(), bytes_max);
    assert!(report.end.is_ok(), "{report}");
    (dir, report)
}

/// The files of each run of each node, in order.
fn files(dir: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut runs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("the directory is there") {
        let path = entry.expect("the directory can be listed").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (run, _) = name.rsplit_once('-').expect("a name ends with a number");
        runs.entry(run.to_owned()).or_default().push(path);
    }
    runs.values_mut().for_each(|files| files.sort());
    runs
}

fn read(dir: &Path) -> Vec<Recording> {
    recordings(&[dir.to_owned()]).expect("the recordings can be read")
}

/// What all of them together and each by itself show, which is nothing wrong.
fn clean(dir: &Path) -> Tally {
    let (findings, tally) = cluster::judge(read(dir));
    let alone: Vec<Finding> = read(dir).into_iter().flat_map(|run| replay(run).0).collect();
    if let Some(found) = findings.iter().chain(&alone).next() {
        panic!("{found}");
    }
    eprintln!("{tally:?}");
    tally
}

#[test]
fn files_that_follow_each_other_replay_as_one() {
    let (dir, report) = recorded(ROOM);
    let unrecorded = SCENARIO.run(&IDENTITIES);
    assert_eq!(report.trace_hash, unrecorded.trace_hash, "recording into files changes nothing");

    let most = files(dir.path()).into_values().map(|files| files.len()).max();
    assert!(most > Some(1), "no run has files that follow each other: {most:?}");
    let tally = clean(dir.path());
    assert!(!tally.has_gaps() && tally.steps > 1_000 && tally.messages > 500, "{tally:?}");
    assert_eq!((tally.cut_short, tally.torn_bytes), (tally.runs, 0), "all were killed: {tally:?}");

    a_run_that_was_not_recorded_is_known_to_be_missing(dir.path());
}

/// An answer that is passed off as another's is known for what it is though its sender was killed, later or before.
#[test]
fn a_kill_excuses_no_message_of_another_moment() {
    let scenario = Scenario { control: Control::Slipping(Slip::OtherIncarnation), ..SCENARIO };
    let mut rules = BTreeSet::new();
    for seed in 0..4 {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Scenario { seed, ..scenario }.run_into(&IDENTITIES, dir.path(), 64 << 20));
        let (findings, tally) = cluster::judge(read(dir.path()));
        assert_eq!(tally.cut_short, tally.runs, "all were killed: {tally:?}");
        rules.extend(findings.iter().map(|found| found.rule));
    }
    assert!(rules.contains("a message that is taken was sent, as it is and by whom it names"), "{rules:?}");
}

/// What a driver does wrong is shown though the beginning of its run was rotated away.
#[test]
fn slips_are_shown_in_what_is_left_of_a_run() {
    let slips = [
        (Slip::ExpireUnarmed, "each act has its effect"),
        (Slip::DropEffect, "each effect has its act, in order"),
        (Slip::BeforeSync, "an input rests on what has come to pass at the edge"),
    ];
    for (slip, rule) in slips {
        let rules_of = |seed| {
            let dir = tempfile::tempdir().expect("a directory");
            let scenario = Scenario { seed, control: Control::Slipping(slip), ..SCENARIO };
            drop(scenario.run_into(&IDENTITIES, dir.path(), LITTLE_ROOM));
            // Only of what has lost its beginning, and from where the cores are shown.
            let rotated = read(dir.path()).into_iter().filter(|run| run.header.file > 0);
            rotated.flat_map(|run| replay(run).0).map(|found| found.rule).collect::<Vec<_>>()
        };
        assert!((0..4).any(|seed| rules_of(seed).contains(&rule)), "{slip:?}");
    }
}

/// Copies what is recorded but for some files.
fn without(dir: &Path, gone: impl Fn(&Path) -> bool) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a directory");
    for path in files(dir).into_values().flatten().filter(|path| !gone(path)) {
        let name = path.file_name().expect("a name");
        fs::copy(&path, copy.path().join(name)).expect("a file can be copied");
    }
    copy
}

fn one_that_is_gone_between_two_is_a_gap(dir: &Path, whole: &Tally) {
    let runs = files(dir);
    let longest = runs.values().max_by_key(|files| files.len()).expect("there are runs");
    assert!(longest.len() > 2, "a run of more than two files: {longest:?}");
    let middle = longest.get(longest.len() / 2).expect("it has a middle");

    let tally = clean(without(dir, |path| path == middle).path());

    assert!(tally.missing > whole.missing && tally.steps < whole.steps, "{tally:?}");
    assert!(tally.cores > whole.cores, "the cores of that run are met again and judged on: {tally:?}");
}

fn a_run_that_was_not_recorded_is_known_to_be_missing(dir: &Path) {
    let runs: Vec<String> = files(dir).into_keys().collect();
    let of_first: Vec<&String> = runs.iter().filter(|run| run.starts_with("node-1-")).collect();
    let unrecorded = of_first.get(1).expect("the first node was restarted");
    let is_gone = |path: &Path| path.to_string_lossy().contains(unrecorded.as_str());

    let tally = clean(without(dir, is_gone).path());
    assert!(tally.unrecorded == 1 && tally.has_gaps() && tally.messages_from_the_cut > 0, "{tally:?}");

    // A broker that was never recorded at all, or whose directory was not given.
    let tally = clean(without(dir, |path| path.to_string_lossy().contains("node-3-")).path());
    assert!(tally.unrecorded > 1 && tally.has_gaps() && tally.messages > 100, "{tally:?}");
}

fn renumber(run: &mut Recording) {
    (0..).zip(&mut run.records).for_each(|(number, record)| record.number = number);
}

/// What a record says that was done, if it is of an act.
fn acted(record: &Record) -> Option<Acted<Timer>> {
    let body = (record.kind == kind::ACT).then_some(&record.body)?;
    postcard::from_bytes(body).ok()
}

/// Where a run sent a message between replicas.
fn sendings(run: &Recording) -> Vec<usize> {
    let replicas: BTreeSet<CoreNumber> = (run.records.iter())
        .filter(|record| record.kind == kind::BEGAN)
        .filter_map(|record| postcard::from_bytes::<Began>(&record.body).ok())
        .filter(|began| matches!(began.life, Life::Replica { .. }))
        .map(|began| began.core)
        .collect();
    let is_sending = |record: &Record| matches!(acted(record), Some(Acted { core, act: Act::Sent { .. } }) if replicas.contains(&core));
    (0..).zip(&run.records).filter(|(_, record)| is_sending(record)).map(|(at, _)| at).collect()
}

/// The recordings of two brokers that are no voters, from a cluster in which somebody else is the only one.
fn of_mere_brokers(seed: u64) -> Vec<Recording> {
    let dir = tempfile::tempdir().expect("a directory");
    let recorded_bytes_max = Some(256 << 20);
    let scenario = Scenario { seed, control: Control::OneVoter, recorded_bytes_max, ..SCENARIO };
    let report = scenario.run(&IDENTITIES);
    assert!(report.end.is_ok(), "{report}");
    report.write_recordings(dir.path()).expect("the recordings can be written");
    let mut runs = read(dir.path());
    runs.retain(|run| run.header.node != NodeId(1));
    runs
}

/// What these runs show, which is nothing wrong.
fn sound(runs: &[Recording]) -> Tally {
    let (findings, tally) = cluster::judge(runs.to_vec());
    if let Some(found) = findings.first() {
        panic!("{found}");
    }
    tally
}

/// Brokers are recorded from one restart after the other on: what one of them said in its run before is believed, and nothing
/// that a recorded run did not say.
#[test]
fn what_a_mere_broker_said_before_it_was_recorded_is_believed() {
    let all = of_mere_brokers(1);
    let whole = sound(&all);
    for node in [NodeId(2), NodeId(3)] {
        let mut partly = all.clone();
        let first = partly.iter().position(|run| run.header.node == node).expect("it ran");
        drop(partly.remove(first));
        let tally = sound(&partly);
        assert_eq!(tally.unrecorded, whole.unrecorded + 1, "{tally:?}");
        assert!(tally.messages > 300, "{tally:?}");
        let (found, unsaid) = without_sendings(&partly);
        assert!(found > 10 && unsaid > 0, "{unsaid} of {found}");
    }
}

/// Of some messages, each left out by itself: how many are found out, and how many of these by whoever took them. The others are
/// found out by their own broker's core, which had them sent. All are that need have been made before the run was killed.
fn without_sendings(runs: &[Recording]) -> (usize, usize) {
    let (mut found, mut unsaid) = (0, 0);
    for (at, run) in (0..).zip(runs) {
        for sending in sendings(run).into_iter().step_by(17) {
            let mut without = runs.to_vec();
            let altered = without.get_mut(at).expect("the same runs");
            let left_out = altered.records.remove(sending);
            renumber(altered);
            let (findings, _) = cluster::judge(without);
            let left_out = acted(&left_out).expect("a sending is an act");
            let is_due = (run.records.iter().skip(sending + 1).filter_map(acted))
                .any(|later| comes_after(&left_out, &later));
            assert!(!is_due || !findings.is_empty(), "{left_out:?} of {:?}", run.header);
            found += usize::from(!findings.is_empty());
            unsaid += usize::from(findings.iter().any(|found| found.rule == SENT_BEFORE));
        }
    }
    (found, unsaid)
}

/// Whether an act shows that a sending has been made before: one of the same core, and if the message waited for its records, one
/// by which another such message to that node came to its end.
fn comes_after(sending: &Acted<Timer>, later: &Acted<Timer>) -> bool {
    let Act::Sent { to, carried, .. } = &sending.act else { return false };
    let is_sent =
        matches!(&later.act, Act::Sent { to: other, carried, .. } if other == to && carried.count > 0);
    let is_of_waiting = is_sent || matches!(&later.act, Act::NotSent { to: other } if other == to);
    later.core == sending.core && (carried.count == 0 || is_of_waiting)
}

#[test]
fn what_was_rotated_away_is_missing_and_the_rest_is_judged() {
    let (dir, _) = recorded(LITTLE_ROOM);
    let size = |path: &PathBuf| fs::metadata(path).expect("the file is there").len();
    let mut of_nodes: BTreeMap<String, u64> = BTreeMap::new();
    for (run, files) in files(dir.path()) {
        let node = run.get(..6).expect("a name begins with its node").to_owned();
        *of_nodes.entry(node).or_default() += files.iter().map(size).sum::<u64>();
    }
    // A file is as large as its last frame makes it.
    assert!(of_nodes.values().all(|bytes| *bytes < LITTLE_ROOM * 3 / 2), "{of_nodes:?}");

    let tally = clean(dir.path());
    assert!(tally.has_gaps() && tally.steps > 500, "{tally:?}");
    one_that_is_gone_between_two_is_a_gap(dir.path(), &tally);
}

#[test]
fn records_that_were_altered_are_judged_like_any_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let scenario = Scenario { recorded_bytes_max: Some(256 << 20), ..SCENARIO };
    scenario.run(&IDENTITIES).write_recordings(dir.path()).expect("the recordings can be written");
    let whole = read(dir.path());
    let longest = whole.iter().max_by_key(|run| run.records.len()).expect("there are runs");
    let mut shown = 0;
    for turn in 0..60_usize {
        let mut altered = longest.clone();
        let at = turn * altered.records.len() / 60;
        let record = altered.records.get_mut(at).expect("within the run");
        let byte = (turn * 7) % record.body.len().max(1);
        if let Some(byte) = record.body.get_mut(byte) {
            *byte ^= 1 << (turn % 8);
        }
        let (findings, _) = replay(altered);
        shown += usize::from(!findings.is_empty());
    }
    eprintln!("{shown} of 60 are shown by the run itself");
    assert!(shown > 40, "{shown} of 60 alterations are shown");
}
