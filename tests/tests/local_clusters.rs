//! Clusters that a command keeps on this machine, when something happens to them: a broker that is killed, a command that is
//! told to end, or that is killed itself.

use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use highwater_node::cli::local::{free_ports, is_free};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");

/// The longest that anything may take that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(40);

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = highwater_tests::command::highwater(PROGRAM, "none");
    command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.expect("there is a kill command").success(), "the process is there to be sent SIG{name}");
}

/// Processes whose command line names a file below `dir`.
fn processes_of(dir: &Path) -> Vec<u32> {
    let dir = dir.display().to_string();
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let id = |entry: &std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
    let is_one = |id: &u32| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(&dir) && line.contains("server")
    };
    entries.filter_map(|entry| id(&entry)).filter(is_one).collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory that is the same by every path, and a child that is killed with the test.
struct Running {
    child: Child,
    dir: PathBuf,
    _directory: tempfile::TempDir,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path().canonicalize().expect("it is there");
        let child = command(&dir, arguments).spawn().expect("the binary was built with the tests");
        Self { child, dir, _directory: directory }
    }

    fn stdout(&mut self) -> Lines<BufReader<ChildStdout>> {
        BufReader::new(self.child.stdout.take().expect("it is piped")).lines()
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    fn stderr(&mut self) -> String {
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it is text");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for left in processes_of(&self.dir) {
            let _ = Command::new("kill").args(["-9", &left.to_string()]).status();
        }
    }
}

/// A port with two more behind it.
fn three_ports() -> u16 {
    loop {
        let port = free_ports(1).expect("there are free ports").first().copied().unwrap_or(9092);
        if port.checked_add(2).is_some_and(|last| is_free(last) && is_free(port + 1)) {
            return port;
        }
    }
}

/// The next line that contains `part`.
fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, part: &str) -> String {
    let mut lines = lines.map(|line| line.expect("it is text"));
    lines.find(|line| line.contains(part)).unwrap_or_else(|| panic!("nothing was said of {part}"))
}

fn starting_quickstart() -> Running {
    let quickstart = Running::start(&["quickstart", "--no-kill", "--records", "50000000"]);
    until("three brokers", || processes_of(&quickstart.dir).len() == 3);
    quickstart
}

#[test]
fn a_dev_cluster_survives_the_kill_that_it_proposes_and_says_how_to_start_the_broker_again() {
    let port = three_ports().to_string();
    let mut dev = Running::start(&["dev", "--port", &port]);
    let mut said = dev.stdout();
    let kill = line_with(&mut said, "kill -9");
    line_with(&mut said, "Ctrl-C stops the cluster");

    let victim = kill.split_whitespace().nth(2).and_then(|id| id.parse().ok()).expect("kill -9 PID");
    signal("KILL", victim);
    line_with(&mut said, "broker 1 is down");
    let again = line_with(&mut said, "server --config");
    assert_eq!(processes_of(&dev.dir).len(), 2, "the others go on");
    let mut words = again.split_whitespace();
    let mut broker = highwater_tests::command::highwater(words.next().expect("a program"), "none")
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the line can be typed");
    let properties = dev.dir.join(".highwater/dev/client.properties").display().to_string();
    until("all brokers to be ready again", || {
        let status = command(&dev.dir, &["cluster", "status", "--command-config", &properties]).output();
        let status = status.expect("the binary was built with the tests").stdout;
        String::from_utf8_lossy(&status).matches("ready").count() == 3
    });

    signal("TERM", dev.child.id());
    assert_eq!(dev.exit_code(), Some(0));
    signal("TERM", broker.id());
    broker.wait().expect("it ends");
    for other in [["--brokers", "5"], ["--port", "1"]] {
        let refused = command(&dev.dir, &[&["dev"] as &[&str], &other].concat()).status();
        assert_eq!(
            refused.expect("it ends").code(),
            Some(2),
            "a cluster that is there stays as it is: {other:?}"
        );
    }
}

#[test]
fn a_quickstart_that_is_told_to_end_leaves_no_broker_behind() {
    for name in ["TERM", "HUP"] {
        let mut quickstart = starting_quickstart();

        signal(name, quickstart.child.id());

        assert_eq!(quickstart.exit_code(), Some(130), "SIG{name}");
        until("no broker to be left", || processes_of(&quickstart.dir).is_empty());
    }
}

#[test]
fn a_quickstart_that_is_killed_leaves_no_broker_behind() {
    let mut quickstart = starting_quickstart();

    signal("KILL", quickstart.child.id());

    assert_eq!(quickstart.exit_code(), None);
    until("no broker to be left", || processes_of(&quickstart.dir).is_empty());
}

#[test]
fn a_broker_of_a_quickstart_that_ends_by_itself_fails_it_and_its_log_is_kept() {
    let mut quickstart = starting_quickstart();
    let victim = processes_of(&quickstart.dir).first().copied().expect("there are three");

    signal("KILL", victim);

    assert_eq!(quickstart.exit_code(), Some(1));
    let said = quickstart.stderr();
    assert!(said.contains("has ended (signal: 9"), "{said}");
    let log = said.split_whitespace().find(|word| word.ends_with("server.log")).expect("it names the log");
    assert!(Path::new(log).exists(), "{said}");
}
