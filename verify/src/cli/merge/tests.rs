//! Shards of a made-up sweep, and what is wrong with them.

use serde_json::json;

use super::*;

const SWEEP: [&str; 3] = ["n=1", "n=2", "n=3"];

fn whole(build: &str) -> Value {
    let model = json!({
        "model": "jugs", "bounds": SWEEP, "sometimes": ["jugs/full", "jugs/poured"], "kinds": ["fill", "pour"],
    });
    json!({ "profile": "quick", "build": build, "models": [model] })
}

fn run(n: u8, met: &[&str], conclusion: &str) -> Value {
    json!({
        "bounds": { "n": n.to_string() }, "conclusion": conclusion, "states": 10 * u64::from(n),
        "taken": { "fill": 1, "pour": met.len() }, "met": met,
    })
}

fn shard(part: usize, of: usize, runs: &[Value]) -> Value {
    let models = json!([{ "model": "jugs", "seconds": 1.5, "runs": runs }]);
    json!({ "shard": { "part": part, "of": of }, "whole": whole("a"), "models": models })
}

fn put(documents: Vec<Value>) -> Result<Vec<Merged>, MergeError> {
    let files: Vec<PathBuf> = (0..documents.len()).map(|at| PathBuf::from(format!("{at}.json"))).collect();
    let documents = documents.into_iter().map(|value| serde_json::from_value(value).expect("a shard"));
    merged(&files, documents.collect()).map(|(_, models)| models)
}

fn first() -> Value {
    shard(1, 2, &[run(1, &[], "holds"), run(3, &["jugs/full"], "holds")])
}

fn second() -> Value {
    shard(2, 2, &[run(2, &["jugs/poured"], "holds")])
}

#[test]
fn what_must_happen_must_happen_in_the_whole_and_not_in_each_shard() {
    let models = put(vec![second(), first()]).expect("the shards of a sweep");

    let [jugs] = models.as_slice() else { panic!("one model") };
    assert_eq!((jugs.conclusion, jugs.bounds, jugs.states), (Conclusion::Holds, 3, 60));
    assert!(jugs.never_met.is_empty() && jugs.never_taken.is_empty());
}

#[test]
fn a_whole_in_which_something_never_happened_is_vacuous() {
    let models = put(vec![first(), shard(2, 2, &[run(2, &[], "holds")])]).expect("the shards of a sweep");

    let [jugs] = models.as_slice() else { panic!("one model") };
    assert_eq!(jugs.conclusion, Conclusion::Vacuous);
    assert_eq!(jugs.never_met, ["jugs/poured"]);
    assert_eq!(jugs.conclusion.exit_code(), 4);
}

#[test]
fn a_missing_shard_a_repeated_one_and_a_missing_bound_are_told() {
    let missing = put(vec![second()]).expect_err("the first is missing");
    let twice = put(vec![first(), first(), second()]).expect_err("the first is there twice");
    let unsearched = put(vec![first(), shard(2, 2, &[])]).expect_err("nobody searched n=2");
    let again = put(vec![first(), shard(2, 2, &[run(1, &[], "holds")])]).expect_err("n=1 again");

    assert_eq!(missing, MergeError::Missing { shards: vec![1], of: 2 });
    assert_eq!(twice, MergeError::Twice { shard: 1 });
    assert_eq!(unsearched, MergeError::Unsearched { model: "jugs".to_owned(), bounds: "n=2".to_owned() });
    assert_eq!(again, MergeError::Unexpected { model: "jugs".to_owned(), bounds: "n=1".to_owned() });
    assert_eq!(missing.to_string(), "of 2 shards these are missing: 1");
}

#[test]
fn shards_of_another_build_or_partition_are_strangers() {
    let mut other = second();
    other["whole"] = whole("b");
    let build = put(vec![first(), other]).expect_err("another build");
    let partition = put(vec![first(), shard(2, 3, &[])]).expect_err("of three");

    assert_eq!(build.to_string(), "1.json: its build is b, that of the first file is a");
    assert_eq!(partition.to_string(), "1.json: its number of shards is 3, that of the first file is 2");
}

#[test]
fn a_violation_is_concluded_even_if_the_shard_went_no_further() {
    let violated = shard(2, 2, &[]);
    let broke = shard(1, 2, &[run(1, &[], "violated")]);
    let models = put(vec![broke, violated]).expect("what is missing comes after the violation");

    assert_eq!(models[0].conclusion, Conclusion::Violated);
}

#[test]
fn a_shard_that_ran_out_of_its_budget_makes_the_whole_unfinished() {
    let models = put(vec![first(), shard(2, 2, &[run(2, &["jugs/poured"], "out_of_budget")])]);

    assert_eq!(models.expect("all are there")[0].conclusion, Conclusion::OutOfBudget);
}

#[test]
fn a_file_that_is_no_shard_is_told_by_its_name() {
    let missing = read(Path::new("no/such/file.json")).err().expect("there is no such file");
    let no_shard = read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).err();

    assert!(missing.to_string().starts_with("no/such/file.json: "));
    assert!(matches!(no_shard, Some(MergeError::NoShard { .. })));
}
