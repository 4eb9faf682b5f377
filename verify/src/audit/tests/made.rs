//! Makes directories as docs/FORMAT.md describes them, so that audits have something to find.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::audit::{AuditError, Lost, Question, Report, audit};

pub(super) const TOPIC: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
pub(super) const TOPIC_TEXT: &str = "ASNFZ4mrze8BI0VniavN7w";

/// A record to be.
pub(super) type KeyValue = (Option<Vec<u8>>, Vec<u8>);

/// A batch to be.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) base: u64,
    pub(super) epoch: u32,
    pub(super) attributes: u16,
    /// Id, epoch and first sequence.
    pub(super) producer: (i64, i16, i32),
    pub(super) records: Vec<KeyValue>,
}

fn varlong(value: i64, out: &mut Vec<u8>) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw.to_le_bytes()[0] | 0x80);
        raw >>= 7;
    }
    out.push(raw.to_le_bytes()[0]);
}

fn length(count: usize, out: &mut Vec<u8>) {
    varlong(i64::try_from(count).unwrap(), out);
}

/// CRC-32C.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(bytes);
    u32::try_from(digest.finalize()).unwrap()
}

impl Made {
    /// Records of these names, by nobody in particular.
    pub(super) fn named(base: u64, epoch: u32, names: std::ops::Range<u64>) -> Self {
        let record = |name: u64| (Some(name.to_string().into_bytes()), format!("value {name}").into_bytes());
        let records = names.map(record).collect();
        Self { base, epoch, attributes: 0, producer: (-1, -1, -1), records }
    }

    pub(super) fn by(self, id: i64, epoch: i16, sequence: i32) -> Self {
        Self { producer: (id, epoch, sequence), ..self }
    }

    fn control(base: u64, epoch: u32, kind: u8, value: Vec<u8>) -> Self {
        let records = vec![(Some(vec![0, 0, 0, kind]), value)];
        Self { base, epoch, attributes: 1 << 5, producer: (-1, -1, -1), records }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (delta, (key, value)) in self.records.iter().enumerate() {
            let mut body = vec![0];
            varlong(0, &mut body);
            length(delta, &mut body);
            match key {
                Some(key) => {
                    length(key.len(), &mut body);
                    body.extend_from_slice(key);
                }
                None => varlong(-1, &mut body),
            }
            length(value.len(), &mut body);
            body.extend_from_slice(value);
            varlong(0, &mut body);
            length(body.len(), &mut records);
            records.extend_from_slice(&body);
        }
        let count = u32::try_from(self.records.len()).unwrap();
        let mut checked = self.attributes.to_be_bytes().to_vec();
        checked.extend((count - 1).to_be_bytes());
        checked.extend(1_700_000_000_000_i64.to_be_bytes().repeat(2));
        checked.extend(self.producer.0.to_be_bytes());
        checked.extend(self.producer.1.to_be_bytes());
        checked.extend(self.producer.2.to_be_bytes());
        checked.extend(count.to_be_bytes());
        checked.extend(records);
        let mut bytes = self.base.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(checked.len() + 9).unwrap().to_be_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        bytes.push(2);
        bytes.extend(checksum(&checked).to_be_bytes());
        bytes.extend(checked);
        bytes
    }
}

/// The bytes of several batches, back to back.
pub(super) fn bytes(batches: &[Made]) -> Vec<u8> {
    batches.iter().flat_map(Made::bytes).collect()
}

/// State of a partition of three replicas.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) leader: Option<u8>,
    pub(super) epoch: u32,
    pub(super) version: u32,
    pub(super) isr: u32,
    pub(super) eligible: u32,
    /// Who is not in sync: place, reason, since when.
    pub(super) missing: &'static [(u8, u32, u64)],
}

pub(super) const ALL_IN_SYNC: State =
    State { leader: Some(0), epoch: 1, version: 3, isr: 0b111, eligible: 0, missing: &[] };

type StateBody =
    ((Vec<u32>, Option<u8>, u32, u32, u32, u32), (Option<u8>, bool, u8, u32, u64, Vec<(u8, u32, u64)>));

impl State {
    fn body(self) -> StateBody {
        let Self { leader, epoch, version, isr, eligible, missing } = self;
        ((vec![1, 2, 3], leader, epoch, version, isr, eligible), (None, false, 2, 1, 0, missing.to_vec()))
    }
}

