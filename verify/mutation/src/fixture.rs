//! The whole way on a source of a few lines: its mutants, each alone behind the switch, and what its tests leave alive.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::instrument::{Instrumented, Without, instrument};
use crate::judge::{Fate, Trial, unit_tests};
use crate::switch::{MODULE, SOURCE, VARIABLE};

const TEXT: &str = r#"
pub struct Log {
    pub end: u64,
    pub cuts: u64,
}

impl Log {
    pub fn cut(&mut self, to: u64) {
        if self.faults.has(Bug::Planted) {
            self.end = 0;
        }
        if to < self.end {
            self.end = to;
        }
    }
}

pub fn rank(kind: u8, alive: bool) -> u8 {
    match kind {
        7 => 3,
        _ if !alive => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_log_is_cut() {
        let mut log = super::Log { end: 5, cuts: 0, faults: super::Sound };
        log.cut(3);
        assert_eq!(log.end, 3);
        log.cut(4);
        assert_eq!(log.end, 3);
    }
}
"#;

/// Prints what the functions give.
const MAIN: &str = r#"
extern crate alloc;
pub enum Bug { Planted }
pub struct Sound;
impl Sound {
    fn has(&self, _: Bug) -> bool { false }
}
fn main() {
    let cut = |to| {
        let mut log = Log { end: 5, cuts: 0, faults: Sound };
        log.cut(to);
        log.end
    };
    let ranks = [rank(7, true), rank(7, false), rank(1, true), rank(1, false)];
    println!("{:?} {:?}", [cut(4), cut(5), cut(6)], ranks);
}
"#;

fn text() -> String {
    TEXT.replace("pub cuts: u64,", "pub cuts: u64,\n    pub faults: Sound,")
}

fn instrumented(without: &Without) -> Instrumented {
    instrument("model/src/log.rs", &text(), 0, without).unwrap()
}

/// Compiles the instrumented source, its tests or its `main`.
fn compile(folder: &Path, made: &Instrumented, tests: bool) -> PathBuf {
    let (source, binary) = (folder.join("fixture.rs"), folder.join(if tests { "tests" } else { "main" }));
    std::fs::write(&source, format!("{}\n{MAIN}\npub mod {MODULE} {{ {SOURCE} }}", made.text)).unwrap();
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "--cap-lints", "allow", "-C", "debuginfo=0"]).arg(&source);
    rustc.arg("-o").arg(&binary).args(tests.then_some("--test"));
    let output = rustc.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    binary
}

#[test]
fn a_source_has_these_mutants() {
    let made = instrumented(&Without::default());
    let told: Vec<String> = made
        .mutants
        .iter()
        .map(|mutant| format!("{} {}: {}", mutant.line, mutant.function, mutant.change))
        .collect();

    let expected = [
        "9 Log::cut: the body becomes `()`",
        "13 Log::cut: `<` becomes `<=` in `to < self.end`",
        "13 Log::cut: `<` becomes `==` in `to < self.end`",
        "13 Log::cut: `<` becomes `>` in `to < self.end`",
        "14 Log::cut: forgotten assignment `self.end = to`",
        "19 rank: the body becomes `0`",
        "19 rank: the body becomes `1`",
        "21 rank: arm `7` is left out",
        "22 rank: `!` is left out in `!alive`",
        "22 rank: guard `!alive` holds always",
        "22 rank: guard `!alive` holds never",
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_mutant_that_is_on_is_on_alone() {
    let folder = tempfile::tempdir().unwrap();
    let main = compile(folder.path(), &instrumented(&Without::default()), false);
    let gives = |switch: &str| {
        let output = Command::new(&main).env(VARIABLE, switch).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };

    assert_eq!(gives("none"), "[4, 5, 5] [3, 3, 2, 1]");
    assert_eq!(gives("0"), "[5, 5, 5] [3, 3, 2, 1]");
    assert_eq!(gives("3"), "[5, 5, 6] [3, 3, 2, 1]");
    assert_eq!(gives("7"), "[4, 5, 5] [2, 1, 2, 1]");
    assert_eq!(gives("8"), "[4, 5, 5] [3, 3, 1, 2]");
    assert_eq!(gives("9"), "[4, 5, 5] [3, 3, 1, 1]");
    assert_eq!(gives("10"), "[4, 5, 5] [3, 3, 2, 2]");
    let notes = folder.path().join("notes");
    gives(&format!("note:{}", notes.display()));
    assert_eq!(std::fs::read_to_string(notes).unwrap().lines().count(), 11);
}

#[test]
fn what_no_test_notices_survives() {
    let folder = tempfile::tempdir().unwrap();
    let made = instrumented(&Without::default());
    let tests = compile(folder.path(), &made, true);
    let fate =
        |number: usize| unit_tests(&tests, &[], &Trial { switch: number.to_string(), seconds: 10 }).unwrap();
    let survivors: Vec<&str> = made
        .mutants
        .iter()
        .enumerate()
        .filter(|(number, _)| fate(*number) == Fate::Held)
        .map(|(_, mutant)| mutant.change.as_str())
        .collect();

    let untested =
        made.mutants.iter().filter(|mutant| mutant.function == "rank").map(|of| of.change.as_str());
    let expected: Vec<&str> = ["`<` becomes `<=` in `to < self.end`"].into_iter().chain(untested).collect();
    assert_eq!(survivors, expected);
}

#[test]
fn a_mutant_that_does_not_compile_is_left_out_and_keeps_its_number() {
    let all = instrumented(&Without::default()).mutants;
    let without = Without { unviable: [all[4].key()].into(), ..Without::default() };
    let made = instrumented(&without);

    assert_eq!(made.mutants, all);
    assert!(!made.text.contains("on (4u32)"));
    assert!(made.text.contains("on (5u32)"));
}
