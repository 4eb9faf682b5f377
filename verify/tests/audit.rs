//! `verify audit` as a command: exit codes and what is printed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_verify");

fn audit(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("audit").args(arguments).output().expect("the program can be started")
}

/// A log directory with a segment of these bytes.
fn made(root: &Path, segment: &[u8]) {
    let log = root.join("visits-0");
    fs::create_dir_all(&log).expect("there is room");
    let said = "version=1\ncluster.id=c\nnode.id=7\ndirectory.id=00000000-0000-0000-0000-000000000001\n";
    fs::write(root.join("meta.properties"), said).expect("there is room");
    let topic = "version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7w\n";
    fs::write(log.join("partition.metadata"), topic).expect("there is room");
    fs::write(log.join("00000000000000000000.log"), segment).expect("there is room");
}

#[test]
fn the_exit_code_says_how_it_went() {
    let root = tempfile::tempdir().expect("there is room");
    let path = root.path().to_str().expect("it is text");
    let code = |output: Output| output.status.code();

    assert_eq!(code(audit(&[])), Some(2));
    assert_eq!(code(audit(&[path, "--topic", "visits"])), Some(2));
    assert_eq!(code(audit(&["/nowhere"])), Some(5));
    assert_eq!(code(audit(&[path])), Some(5), "no log directory");
    made(root.path(), &[]);
    assert_eq!(code(audit(&[path])), Some(5), "no metadata log");
    assert_eq!(code(audit(&[path, "--whole"])), Some(5), "no metadata log");
    made(root.path(), &[7; 100]);
    assert_eq!(code(audit(&[path])), Some(4));
    assert_eq!(code(audit(&[path, "--power-lost"])), Some(5), "that is what it does");
}

#[test]
fn what_was_asked_wrongly_is_said_with_what_to_do() {
    let root = tempfile::tempdir().expect("there is room");
    let path = root.path().to_str().expect("it is text");
    let said = |output: Output| String::from_utf8_lossy(&output.stderr).into_owned();

    assert!(said(audit(&[path])).contains("no log directory"));
    made(&root.path().join("node-1"), &[]);
    made(&root.path().join("node-2"), &[]);
    let output = audit(&[path, "--whole"]);
    assert_eq!(output.status.code(), Some(5));
    assert!(said(output).contains("leave out the copy"));
    let other = "version=1\ncluster.id=d\nnode.id=8\ndirectory.id=00000000-0000-0000-0000-000000000002\n";
    fs::write(root.path().join("node-2/meta.properties"), other).expect("there is room");
    let output = audit(&[path]);
    assert_eq!(output.status.code(), Some(5));
    assert!(said(output).contains("audit one cluster at a time"));
}

#[test]
fn the_document_says_what_is_wrong_and_where() {
    let root = tempfile::tempdir().expect("there is room");
    let path = root.path().to_str().expect("it is text");
    made(root.path(), &[7; 100]);

    let document: Value = serde_json::from_slice(&audit(&[path, "--json"]).stdout).expect("one document");
    let finding = document.pointer("/findings/0").expect("something is wrong");
    assert_eq!(document.get("conclusion"), Some(&Value::from("violation")));
    assert_eq!(finding.pointer("/place/node"), Some(&Value::from(7)));
    assert_eq!(finding.pointer("/place/position"), Some(&Value::from(0)));
    assert_eq!(finding.get("rule"), Some(&Value::from("log is damaged")));

    let document: Value =
        serde_json::from_slice(&audit(&["/nowhere", "--json"]).stdout).expect("one document");
    assert_eq!(document.get("conclusion"), Some(&Value::from("unknown")));
}