fn record(kind: u8, body: impl Serialize) -> KeyValue {
    let mut value = vec![0, kind, 0];
    value.extend(postcard::to_allocvec(&body).unwrap());
    (None, value)
}

/// A decision of the metadata.
pub(super) fn decision(base: u64, epoch: u32, records: Vec<KeyValue>) -> Made {
    Made { base, epoch, attributes: 0, producer: (-1, -1, -1), records }
}

pub(super) fn partition(index: u32, state: State) -> KeyValue {
    record(8, (TOPIC, index, state.body()))
}

/// What was set on the topic.
pub(super) fn configured(name: &str, value: Option<&str>) -> KeyValue {
    record(6, (TOPIC, vec![(name, value)]))
}

/// A broker that stops in order.
pub(super) fn stopping(node: u32) -> KeyValue {
    record(4, (node, 5_u64))
}

/// A broker that starts.
pub(super) fn registered(node: u32) -> KeyValue {
    record(1, (node, u128::from(node) + 100, "h:1", vec![u128::from(node)], None::<u64>))
}

/// A record of voters, by node and directory.
pub(super) fn voters_of(voters: &[(u32, u128)]) -> Made {
    let mut value = vec![0];
    value.extend(postcard::to_allocvec(voters).unwrap());
    Made::control(1, 1, 6, value)
}

fn voters() -> Made {
    voters_of(&[(1, 1), (2, 2), (3, 3)])
}

/// The metadata log as it is until somebody changes it: 10 records in epoch 1.
pub(super) fn metadata() -> Vec<Made> {
    let broker = |node: u32| decision(u64::from(node) + 1, 1, vec![registered(node)]);
    let states = [ALL_IN_SYNC, State { epoch: 0, ..ALL_IN_SYNC }];
    let states = states.map(|state| State { version: 2, ..state });
    let created = vec![record(5, (TOPIC, "visits")), partition(0, states[0]), partition(1, states[1])];
    vec![
        Made::control(0, 1, 2, vec![0]),
        voters(),
        broker(1),
        broker(2),
        broker(3),
        decision(5, 1, created),
        decision(8, 1, vec![partition(0, ALL_IN_SYNC), partition(1, State { epoch: 0, ..ALL_IN_SYNC })]),
    ]
}

/// A snapshot of what [`metadata`] makes up to its end.
pub(super) fn snapshot(second: State) -> Vec<Made> {
    snapshot_of(second, vec![])
}

/// The same of a topic with some configuration.
pub(super) fn snapshot_of(second: State, configuration: Vec<(u32, i64)>) -> Vec<Made> {
    snapshot_to(10, second, configuration)
}

/// The same with another end.
pub(super) fn snapshot_to(end: u64, second: State, configuration: Vec<(u32, i64)>) -> Vec<Made> {
    let brokers: Vec<_> = (1..=3)
        .map(|node: u32| (node, 0_u64, 5_u128, "h:1", vec![u128::from(node)], 0_u64, false, None::<u64>))
        .collect();
    let topic = (TOPIC, "visits", configuration, 0_u64, vec![ALL_IN_SYNC.body(), second.body()]);
    let image = (end, brokers, vec![topic], vec![("visits", TOPIC)], 0_u64);
    vec![
        Made::control(0, 1, 3, vec![0]),
        voters(),
        decision(2, 1, vec![record(10, image)]),
        Made::control(3, 1, 4, vec![0]),
    ]
}

/// The log of partition 0 by segments: 4 records of epoch 0, then 4 of epoch 1, by one idempotent producer.
pub(super) fn first_log() -> Vec<(u64, Vec<Made>)> {
    let batch =
        |base: u64, epoch| Made::named(base, epoch, base..base + 2).by(7, 0, i32::try_from(base).unwrap());
    vec![(0, vec![batch(0, 0), batch(2, 0)]), (4, vec![batch(4, 1)]), (6, vec![batch(6, 1), batch(8, 1)])]
}

/// The log of partition 1: 4 records of epoch 0.
pub(super) fn second_log() -> Vec<(u64, Vec<Made>)> {
    vec![(0, vec![Made::named(0, 0, 100..102), Made::named(2, 0, 102..104)])]
}

/// The directories of three nodes.
pub(super) struct Nodes {
    directory: tempfile::TempDir,
}

