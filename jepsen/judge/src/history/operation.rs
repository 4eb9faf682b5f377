//! What an operation can be, and an operation from its beginning to its end.

use serde::{Deserialize, Serialize};

use super::event::{Actor, Phase};

/// What an operation does; in its last event with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Sends records (`send`).
    Send(Send),
    /// Polls records of the assigned keys (`poll`); none at its beginning.
    Poll(Polled),
    /// Names the keys to poll from here on (`assign`).
    Assign(Assign),
    /// Asks where a log ends (`end`).
    End(EndRead),
    /// A key has been read to its end after everything was healed (`drained`).
    Drained(Drained),
    /// The client is closed without a word and opened anew (`crash`): always `info`.
    Crash,
    /// Reads a register (`read`): its value at the end.
    Read(Register),
    /// Writes a register (`write`).
    Write(Register),
    /// Writes a register if it has the expected value (`cas`); `fail` if it has another.
    CompareAndSet(CompareAndSet),
    /// Something is broken, or mended (`fault`).
    Fault(Fault),
}

/// When a send is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Acks {
    /// Never.
    #[serde(rename = "0")]
    None,
    /// When the leader has it, which promises nothing.
    #[serde(rename = "1")]
    Leader,
    /// When it is committed.
    #[serde(rename = "all")]
    All,
}

/// Records sent in this order, by one producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// When they are acknowledged.
    pub acks: Acks,
    /// Whether the producer promises that its retries write nothing twice or out of order.
    pub idempotent: bool,
    /// The records. Those with an offset were acknowledged, whatever the operation's end says; the others share its end.
    pub records: Vec<SentRecord>,
}

/// A record that is sent; in JSON `[key, value, offset]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u32, u64, Option<u64>)", into = "(u32, u64, Option<u64>)")]
pub struct SentRecord {
    /// The log.
    pub key: u32,
    /// What names the record: no other record of the history has it.
    pub value: u64,
    /// Where it was acknowledged to be.
    pub offset: Option<u64>,
}

/// Records that were polled, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// The records.
    pub records: Vec<SeenRecord>,
}

/// A record that was polled; in JSON `[key, offset, value]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u32, u64, Option<u64>)", into = "(u32, u64, Option<u64>)")]
pub struct SeenRecord {
    /// The log.
    pub key: u32,
    /// Where it was read.
    pub offset: u64,
    /// Its name; none if its bytes are not those of any record that was sent.
    pub value: Option<u64>,
}

/// Which keys are polled from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assign {
    /// The keys; all others are given up.
    pub keys: Vec<u32>,
    /// From where.
    pub from: AssignFrom,
}

/// Where polling begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssignFrom {
    /// With the first record of each log.
    Beginning,
    /// With whatever comes next.
    End,
    /// Where the process was, for keys that it polled before; with the first record of the others.
    Position,
}

/// The end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndRead {
    /// The log.
    pub key: u32,
    /// The end that was told, exclusive; none at the beginning.
    pub end: Option<u64>,
    /// Whether it was asked for so that it counts every record acknowledged before.
    pub linearizable: bool,
}

/// A log that has been read to its end, by this process and since its last assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// The log.
    pub key: u32,
    /// Its end, exclusive, as it was told before the last poll.
    pub end: u64,
}

/// A register and a value of it; none if it has never been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Register {
    /// The register.
    pub key: u32,
    /// The value.
    pub value: Option<u64>,
}

/// A conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareAndSet {
    /// The register.
    pub key: u32,
    /// What it must hold.
    pub expected: Option<u64>,
    /// What it then holds.
    pub value: u64,
}

/// A step of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its kind, as the report names it: `kill`, `partition`, ….
    pub kind: String,
    /// Whether it begins or ends.
    pub step: FaultStep,
    /// What exactly.
    pub detail: String,
}

/// Whether a fault begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultStep {
    /// From here on something is broken.
    Start,
    /// From here on it is not.
    Stop,
    /// From here on nothing is broken any more, and everything must recover.
    HealAll,
}

/// An operation from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who did it.
    pub actor: Actor,
    /// Index of the event in which it began.
    pub invoked: u64,
    /// Index of the event in which it ended; [`u64::MAX`] if it never did.
    pub completed: u64,
    /// When it began, in nanoseconds since the beginning of the run.
    pub invoked_ns: u64,
    /// When it ended; [`u64::MAX`] if it never did.
    pub completed_ns: u64,
    /// How it ended; [`Phase::Info`] if it did not.
    pub outcome: Phase,
    /// What it was, with what came of it.
    pub what: What,
    /// Why it failed, or why nobody knows.
    pub error: Option<String>,
}

impl From<(u32, u64, Option<u64>)> for SentRecord {
    fn from((key, value, offset): (u32, u64, Option<u64>)) -> Self {
        Self { key, value, offset }
    }
}

impl From<SentRecord> for (u32, u64, Option<u64>) {
    fn from(record: SentRecord) -> Self {
        (record.key, record.value, record.offset)
    }
}

impl From<(u32, u64, Option<u64>)> for SeenRecord {
    fn from((key, offset, value): (u32, u64, Option<u64>)) -> Self {
        Self { key, offset, value }
    }
}

impl From<SeenRecord> for (u32, u64, Option<u64>) {
    fn from(record: SeenRecord) -> Self {
        (record.key, record.offset, record.value)
    }
}
