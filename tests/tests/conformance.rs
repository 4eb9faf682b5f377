//! What brokers record of themselves shows that they followed their cores; and where a driver does not, it shows that, at
//! its place.

use std::path::Path;

use highwater_model::fault::{Bug, Slip};
use highwater_tests::simulation::{Control, Identities, Report, Scenario};
use highwater_verify::trace::read::recordings;
use highwater_verify::trace::recording::replay;
use highwater_verify::trace::{Finding, Tally, cluster};

/// More than a run records.
const ALL: usize = 256 << 20;

fn run(seed: u64, control: Control, recorded_bytes_max: Option<usize>) -> Report {
    let identities = Identities::new().expect("keys and certificates can be made");
    Scenario { seed, control, events_kept: 0, recorded_bytes_max }.run(&identities)
}

/// What a trace of all brokers shows.
fn judged(dir: &Path) -> (Vec<Finding>, Tally) {
    cluster::judge(recordings(&[dir.to_owned()]).expect("the recordings can be read"))
}

fn trace_of(report: &Report) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    report.write_recordings(dir.path()).expect("the recordings can be written");
    dir
}

/// The rules that are broken in the first of these seeds that shows anything, by all brokers together and by each run alone.
fn shown(control: Control, seeds: std::ops::Range<u64>) -> [Vec<&'static str>; 2] {
    for seed in seeds {
        let trace = trace_of(&run(seed, control, Some(ALL)));
        let (together, _) = judged(trace.path());
        let Some(first) = together.first() else { continue };
        eprintln!("{control:?}, seed {seed}, {} findings:\n{first}", together.len());
        let runs = recordings(&[trace.path().to_owned()]).expect("the recordings can be read");
        let alone: Vec<Finding> = runs.into_iter().flat_map(|run| replay(run).0).collect();
        let rules = |found: &[Finding]| found.iter().map(|finding| finding.rule).collect();
        return [rules(&together), rules(&alone)];
    }
    panic!("{control:?} is not shown");
}

/// A slip must be shown by the run of a broker alone, under this rule.
fn assert_shown(slip: Slip, rule: &str) {
    let [together, alone] = shown(Control::Slipping(slip), 0..12);

    assert!(together.contains(&rule), "{}: {together:?}", slip.id());
    assert!(alone.contains(&rule), "{}: {alone:?}", slip.id());
}

#[test]
fn brokers_follow_their_cores_and_recording_changes_nothing() {
    let mut total = Tally::default();
    for seed in 0..3 {
        let report = run(seed, Control::Nothing, Some(ALL));
        assert!(report.is_clean(), "{report}");
        let (findings, tally) = judged(trace_of(&report).path());
        assert!(findings.is_empty(), "seed {seed}: {}", findings[0]);
        assert!(!tally.has_gaps() && tally.cut_short == 0 && tally.messages_from_the_cut == 0, "{tally:?}");
        total.add(&tally);
        if seed == 0 {
            assert_eq!(
                run(seed, Control::Nothing, None).trace_hash,
                report.trace_hash,
                "one seed is one run"
            );
        }
    }
    eprintln!("{total:?}");
    assert!(total.steps > 1_000 && total.acts > 1_000 && total.messages > 500, "{total:?}");
}

#[test]
fn processes_follow_their_cores_through_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut story = highwater_tests::command::highwater(env!("CARGO_BIN_EXE_highwater-planted"), "none");
    story.args(["quickstart", "--records", "60000", "--seed", "4", "--trace", "trace"]);
    let output = story.current_dir(dir.path()).output().expect("the binary was built with the tests");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");

    let (findings, tally) = judged(&dir.path().join("trace"));

    assert!(findings.is_empty(), "{}", findings[0]);
    assert_eq!((tally.runs, tally.cut_short, tally.missing), (4, 1, 0), "one was killed: {tally:?}");
    assert!(tally.steps > 1_000 && tally.messages > 300, "{tally:?}");
    eprintln!("{tally:?}");
}

#[test]
fn a_step_after_the_end_of_a_life_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let id = Slip::StepAfterEnd.id();
    let mut story = highwater_tests::command::highwater(env!("CARGO_BIN_EXE_highwater-planted"), id);
    story.args(["quickstart", "--records", "60000", "--seed", "4", "--trace", "trace"]);
    let output = story.current_dir(dir.path()).output().expect("the binary was built with the tests");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let (findings, _) = judged(&dir.path().join("trace"));

    let rules: Vec<_> = findings.iter().map(|found| found.rule).collect();
    assert!(rules.contains(&"nothing is done for a core whose life has ended"), "{rules:?}");
}

