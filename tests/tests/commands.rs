//! Commands that ask a cluster, as programs meet them: what is done, what is said, and the exit code.

use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use highwater_model::id::{NodeId, PartitionIndex};
use highwater_tests::command;
use highwater_tests::processes::Cluster;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");

/// A cluster of one broker with the topic `t` of one partition.
async fn one_broker() -> Cluster {
    let mut cluster = Cluster::combined(PROGRAM, 1).await;
    cluster.create_topic("t", &[&[NodeId(1)]], 1).await;
    cluster
}

/// Runs a command with this standard input.
fn highwater(cluster: &Cluster, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command::highwater(PROGRAM, "none")
        .arg("--command-config")
        .arg(cluster.client_properties())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built with the tests");
    let mut stdin = child.stdin.take().expect("it is piped");
    // A command that fails does not read to the end.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The first error of the document on standard output.
fn error(output: &Output) -> Value {
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    document.pointer("/errors/0").cloned().unwrap_or_default()
}

fn lines(count: u32) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

async fn end(cluster: &Cluster) -> u64 {
    cluster.new_client().ends("t", PartitionIndex(0)).await.expect("the leader answers").end.0
}

#[tokio::test]
async fn an_orderly_end_drops_no_record_that_needs_no_acknowledgement() {
    let cluster = one_broker().await;

    // More than goes out in one round trip, handed over at once.
    let line = [vec![b'x'; 900_000], vec![b'\n']].concat();
    let output = highwater(&cluster, &["produce", "t", "--acks", "0"], &line.repeat(8));

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("8 records sent to t"), "{}", stderr(&output));
    assert_eq!(end(&cluster).await, 8);
}

#[tokio::test]
async fn the_leader_alone_acknowledges_if_that_is_asked_for() {
    let cluster = one_broker().await;

    let output = highwater(&cluster, &["produce", "t", "--acks", "1"], &lines(20_000));

    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("20000 records written to t"), "{}", stderr(&output));
    assert_eq!(end(&cluster).await, 20_000);
}

#[tokio::test]
async fn a_topic_or_partition_that_does_not_exist_is_said_at_once() {
    let cluster = one_broker().await;

    for arguments in [
        &["topic", "describe", "nosuch"] as &[&str],
        &["config", "get", "nosuch"],
        &["config", "set", "nosuch", "flush.policy=os"],
        &["produce", "nosuch"],
        &["consume", "nosuch"],
        &["consume", "t", "--partition", "0", "--partition", "99"],
    ] {
        let began = Instant::now();
        let output = highwater(&cluster, &[arguments, &["-o", "json"]].concat(), b"x\n");

        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert_eq!(error(&output)["name"], "UNKNOWN_TOPIC_OR_PARTITION", "{arguments:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{arguments:?} does not wait for its deadline");
    }
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_exits_3() {
    let cluster = one_broker().await;

    let output =
        highwater(&cluster, &["-b", "127.0.0.1:1", "--timeout", "1s", "topic", "list", "-o", "json"], b"");

    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("no broker could be reached at 127.0.0.1:1"), "{}", stderr(&output));
}
