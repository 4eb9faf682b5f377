//! The report of runs made by hand: `jepsen report` writes a page that says what was found and where.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

/// Elements that have no end.
const VOID: &[&str] = &["!doctype", "meta", "br"];

/// What nobody should be able to put into a page.
const HOSTILE: &str = "</title></svg><script>alert(1)</script>";

/// Lines of a history, a millisecond apart unless it is said otherwise.
#[derive(Default)]
struct History {
    text: String,
    index: u64,
    ms: u64,
}

impl History {
    fn event(&mut self, process: u32, phase: &str, f: &str, value: serde_json::Value) -> &mut Self {
        self.line(json!({"process": process, "type": phase, "f": f, "value": value}))
    }

    fn fault(&mut self, kind: &str, step: &str) -> &mut Self {
        let value = json!({"kind": kind, "step": step, "detail": "[(1, 2)]"});
        self.line(json!({"process": "nemesis", "type": "info", "f": "fault", "value": value}))
    }

    fn line(&mut self, mut line: serde_json::Value) -> &mut Self {
        let fields = line.as_object_mut().expect("an event is an object");
        fields.insert("index".to_owned(), self.index.into());
        fields.insert("time".to_owned(), (self.ms * 1_000_000).into());
        writeln!(self.text, "{line}").expect("there is memory");
        self.index += 1;
        self.ms += 1;
        self
    }

    /// One send at acks=all, from its beginning to its end.
    fn sent(&mut self, process: u32, value: u64, offset: u64) -> &mut Self {
        let send =
            |offset: Option<u64>| json!({"acks": "all", "idempotent": true, "records": [[0, value, offset]]});
        self.event(process, "invoke", "send", send(None)).event(process, "ok", "send", send(Some(offset)))
    }

    /// The whole log is read, by these records from its beginning on.
    fn drained(&mut self, process: u32, values: &[u64]) -> &mut Self {
        let assign = json!({"keys": [0], "from": "beginning"});
        self.event(process, "invoke", "assign", assign.clone()).event(process, "ok", "assign", assign);
        let records: Vec<_> = (0..).zip(values).map(|(offset, value)| json!([0, offset, value])).collect();
        self.event(process, "invoke", "poll", json!({"records": []}));
        self.event(process, "ok", "poll", json!({"records": records}));
        let drained = json!({"key": 0, "end": values.len()});
        self.event(process, "invoke", "drained", drained.clone()).event(process, "ok", "drained", drained)
    }

    fn store(&self, dir: &Path) {
        let run = json!({
            "schema": "highwater.jepsen/v1",
            "workload": "log",
            "on": "processes",
            "seed": 7,
            "rerun": format!("jepsen run --seed 7 {HOSTILE}"),
            "allowed": {},
            "faults": {"leader-alone": 1},
            "skipped": {"power-loss": "needs <file systems> of its own"},
            "failures": [],
            "evidence": {"audit": {
                "conclusion": "clean",
                "command": "verify audit /far/away/nodes --history /far/away/history.jsonl",
                "said": ["clean: 0 findings", HOSTILE],
            }},
        });
        std::fs::write(dir.join("run.json"), run.to_string()).expect("the run is written");
        std::fs::write(dir.join("history.jsonl"), &self.text).expect("the history is written");
    }
}

fn report(dir: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_jepsen");
    Command::new(program).arg("report").arg(dir).output().expect("the program runs")
}

/// The page of a history, and with which code the program ended.
fn page(history: &History) -> (String, Option<i32>) {
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");
    history.store(dir.path());
    let output = report(dir.path());
    let path = dir.path().join("report.html");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{}\n", path.display()), "{output:?}");
    let page = std::fs::read_to_string(&path).expect("the page is where the program says");
    assert_eq!(unbalanced(&page), None);
    for foreign in ["<script", "<link", "<img", "src=", "href=", "url(", "@import", "http"] {
        assert!(!page.contains(foreign), "a page that needs nothing but itself has no {foreign}");
    }
    // Numbers and units do not part, which is not what is asked here.
    (page.replace(['\u{a0}', '\u{202f}'], " "), output.status.code())
}

/// The first tag that ends another element than the one that began last.
fn unbalanced(page: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { return Some(tag.to_owned()) };
        let name = tag.split_whitespace().next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(ended) if open.pop() == Some(ended) => {}
            Some(_) => return Some(tag.to_owned()),
            None if tag.ends_with('/') || VOID.contains(&name) => {}
            None => open.push(name),
        }
    }
    open.pop().map(str::to_owned)
}

