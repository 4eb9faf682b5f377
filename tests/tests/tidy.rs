//! The house rules that a machine can hold: sizes, names, directions, purity, words.
//!
//! Each rule is a function from a file to a complaint, and has a test in which it finds the fault that it is for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the repository.
struct Source {
    path: String,
    text: String,
}

/// Longest file, in lines. Aim at half of it.
const LINES_MAX: usize = 600;

/// Which workspace crates each crate may use outside its tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("transport", &["model"]),
    ("client", &["model", "transport"]),
    ("node", &["client", "model", "transport"]),
    ("verify", &["model"]),
    // It reads and compiles the sources of the others, and knows none of them.
    ("verify/mutation", &[]),
    ("jepsen", &["client", "model", "node", "transport", "jepsen/judge"]),
    // A judge that knew the defendant would share its beliefs.
    ("jepsen/judge", &[]),
];

/// Every package that may end up in the cores.
const MODEL_MAY_PULL: &[&str] = &[
    "highwater-model",
    "serde",
    "serde_core",
    "serde_derive",
    "smallvec",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// Words that no core may contain: each would let the outside in.
const IMPURE: &[&str] = &[
    "std::",
    "tokio",
    "Instant",
    "SystemTime",
    "Duration",
    "HashMap",
    "HashSet",
    "rand::",
    "f32",
    "f64",
    "unsafe",
    "println!",
    "thread::",
];

/// Where threads share something that is neither a lock nor a channel nor a cell of the standard library, and what of it is tried
/// (docs/VERIFICATION.md). A count or a flag stands alone: nothing is read because of what it says, so that it matters to nobody
/// in which order it is seen.
const SHARED: &[(&str, &str)] = &[
    ("verify/src/engine/visited.rs", "loom"),
    ("verify/src/engine/recent.rs", "loom"),
    ("verify/src/quorum/number.rs", "loom"),
    ("verify/src/engine/expand.rs", "counts and flags"),
    ("verify/src/engine/lent.rs", "a count"),
    ("verify/src/engine/walk.rs", "counts and flags; what they sum up is under a lock"),
    ("verify/src/recovery/recovering.rs", "flags"),
    ("verify/mutation/src/each.rs", "a count"),
    ("verify/mutation/src/switch.rs", "the switch of one process, and counts"),
    ("node/src/trace.rs", "counts"),
    ("node/src/monitor.rs", "counts"),
    ("node/src/kept.rs", "a flag"),
    ("node/src/cli/quickstart/traffic.rs", "counts and flags"),
    ("node/src/cli/bench/load.rs", "counts and flags"),
    ("transport/src/env/sim/process.rs", "a count, of one thread"),
    ("client/src/client/refresh.rs", "a time of the clock"),
    ("client/src/link.rs", "a flag"),
    ("client/src/producer.rs", "a count"),
    ("jepsen/src/workload/log/write.rs", "a count"),
    ("jepsen/src/workload/register.rs", "a count"),
];

/// File names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] =
    &["utils.rs", "util.rs", "common.rs", "types.rs", "helpers.rs", "misc.rs", "mod.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

/// Every file that git knows or would add.
fn sources() -> Vec<Source> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files of the checkout");
    let names = String::from_utf8(listed.stdout).expect("file names are UTF-8");
    let read = |path: &str| {
        let text = std::fs::read_to_string(root().join(path)).ok()?;
        Some(Source { path: path.to_owned(), text })
    };
    let sources: Vec<_> = names.lines().filter_map(read).collect();
    assert!(sources.len() > 20, "the checkout has files to look at");
    sources
}

fn is_rust(source: &Source) -> bool {
    source.path.ends_with(".rs")
}

fn is_core(source: &Source) -> bool {
    is_rust(source) && source.path.starts_with("model/src/")
}

/// The text before the unit tests at a file's foot.
fn production(source: &Source) -> &str {
    source.text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let over = is_rust(source) && lines > LINES_MAX;
    over.then(|| format!("{lines} lines, {LINES_MAX} is the end: split it by concern"))
}

fn says_nothing_of_itself(source: &Source) -> Option<String> {
    let silent = is_rust(source) && !source.text.starts_with("//!");
    silent.then(|| "does not open with `//!`: what is it responsible for?".to_owned())
}

fn empty_name(source: &Source) -> Option<String> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    EMPTY_NAMES.contains(&name).then(|| "this name says nothing of what is inside".to_owned())
}

fn unfinished(source: &Source) -> Option<String> {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mark = marks.iter().find(|mark| is_rust(source) && source.text.contains(**mark))?;
    Some(format!("`{mark}`: finish it, or say in an issue what is missing"))
}

fn ignored_test(source: &Source) -> Option<String> {
    let ignored = is_rust(source) && source.text.contains(concat!("#[ig", "nore]"));
    ignored.then(|| "an ignored test without its reason and the command that runs it".to_owned())
}

fn names_a_machine(source: &Source) -> Option<String> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let place = places.iter().find(|place| source.text.contains(**place))?;
    Some(format!("`{place}` is a path of one machine"))
}

fn impure_core(source: &Source) -> Option<String> {
    if !is_core(source) {
        return None;
    }
    let code = production(source).lines().filter(|line| !line.trim_start().starts_with("//"));
    let found = code.flat_map(words).find(|word| IMPURE.contains(&word.as_str()))?;
    Some(format!("`{found}` does not belong in a core"))
}

