//! The quickstart, whole: broker processes, a leader killed, every record compared. And the control: brokers that answer
//! acks=all too early are found out.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs a quickstart whose brokers have this bug, in a directory of its own.
fn quickstart(dir: &Path, plant: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater-planted"))
        .args(["quickstart", "-o", "json"])
        .args(arguments)
        .current_dir(dir)
        .env("HIGHWATER_PLANT", plant)
        .output()
        .expect("the binary was built with the tests")
}

fn data(output: &Output) -> Value {
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no document; {}", String::from_utf8_lossy(&output.stderr)));
    document.get("data").cloned().unwrap_or_default()
}

#[test]
fn a_killed_leader_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");

    let output = quickstart(dir.path(), "none", &["--records", "60000", "--seed", "4"]);

    let data = data(&output);
    assert_eq!(output.status.code(), Some(0), "{data:#}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"lost\":0,\"duplicated\":0,\"reordered\":0"));
    assert_eq!(data["acknowledged"], 60_000);
    assert_eq!(data["consumed"], 60_000);
    assert_eq!(data["kill"]["was_active_controller"], true, "the seed decides it");
    assert!(data["kill"]["batches_in_flight"].as_u64() >= Some(32), "{data:#}");
}

#[test]
fn one_broker_alone_comes_back_with_everything() {
    let dir = tempfile::tempdir().expect("a directory");

    let output = quickstart(dir.path(), "none", &["--records", "40000", "--seed", "1", "--brokers", "1"]);

    assert_eq!(output.status.code(), Some(0), "{:#}", data(&output));
}

#[test]
fn brokers_that_acknowledge_at_leader_append_are_found_out() {
    let dir = tempfile::tempdir().expect("a directory");

    let output = quickstart(dir.path(), "P-01", &["--records", "60000", "--seed", "4"]);

    let data = data(&output);
    assert_eq!(output.status.code(), Some(4), "{data:#}");
    assert!(data["lost"].as_u64() > Some(0), "{data:#}");
}

#[test]
fn the_lines_of_a_file_come_back_even_if_they_are_equal() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = "the same line\n".repeat(500);
    let file = dir.path().join("lines.txt");
    std::fs::write(&file, lines).expect("a file");

    let output = quickstart(dir.path(), "none", &["--input", "lines.txt", "--no-kill"]);

    let data = data(&output);
    assert_eq!(output.status.code(), Some(0), "{data:#}");
    assert_eq!(data["consumed"], 500);
}