fn assert_has(page: &str, parts: &[&str]) {
    let missing: Vec<_> = parts.iter().filter(|part| !page.contains(**part)).collect();
    assert!(missing.is_empty(), "{missing:#?} is not in\n{page}");
}

#[test]
fn a_lost_record_is_shown_with_who_was_told_that_it_stays() {
    let mut history = History::default();
    history.sent(0, 70, 0).fault("leader-alone", "start").sent(1, 71, 1).fault("leader-alone", "stop");
    let failed = json!({"acks": "all", "idempotent": true, "records": [[0, 99, null]]});
    history.event(4, "invoke", "send", failed.clone());
    history.line(json!({"process": 4, "type": "fail", "f": "send", "value": failed, "error": HOSTILE}));
    history.sent(2, 72, 1).fault("all", "healall").drained(3, &[70, 72]);

    let (page, code) = page(&history);

    assert_eq!(code, Some(4));
    assert_has(
        &page,
        &["<title>INVALID: log run of seed 7</title>", "<span class=\"badge invalid\">INVALID</span>"],
    );
    assert_has(
        &page,
        &["<h4><code>lost-write</code> × 1</h4>", "<h4><code>inconsistent-offsets</code> × 1</h4>"],
    );
    // The operation that was told that record 71 is there, and what is there instead.
    assert_has(
        &page,
        &[
            "process 1, acks=all, idempotent<br>event 3 at 0.003 s",
            "at offset 1<br>event 4 at 0.004 s",
            "never read<br>offset 1 holds record 72, first read by process 3, event 14 at 0.014 s",
        ],
    );
    assert_has(
        &page,
        &["<g class=\"band partitions\">", "<title>leader-alone [(1, 2)]\n0.002 s for 3.0 ms</title>"],
    );
    assert_has(&page, &["Around the first anomaly, lost-write: record 71", "<rect class=\"bar ok cited\""]);
    assert_has(
        &page,
        &["process 4: send, acks=all, failed", "&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;alert(1)"],
    );
    assert_has(&page, &["power-loss: needs &lt;file systems&gt; of its own"]);
    assert_has(&page, &["$ verify audit nodes --history history.jsonl\nclean: 0 findings\n"]);
}

#[test]
fn a_valid_run_shows_where_nothing_succeeded() {
    let mut history = History::default();
    history.sent(0, 70, 0).fault("leader-alone", "start");
    history.ms += 900;
    history.fault("leader-alone", "stop").fault("all", "healall").sent(1, 71, 1);
    let unknown = json!({"acks": "1", "idempotent": false, "records": [[0, 73, null]]});
    let end = json!({"key": 0, "end": 2, "linearizable": true});
    history
        .event(3, "invoke", "end", json!({"key": 0, "end": null, "linearizable": true}))
        .event(3, "ok", "end", end);
    history.drained(3, &[70, 71]).event(5, "invoke", "send", unknown);

    let (page, code) = page(&history);

    assert_eq!(code, Some(0));
    assert_has(
        &page,
        &["<span class=\"badge valid\">VALID</span>", "Everything that clients were told is as promised."],
    );
    assert_has(&page, &["Around the longest time without a success.", ">nothing succeeds</text>"]);
    assert_has(&page, &["operations 5 ok, 0 failed, 1 unknown", "process 5: send, acks=1, never ended"]);
    assert_has(&page, &["<dd>905 ms, from 0.001 s on</dd>", "<dd>2.0 ms after everything was mended</dd>"]);
    assert!(!page.contains("Records in question"), "{page}");
}

#[test]
fn a_long_run_has_no_longer_page() {
    let mut history = History::default();
    for value in 0..15_000 {
        history.sent(u32::try_from(value % 60).expect("it is small"), value, value);
        if value % 20 == 0 {
            history.fault("kill", "start").fault("kill", "stop");
        }
    }

    let (page, code) = page(&history);

    // Nobody read anything, so that nobody can tell.
    assert_eq!(code, Some(5));
    assert_has(&page, &["operations 15 000 ok", "and 250 more"]);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn what_cannot_be_shown_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("there is room for a temporary directory");
    let refused = |expected: &str, code: i32| {
        let output = report(dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(expected), "{said}");
        assert_eq!(output.status.code(), Some(code));
        assert!(!dir.path().join("report.html").exists());
    };

    refused("run.json", 2);
    let mut history = History::default();
    history.sent(0, 70, 0).text.push_str("{\"index\":2}\n");
    history.store(dir.path());
    refused("line 3 is no event of a history", 5);
}
