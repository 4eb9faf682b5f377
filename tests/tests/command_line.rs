//! The command line as programs meet it: exit codes, streams, documents. It runs the test-only binary with nothing planted,
//! which is the same command.

use std::process::{Command, Output};

use serde_json::Value;

/// Runs the command with these arguments, without the environment's twins of flags.
fn highwater(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_highwater-planted"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("HIGHWATER_") || name.starts_with("KAFKA_"))
    {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .env("HIGHWATER_PLANT", "none")
        .output()
        .expect("the binary was built with the tests")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_command_line_exits_2_and_help_exits_0() {
    assert_eq!(highwater(&["topik"]).status.code(), Some(2));
    assert!(stderr(&highwater(&["topik"])).contains("topic"), "it says what may have been meant");
    assert_eq!(highwater(&["--help"]).status.code(), Some(0));
    assert_eq!(highwater(&["--version"]).status.code(), Some(0));
}

#[test]
fn every_problem_of_a_configuration_is_told_with_what_to_do() {
    let output = highwater(&["server", "--check-config", "--set", "min.insync.replica=2"]);

    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("did you mean min.insync.replicas?"), "{told}");
    assert!(told.contains("log.dirs is not set, and has no default"), "{told}");
}

#[test]
fn every_property_is_printed_with_its_origin() {
    let output = highwater(&["server", "--print-config", "--set", "num.partitions=4", "-o", "json"]);

    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["schema"], "highwater.server.config/v1");
    let entries = document["data"].as_array().expect("entries");
    let entry = |name: &str| entries.iter().find(|entry| entry["name"] == name).cloned().unwrap_or_default();
    assert_eq!(entry("num.partitions")["value"], "4");
    assert_eq!(entry("num.partitions")["origin"], "flag --set");
    assert_eq!(entry("flush.policy")["origin"], "default");
    assert_eq!(output.status.code(), Some(2), "what is missing is told in the same document");
    assert!(document["errors"].as_array().is_some_and(|errors| !errors.is_empty()));
}

#[test]
fn a_client_without_a_certificate_says_where_to_get_one() {
    let output = highwater(&["topic", "list", "-o", "json"]);

    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hint: name a file of client properties with --command-config"));
    let document: Value = serde_json::from_str(&stdout(&output)).expect("errors are in the document, too");
    assert_eq!(document["data"], Value::Null);
    assert_eq!(document["errors"][0]["message"], "there is no client certificate");
}

#[test]
fn a_server_refuses_a_directory_that_was_not_formatted_and_says_what_to_run() {
    let dir = tempfile::tempdir().expect("a directory");
    let authority = highwater_transport::certs::LabAuthority::new("test").expect("an authority");
    let broker =
        authority.issue_broker(highwater_model::id::NodeId(1), &["localhost"]).expect("a certificate");
    let set = |name: &str, value: &str| format!("{name}={value}");
    let settings = [
        set("node.id", "1"),
        set("listeners", "QUIC://127.0.0.1:0"),
        set("log.dirs", &dir.path().join("data").display().to_string()),
        set("ssl.keystore.certificate.chain", &broker.certificate_pem),
        set("ssl.keystore.key", &broker.key_pem),
        set("ssl.truststore.certificates", authority.certificate_pem()),
    ];
    let with = |command: &'static str| {
        let mut arguments = vec![command];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting.as_str()]));
        highwater(&arguments)
    };

    let refused = with("server");
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("highwater format"), "{}", stderr(&refused));
    let formatted = with("format");
    assert_eq!(formatted.status.code(), Some(0), "{}", stderr(&formatted));
    let again = with("format");
    assert_eq!(again.status.code(), Some(1), "a formatted directory is left alone");
}

#[test]
fn completion_is_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(stdout(&highwater(&["completion", shell])).contains("quickstart"), "{shell}");
    }
}
