//! What becomes of counterexamples when the file or the code has changed.

use highwater_model::fault::Bug;
use serde_json::{Value, json};

use super::{End, ReplayError, Replayed};
use crate::engine::{Limits, Progress};
use crate::registry::{Request, Screen, World, recoveries, worlds};
use crate::report::Run;
use crate::story::Story;
use crate::story::file::{self, Recorded};

/// Bugs that are found quickly, of each model one.
const BUGS: [(&str, &str); 3] = [("quorum", "B-35"), ("metadata", "B-13d"), ("replication", "B-01")];

struct Dark;

impl Screen for Dark {
    fn said(&mut self, _: &str) {}

    fn begin(&mut self, _: &str, _: &str) {}
    fn progress(&mut self, _: Progress) {}
    fn end(&mut self, _: &Run) {}
}

fn world(model: &str) -> Box<dyn World> {
    let mut all = worlds().into_iter().chain(recoveries());
    all.find(|world| world.name() == model).expect("a model")
}

/// The counterexample that a search for a bug comes to.
pub(crate) fn found(model: &str, bug: &str) -> Story {
    let limits = Limits { threads: 1, ..Limits::default() };
    let request = Request { planted: Bug::by_id(bug), limits, ..Request::default() };
    let mut sweep = world(model).check(&request, &mut Dark).expect("a mutant of this model");
    let violation = sweep.runs.pop().and_then(|run| run.violation);
    violation.expect("the bug is found").story
}

/// The counterexample as it stands in a file.
fn written(model: &str, bug: &str) -> Value {
    serde_json::to_value(found(model, bug)).expect("a story can be written")
}

fn recorded(file: &Value) -> Recorded {
    file::read(&file.to_string()).expect("a counterexample")
}

fn replay(file: &Value, sound: bool) -> Result<Replayed, ReplayError> {
    let recorded = recorded(file);
    world(&recorded.model).replay(&recorded, sound)
}

fn end(file: &Value) -> End {
    replay(file, false).expect("a file that can be replayed").end
}

#[test]
fn what_was_written_is_broken_in_the_same_way_step_by_step() {
    for (model, bug) in BUGS {
        let story = found(model, bug);
        let file = serde_json::to_value(&story).expect("a story can be written");

        let replayed = replay(&file, false).expect("a file that can be replayed");

        assert_eq!((replayed.end, replayed.recorded), (End::StillBroken, story.steps.len()), "{bug}");
        assert_eq!(replayed.differs, Vec::<usize>::new(), "{bug}");
        assert_eq!(replayed.story, story, "{bug}");
        assert_eq!(replayed.exit_code(), 4);
    }
}

#[test]
fn the_sound_core_is_not_broken_by_what_broke_the_planted_one() {
    for (model, bug) in BUGS {
        let replayed = replay(&written(model, bug), true).expect("a file that can be replayed");

        assert!(matches!(replayed.end, End::NoLongerBroken | End::NoLongerPossible(_)), "{bug}");
        assert_eq!((replayed.exit_code(), replayed.story.planted), (0, None), "{bug}");
    }
}

#[test]
fn a_step_that_is_not_enabled_is_told_by_its_number() {
    let mut file = written("metadata", "B-13d");
    let first = file["steps"][0].take();
    file["steps"][0] = file["steps"][1].take();
    file["steps"][1] = first;
    assert_eq!(end(&file), End::NoLongerPossible(1), "a broker that runs cannot be started");

    let mut file = written("replication", "B-01");
    file["steps"][0]["takes"]["says"] = json!("what nobody sent");
    assert_eq!(end(&file), End::NoLongerPossible(1), "a message that was never sent cannot arrive");
}

#[test]
fn a_file_that_cannot_be_followed_tells_nothing_of_the_code() {
    // As after a change of nothing but the words of messages.
    let mut reworded = written("replication", "B-01");
    let says = reworded["steps"][0]["takes"]["says"].as_str().map(|says| format!("please, {says}"));
    reworded["steps"][0]["takes"]["says"] = json!(says.expect("the first step takes a message"));
    for sound in [false, true] {
        let replayed = replay(&reworded, sound).expect("a file that can be read");
        assert_eq!((replayed.end, replayed.exit_code()), (End::NoLongerPossible(1), 5), "{sound}");
    }

    let mut retold = written("replication", "B-01");
    let steps = retold["steps"].as_array_mut().expect("steps");
    steps.truncate(3);
    steps[1]["changes"] = json!(["something else"]);
    let replayed = replay(&retold, false).expect("a file that can be read");
    assert_eq!((replayed.end, replayed.differs.as_slice()), (End::NoLongerBroken, [2].as_slice()));
    assert_eq!(replayed.exit_code(), 5);
}

#[test]
fn a_message_is_found_wherever_it_lies_in_flight() {
    let mut file = written("replication", "B-01");
    assert_eq!(file["steps"][0]["action"], json!({"deliver": 0}));
    file["steps"][0]["action"] = json!({"deliver": 9});

    assert_eq!(end(&file), End::StillBroken);
}

#[test]
fn another_claim_is_broken_differently() {
    let mut file = written("replication", "B-01");
    file["claim"]["name"] = json!("replication/log_matching");

    assert_eq!(end(&file), End::BrokenDifferently);
}

#[test]
fn steps_that_lead_elsewhere_are_not_broken_any_more() {
    let mut file = written("replication", "B-01");
    let steps = file["steps"].as_array_mut().expect("steps");
    steps.truncate(3);

    assert_eq!(end(&file), End::NoLongerBroken);
}

#[test]
fn what_this_build_does_not_know_is_refused_by_name() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut file = written("metadata", "B-13d");
        change(&mut file);
        replay(&file, false).expect_err("a file that cannot be replayed").to_string()
    };

    let bound = refused(&|file| file["bounds"]["hens"] = json!("2"));
    assert!(bound.starts_with("`hens` where one of the bounds was expected"), "{bound}");
    let bug = refused(&|file| file["planted"]["id"] = json!("B-00"));
    assert_eq!(bug, "there is no bug `B-00` in the catalogue");
    let claim = refused(&|file| file["claim"]["name"] = json!("metadata/hens"));
    assert_eq!(claim, "metadata makes no claim `metadata/hens`");
    let action = refused(&|file| file["steps"][1]["action"] = json!({"hatch": 1}));
    assert!(
        action.starts_with("step 2: `{\"hatch\":1}` is no action of metadata: unknown variant"),
        "{action}"
    );
}
