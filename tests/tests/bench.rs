//! `highwater bench` as programs meet it: its document, and how it refuses. How fast anything is decides no test.

use std::process::Output;

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    let mut command = highwater_tests::command::highwater(env!("CARGO_BIN_EXE_highwater-planted"), "none");
    command.arg("bench").args(arguments).output().expect("the binary was built with the tests")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a benchmark of few records in a directory of its own, and gives the data of its document.
fn measured(name: &str, arguments: &[&str]) -> Value {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = place.path().join("bench").display().to_string();
    let output = bench(&[&[name], arguments, &["--dir", &dir, "-o", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let mut document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document.get("errors"), Some(&Value::Array(Vec::new())));
    assert_eq!(document.get("schema"), Some(&Value::from(format!("highwater.bench.{name}/v1"))));
    assert!(!place.path().join("bench").exists(), "its files are removed");
    document.get_mut("data").map(Value::take).expect("data")
}

fn is_number(value: &Value, path: &str) {
    assert!(value.pointer(path).is_some_and(Value::is_number), "{path} in {value:#}");
}

#[test]
fn produce_tells_what_was_measured_of_what_beside_the_limits_of_which_machine() {
    let data = measured(
        "produce",
        &[
            "--partitions",
            "3",
            "--flush-policy",
            "os",
            "--records",
            "40",
            "--warm-up",
            "0",
            "--repeat",
            "2",
            "--compare",
            "replica.fetch.backoff.ms=250",
        ],
    );

    assert!(data["machine"]["os"].is_string());
    assert!(data["command"].as_array().is_some_and(|words| words.iter().any(|word| word == "--compare")));
    assert_eq!(data["workload"]["repetitions"], 2);
    assert_eq!(data["workload"]["record_bytes"], 1024);
    for limit in ["quic", "append", "append_synced_each", "append_synced_mib"] {
        for part in ["median", "min", "max"] {
            is_number(&data, &format!("/limits/{limit}/mb_per_s/{part}"));
        }
    }
    let cases = data["cases"].as_array().expect("cases");
    let changed: Vec<&Value> = cases.iter().map(|case| &case["changed"]).collect();
    assert_eq!(changed, [&Value::Null, &Value::from("replica.fetch.backoff.ms=250")]);
    for case in cases {
        assert_eq!(case["runs"].as_array().map(Vec::len), Some(2));
        for path in [
            "/summary/ready_ms/median",
            "/summary/mb_per_s/median",
            "/summary/p50_ms/min",
            "/summary/p99_9_ms/max",
        ] {
            is_number(case, path);
        }
        assert_eq!(case["runs"][0]["records"], 40);
        assert_eq!(case["runs"][0]["failed"], 0);
        assert_eq!(case["runs"][0]["brokers"].as_array().map(Vec::len), Some(3));
        is_number(case, "/runs/0/brokers/0/resident_mb_max");
        is_number(case, "/runs/1/brokers/2/cpu_s_per_gb");
        is_number(case, "/summary/of_limits/quic");
    }
    assert_eq!(data["comparisons"].as_array().map(Vec::len), Some(1));
    is_number(&data, "/comparisons/0/mb_per_s/median");
}

#[test]
fn consume_reads_what_is_there_and_what_comes() {
    let data = measured("consume", &["--partitions", "2", "--records", "50", "--repeat", "1", "--no-limits"]);

    assert_eq!(data["limits"], Value::Null);
    let [replay, live] = data["cases"].as_array().expect("cases").as_slice() else { panic!("{data:#}") };
    assert_eq!((&replay["phase"], &live["phase"]), (&Value::from("replay"), &Value::from("live")));
    assert_eq!((&replay["runs"][0]["records"], &live["runs"][0]["records"]), (&52.into(), &50.into()));
    assert_eq!(replay["summary"]["p50_ms"], Value::Null);
    assert_eq!(live["runs"][0]["latency"]["count"], 50);
}

#[test]
fn fail_over_tells_how_long_nothing_was_acknowledged() {
    let data = measured(
        "failover",
        &["--partitions", "3", "--rate", "200", "--warm-up", "0", "--repeat", "1", "--no-limits"],
    );

    let run = &data["cases"][0]["runs"][0];
    assert_eq!(run["failover"]["led_partitions"], 1);
    assert_eq!(run["failover"]["was_active_controller"], true);
    is_number(run, "/failover/without_success/p99_ms");
    is_number(run, "/failover/next_leaders_ms");
    is_number(&data, "/cases/0/summary/without_success_ms/median");
}

#[test]
fn flags_that_make_no_sense_are_refused_before_anything_is_started() {
    for (arguments, told) in [
        (["produce", "--partitions", "many"].as_slice(), "--partitions"),
        (&["produce", "--replication-factor", "5"], "3 brokers cannot hold 5 replicas"),
        (&["produce", "--producers", "100", "--buffer", "64KiB"], "--buffer 65536 has no room"),
        (&["produce", "--server-config", "flush.polici=os"], "did you mean flush.policy?"),
        (&["produce", "--compare", "flush.policy"], "is not name=value"),
        (&["produce", "--compare", "trace=1", "-b", "127.0.0.1:1"], "leave -b out"),
        (&["failover", "--brokers", "2"], "the least that survive a kill"),
        (&["failover", "-b", "127.0.0.1:1"], "are not killed"),
        (&["consume", "--dir", "/"], "exists already"),
    ] {
        let output = bench(arguments);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn a_cluster_that_nobody_answers_for_is_unreachable() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let authority = highwater_transport::certs::LabAuthority::new("bench").expect("an authority");
    let issued = authority.issue_client("bench").expect("a certificate");
    let (pem, ca) = (place.path().join("client.pem"), place.path().join("ca.pem"));
    std::fs::write(&pem, format!("{}{}", issued.key_pem, issued.certificate_pem)).expect("written");
    std::fs::write(&ca, authority.certificate_pem()).expect("written");
    let properties = place.path().join("client.properties");
    let text = format!("ssl.keystore.location={}\nssl.truststore.location={}\n", pem.display(), ca.display());
    std::fs::write(&properties, text).expect("written");
    let (properties, dir) =
        (properties.display().to_string(), place.path().join("bench").display().to_string());
    let port = highwater_node::cli::local::free_ports(1).expect("a free port")[0];

    let output = bench(&[
        "produce",
        "-b",
        &format!("127.0.0.1:{port}"),
        "--command-config",
        &properties,
        "--dir",
        &dir,
        "--timeout",
        "1s",
        "--no-limits",
        "-o",
        "json",
    ]);

    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["data"]["cases"], Value::Array(Vec::new()));
    assert_eq!(document["errors"].as_array().map(Vec::len), Some(1), "it is told once: {document:#}");
}