impl Nodes {
    /// A sound cluster: one topic of two partitions, and everything in sync.
    pub(super) fn sound() -> Self {
        let nodes = Self { directory: tempfile::tempdir().unwrap() };
        for node in 1..=3 {
            let id = |node: u32| format!("00000000-0000-0000-0000-{node:012x}");
            let path = nodes.path(node);
            fs::create_dir_all(&path).unwrap();
            let said = format!(
                "version=1\ncluster.id=c\nnode.id={node}\ndirectory.id={}\ninitial.controllers=\n",
                id(node)
            );
            fs::write(path.join("meta.properties"), said).unwrap();
            fs::write(path.join(".lock"), "").unwrap();
            fs::write(path.join("quorum-state"), [0, 1, 0]).unwrap();
            let points = "0\n3\n__cluster_metadata 0 10\nvisits 0 8\nvisits 1 2\n";
            fs::write(path.join("recovery-point-offset-checkpoint"), points).unwrap();
            nodes.write(node, "__cluster_metadata-0", &[(0, metadata())]);
            for (index, log) in [first_log(), second_log()].into_iter().enumerate() {
                let name = format!("visits-{index}");
                nodes.write(node, &name, &log);
                let said = format!("version: 0\ntopic_id: {TOPIC_TEXT}\n");
                fs::write(path.join(name).join("partition.metadata"), said).unwrap();
            }
        }
        nodes
    }

    /// What all of them are in.
    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The log directory of a node.
    pub(super) fn path(&self, node: u32) -> PathBuf {
        self.directory.path().join(format!("node-{node}")).join("data")
    }

    /// A sound cluster with more metadata: decisions of these records.
    pub(super) fn decided(decisions: Vec<Vec<KeyValue>>) -> Self {
        let nodes = Self::sound();
        let (mut log, mut end) = (metadata(), 10);
        for records in decisions {
            let count = records.len() as u64;
            log.push(decision(end, 1, records));
            end += count;
        }
        (1..=3).for_each(|node| nodes.write(node, "__cluster_metadata-0", &[(0, log.clone())]));
        nodes
    }

    /// A node loses the last segment of partition 0, as if nothing had ever been in it.
    pub(super) fn shorten(&self, node: u32) {
        fs::remove_file(self.segment(node, "visits-0", 6)).unwrap();
        fs::write(self.path(node).join("recovery-point-offset-checkpoint"), "0\n0\n").unwrap();
    }

    /// A segment.
    pub(super) fn segment(&self, node: u32, log: &str, base: u64) -> PathBuf {
        self.path(node).join(log).join(format!("{base:020}.log"))
    }

    /// Writes a log anew.
    pub(super) fn write(&self, node: u32, log: &str, segments: &[(u64, Vec<Made>)]) {
        fs::create_dir_all(self.path(node).join(log)).unwrap();
        for (base, batches) in segments {
            fs::write(self.segment(node, log, *base), bytes(batches)).unwrap();
        }
    }

    /// Changes the bytes of a file.
    pub(super) fn change(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn ask(&self, question: &Question) -> Result<Report, AuditError> {
        audit(&Question { places: vec![self.root().to_owned()], ..question.clone() })
    }

    pub(super) fn audit(&self) -> Report {
        self.ask(&Question::default()).unwrap()
    }

    pub(super) fn audit_without_power(&self) -> Report {
        self.ask(&Question { lost: Lost::Power, ..Question::default() }).unwrap()
    }

    /// With a history of these lines.
    pub(super) fn audit_told(&self, lines: &str) -> Report {
        let history = self.root().join("history.jsonl");
        fs::write(&history, lines).unwrap();
        self.ask(&Question { history: Some(history), ..Question::default() }).unwrap()
    }
}

/// What is wrong: the rule, the node, the byte and the offset.
pub(super) type Wrong = (&'static str, Option<u32>, Option<u64>, Option<u64>);

pub(super) fn wrong(report: &Report) -> Vec<Wrong> {
    let place = |finding: &crate::audit::Finding| {
        (finding.rule, finding.place.node, finding.place.position, finding.place.offset)
    };
    report.findings.iter().map(place).collect()
}

pub(super) fn noted(report: &Report) -> Vec<&'static str> {
    report.notes.iter().map(|note| note.rule).collect()
}