/// The first word of the production code that stands for sharing without a lock, or for going around the compiler.
fn shares(source: &Source) -> Option<String> {
    let path = source.path.as_str();
    let is_test = path.contains("/tests/") || path.starts_with("tests/") || path.ends_with("/tests.rs");
    if !is_rust(source) || is_test {
        return None;
    }
    let code = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let marks = |word: &String| word.starts_with("Atomic") || word == "UnsafeCell" || word == "unsafe";
    code.flat_map(words).find(marks)
}

fn shared_unseen(source: &Source) -> Option<String> {
    let listed = SHARED.iter().any(|(path, _)| *path == source.path);
    match (shares(source), listed) {
        (Some(word), false) => Some(format!(
            "`{word}`: use a lock, or try it with loom and list it in `SHARED` of the tidy test"
        )),
        (None, true) => Some("is listed in `SHARED` of the tidy test, and shares nothing".to_owned()),
        (Some(_), true) | (None, false) => None,
    }
}

/// The identifiers of a line outside its strings; one followed by `::` or `!` also with that mark.
fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line.split('"').step_by(2).collect::<String>();
    while let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '_') {
        let tail = rest.split_off(start);
        let end = tail.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        found.push(word.to_owned());
        found.extend(
            ["::", "!"].iter().filter(|mark| after.starts_with(**mark)).map(|mark| format!("{word}{mark}")),
        );
        rest = after.to_owned();
    }
    found
}

/// The workspace crates that a manifest names under `[dependencies]`.
fn workspace_dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let named = section.lines().filter_map(|line| line.trim().strip_prefix("highwater-"));
    named.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned()).collect()
}

fn sideways(source: &Source) -> Option<String> {
    let may: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let name = source.path.strip_suffix("/Cargo.toml")?;
    let allowed = may.get(name)?;
    let wrong =
        workspace_dependencies(&source.text).into_iter().find(|used| !allowed.contains(&used.as_str()))?;
    Some(format!("{name} may not use {wrong}: arrows point one way (docs/ARCHITECTURE.md)"))
}

/// Applies one rule to every file and fails with all complaints.
fn hold(rule: fn(&Source) -> Option<String>) {
    let mut complaints = String::new();
    for source in sources() {
        if let Some(complaint) = rule(&source) {
            let _ = writeln!(complaints, "{}: {complaint}", source.path);
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn no_file_is_too_long() {
    hold(too_long);
}

#[test]
fn every_file_says_what_it_is_for() {
    hold(says_nothing_of_itself);
}

#[test]
fn every_name_says_something() {
    hold(empty_name);
}

#[test]
fn nothing_is_left_unfinished() {
    hold(unfinished);
    hold(ignored_test);
}

#[test]
fn the_project_speaks_of_no_machine() {
    hold(names_a_machine);
}

#[test]
fn the_cores_are_pure() {
    hold(impure_core);
}

#[test]
fn what_threads_share_without_a_lock_is_known() {
    hold(shared_unseen);
    let missing = SHARED.iter().find(|(path, _)| !root().join(path).is_file());
    assert_eq!(missing, None, "a file that shares something is gone");
}

#[test]
fn arrows_between_crates_point_one_way() {
    hold(sideways);
}

#[test]
fn the_cores_pull_in_nothing_but_words_and_small_vectors() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "-p", "highwater-model", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo prints the dependency tree");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).expect("package names are UTF-8");
    let packages: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let strangers: Vec<_> = packages.iter().filter(|package| !MODEL_MAY_PULL.contains(package)).collect();

    assert!(packages.contains(&"highwater-model"));
    assert!(strangers.is_empty(), "the cores must not depend on {strangers:?}");
}

#[test]
fn each_rule_finds_the_fault_that_it_is_for() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let unfinished_text = format!("//! x\n// {}: later", concat!("TO", "DO"));
    let ignored = format!("//! x\n{}", concat!("#[ig", "nore]"));
    let place = format!("see {}there", concat!("/wo", "rk/"));

    assert!(too_long(&file("a/src/b.rs", &"x\n".repeat(601))).is_some());
    assert!(says_nothing_of_itself(&file("a/src/b.rs", "use x;")).is_some());
    assert!(empty_name(&file("a/src/utils.rs", "//! x")).is_some());
    assert!(unfinished(&file("a/src/b.rs", &unfinished_text)).is_some());
    assert!(ignored_test(&file("a/src/b.rs", &ignored)).is_some());
    assert!(names_a_machine(&file("README.md", &place)).is_some());
    assert!(impure_core(&file("model/src/b.rs", "//! x\nuse std::time;")).is_some());
    assert!(impure_core(&file("model/src/b.rs", "//! x\nlet a: f64 = 0;")).is_some());
    assert!(impure_core(&file("model/src/b.rs", "//! a Duration\n#[cfg(test)] use std::x;")).is_none());
    assert!(shared_unseen(&file("a/src/b.rs", "//! x\nstatic N: AtomicU8 = AtomicU8::new(0);")).is_some());
    assert!(shared_unseen(&file("a/src/b.rs", "//! x\nunsafe { x() }")).is_some());
    assert!(shared_unseen(&file("verify/src/engine/visited.rs", "//! x")).is_some());
    assert!(shared_unseen(&file("a/tests/b.rs", "//! x\nstatic N: AtomicU8 = AtomicU8::new(0);")).is_none());
    assert!(
        sideways(&file("model/Cargo.toml", "[dependencies]\nhighwater-node.workspace = true\n")).is_some()
    );
    assert!(
        sideways(&file("client/Cargo.toml", "[dependencies]\nhighwater-node = { path = \"x\" }\n")).is_some()
    );
}
