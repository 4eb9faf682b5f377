//! The command line as programs meet it: exit codes, streams, documents. It runs the test-only binary with nothing planted,
//! which is the same command.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use highwater_model::id::NodeId;
use highwater_node::cli::local::free_ports;
use highwater_transport::certs::LabAuthority;
use serde_json::Value;

/// Runs the command with these arguments, without the environment's twins of flags.
fn highwater(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary was built with the tests")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = highwater_tests::command::highwater(env!("CARGO_BIN_EXE_highwater-planted"), "none");
    command.args(arguments);
    command
}

#[test]
fn a_flag_may_be_set_by_its_variable_in_any_form() {
    for value in ["1", "true", "0", ""] {
        let output = command(&["completion", "bash"])
            .env("HIGHWATER_QUIET", value)
            .output()
            .expect("the binary was built with the tests");

        assert_eq!(output.status.code(), Some(0), "{value:?}: {}", stderr(&output));
    }
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
    let authority = LabAuthority::new("test").expect("an authority");
    let broker = authority.issue_broker(NodeId(1), &["localhost"]).expect("a certificate");
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

/// A server that is killed at the latest when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that is gone already needs no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The files of one node and of its client, and a log directory for each name.
struct Node {
    dir: tempfile::TempDir,
    config: PathBuf,
    client: PathBuf,
}

impl Node {
    fn new(log_dirs: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let authority = LabAuthority::new("test").expect("an authority");
        let broker = authority.issue_broker(NodeId(1), &["localhost"]).expect("a certificate");
        let client = authority.issue_client("admin").expect("a certificate");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("the directory can be written");
            path
        };
        let tls = |pem: PathBuf, roots: &Path| {
            let (pem, roots) = (pem.display(), roots.display());
            format!("ssl.keystore.location={pem}\nssl.truststore.location={roots}\n")
        };
        let roots = file("ca.pem", authority.certificate_pem());
        let broker = file("broker.pem", &format!("{}{}", broker.key_pem, broker.certificate_pem));
        let client = file("client.pem", &format!("{}{}", client.key_pem, client.certificate_pem));
        let port = free_ports(1).expect("a free port").pop().expect("one was asked for");
        let log_dirs = joined(&dir, log_dirs);
        let server = format!("node.id=1\nlisteners=QUIC://127.0.0.1:{port}\nlog.dirs={log_dirs}\n");
        let config = file("server.properties", &format!("{server}{}", tls(broker, &roots)));
        let bootstrap = format!("bootstrap.servers=127.0.0.1:{port}\n");
        let client = file("client.properties", &format!("{bootstrap}{}", tls(client, &roots)));
        Self { dir, config, client }
    }

    fn log_dirs(&self, names: &[&str]) -> String {
        format!("log.dirs={}", joined(&self.dir, names))
    }

    /// `highwater COMMAND --config FILE --set SETTING …`.
    fn own<'a>(&'a self, name: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec![name, "--config", self.config.to_str().expect("a plain path")];
        settings.iter().for_each(|setting| arguments.extend(["--set", setting]));
        arguments
    }

    /// A server that says that it is ready.
    fn start(&self, settings: &[&str]) -> Running {
        let mut server = command(&self.own("server", settings));
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = server.spawn().expect("the binary was built with the tests");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let running = Running(child);
        // Until then no topic can be made, as no broker can hold a replica.
        let is_ready = log.by_ref().lines().any(|line| line.expect("it is text").ends_with(" ready"));
        assert!(is_ready, "the server ended before it was ready");
        // A pipe that nobody reads would stop the server.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        running
    }

    /// What a client command prints, which must succeed.
    fn client(&self, arguments: &[&str]) -> String {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--command-config", self.client.to_str().expect("a plain path")]);
        let output = highwater(&arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).expect("the file is there")
    }

    /// The logs of a topic in a log directory.
    fn logs(&self, log_dir: &str, topic: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path().join(log_dir)).expect("the directory is there");
        let paths = entries.map(|entry| entry.expect("it can be read").path());
        let of_topic = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{topic}-")))
        };
        paths.filter(of_topic).collect()
    }
}

fn joined(dir: &tempfile::TempDir, names: &[&str]) -> String {
    names.iter().map(|name| dir.path().join(name).display().to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn a_server_keeps_its_logs_in_several_directories() {
    let node = Node::new(&["a", "b"]);
    let formatted = highwater(&node.own("format", &[]));
    assert_eq!(formatted.status.code(), Some(0), "{}", stderr(&formatted));
    let id = |path: &str| {
        let text = node.read(path);
        text.lines().find(|line| line.starts_with("directory.id=")).expect("it has an id").to_owned()
    };
    assert_ne!(id("a/meta.properties"), id("b/meta.properties"));

    let server = node.start(&[]);
    node.client(&["topic", "create", "visits", "--partitions", "4"]);
    let lines = node.dir.path().join("lines");
    std::fs::write(&lines, "one\ntwo\nthree\n").expect("the directory can be written");
    let lines = lines.to_str().expect("a plain path");
    for partition in ["0", "1", "2", "3"] {
        node.client(&["produce", "visits", "--file", lines, "--partition", partition]);
    }
    drop(server);
    for log_dir in ["a", "b"] {
        let logs = node.logs(log_dir, "visits");
        assert_eq!(logs.len(), 2, "{log_dir}: {logs:?}");
        for log in logs {
            let segment = log.join("00000000000000000000.log");
            let dump = highwater(&["log", "dump", "--records", segment.to_str().expect("a plain path")]);
            assert_eq!(dump.status.code(), Some(0), "{}", stderr(&dump));
            assert!(stdout(&dump).contains("three"), "{log:?}: {}", stdout(&dump));
        }
    }

    // The same from the command line, with one directory more, which is formatted like the others.
    let three = node.log_dirs(&["a", "b", "c"]);
    let refused = highwater(&node.own("server", &[&three]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("--ignore-formatted"), "{}", stderr(&refused));
    let mut format = node.own("format", &[&three]);
    format.push("--ignore-formatted");
    let formatted = highwater(&format);
    assert_eq!(formatted.status.code(), Some(0), "{}", stderr(&formatted));
    let cluster = |path: &str| node.read(path).lines().nth(2).expect("a third line").to_owned();
    assert_eq!(cluster("a/meta.properties"), cluster("c/meta.properties"));
    let server = node.start(&[&three]);
    let consumed = node.client(&["consume", "visits", "--from", "beginning", "--until", "end"]);
    assert_eq!(consumed.lines().count(), 12, "{consumed}");
    node.client(&["topic", "create", "more", "--partitions", "2"]);
    for partition in ["0", "1"] {
        node.client(&["produce", "more", "--file", lines, "--partition", partition]);
    }
    drop(server);
    assert_eq!(node.logs("c", "more").len(), 2, "the directory with the fewest logs gets the next");

    let turned = node.log_dirs(&["b", "a", "c"]);
    let refused = highwater(&node.own("server", &[&turned]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("the metadata is in"), "{}", stderr(&refused));
}