#[test]
fn what_finds_no_room_is_known_to_be_missing_and_the_rest_is_judged() {
    // Nobody takes anything while it runs, so that all after the bound is missing.
    let (findings, tally) = judged(trace_of(&run(0, Control::Nothing, Some(10_000))).path());

    assert!(findings.is_empty(), "{}", findings[0]);
    assert!(tally.missing > 0 && tally.has_gaps() && tally.steps > 100, "{tally:?}");
}

#[test]
fn an_effect_that_is_dropped_is_shown() {
    assert_shown(Slip::DropEffect, "each effect has its act, in order");
}

#[test]
fn an_act_that_is_added_is_shown() {
    assert_shown(Slip::AddAct, "each act has its effect");
}

#[test]
fn effects_out_of_order_are_shown() {
    assert_shown(Slip::Reorder, "each effect has its act, in order");
}

#[test]
fn a_promise_before_its_sync_is_shown() {
    assert_shown(Slip::BeforeSync, "an input rests on what has come to pass at the edge");
}

#[test]
fn a_completion_for_another_log_is_shown() {
    assert_shown(Slip::OtherGeneration, "nothing is delivered to another log generation than its own");
}

#[test]
fn an_answer_to_another_incarnation_is_shown() {
    let [together, _] = shown(Control::Slipping(Slip::OtherIncarnation), 0..12);

    assert!(
        together.contains(&"a message that is taken was sent, as it is and by whom it names"),
        "{together:?}"
    );
}

#[test]
fn an_early_answer_is_shown() {
    assert_shown(Slip::AckEarly, "each effect has its act, in order");
}

#[test]
fn a_vote_before_it_is_stored_is_shown() {
    assert_shown(Slip::VoteBeforeStored, "an input rests on what has come to pass at the edge");
}

#[test]
fn an_input_without_a_cause_is_shown() {
    assert_shown(Slip::Invent, "an input rests on what has come to pass at the edge");
}

#[test]
fn a_core_with_a_bug_is_shown() {
    let [together, alone] = shown(Control::Planted(Bug::AckAtLeaderAppend), 0..2);

    let rule = "the core gives the effects that were recorded";
    assert!(together.contains(&rule) && alone.contains(&rule), "{together:?}");
}

#[test]
fn a_proposal_that_is_dropped_is_shown() {
    assert_shown(Slip::DropProposal, "each effect has its act, in order");
}

#[test]
fn records_that_are_read_and_never_sent_are_shown() {
    assert_shown(Slip::DropReads, "each effect has its act, in order");
}

#[test]
fn metadata_that_is_read_and_never_sent_is_shown() {
    assert_shown(Slip::DropMetadataReads, "each effect has its act, in order");
}

#[test]
fn a_replica_that_goes_on_after_a_failed_cut_is_shown() {
    assert_shown(Slip::GoOnUncut, "nothing is done for a core whose storage has failed");
}

#[test]
fn an_expiry_of_a_timer_that_does_not_run_is_shown() {
    assert_shown(Slip::ExpireUnarmed, "each act has its effect");
}

#[test]
fn an_answer_that_a_controller_owes_and_drops_is_shown() {
    assert_shown(Slip::DropReply, "each effect has its act, in order");
}

#[test]
fn a_decision_that_is_put_into_the_log_twice_is_shown() {
    assert_shown(Slip::DecideTwice, "each act has its effect");
}

#[test]
fn decisions_out_of_order_are_shown() {
    assert_shown(Slip::ReorderDecision, "each effect has its act, in order");
}

#[test]
fn an_answer_before_its_commit_is_shown() {
    assert_shown(Slip::AnswerBeforeCommit, "each act has its effect");
}

#[test]
fn a_batch_that_is_applied_before_its_commit_is_shown() {
    assert_shown(Slip::ApplyBeforeCommit, "an input rests on what has come to pass at the edge");
}

#[test]
fn a_commit_of_another_office_is_shown() {
    assert_shown(Slip::OtherOffice, "an input rests on what has come to pass at the edge");
}

#[test]
fn a_request_that_a_broker_owes_and_drops_is_shown() {
    assert_shown(Slip::DropRequest, "each effect has its act, in order");
}

#[test]
fn a_request_that_is_made_twice_is_shown() {
    assert_shown(Slip::AskTwice, "each effect has its act, in order");
}

#[test]
fn standing_out_of_order_is_shown() {
    assert_shown(Slip::ReorderStanding, "each effect has its act, in order");
}

#[test]
fn a_registration_that_is_acted_under_before_it_is_noted_is_shown() {
    assert_shown(Slip::StandBeforeNoted, "each effect has its act, in order");
}

#[test]
fn an_answer_to_another_request_is_shown() {
    assert_shown(Slip::AnswerToAnother, "what ends was submitted, and its end is given to the core, once");
}

#[test]
fn metadata_that_is_reported_before_its_commit_is_shown() {
    assert_shown(Slip::AheadOfMetadata, "an input rests on what has come to pass at the edge");
}
