//! What a person sees of a state: a lane for each broker, for the controller and for clients, and what is between them.
//!
//! It is for reading alone: no verdict rests on it, and a world may leave out of it what explains nothing.

use serde::{Deserialize, Serialize};

/// A state as it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// The same lanes in the same order in every state of a world.
    pub lanes: Vec<Lane>,
    /// Messages that may still arrive. Equal ones are listed as often as they are under way.
    pub in_flight: Vec<Message>,
}

/// Who acts, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lane {
    /// Its name, as in the words of steps: `r0`, `node 2`, `controller`.
    pub name: String,
    /// What it is.
    pub kind: LaneKind,
    /// What is known of it: in every state the same facts in the same order.
    pub facts: Vec<Fact>,
}

/// What a lane stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    /// A broker: its process and its disk.
    Broker,
    /// The controller, with what it has decided.
    Controller,
    /// Clients and operators, with what they were told and what only an onlooker knows.
    Clients,
}

/// One thing that is known of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What is told: `leader epoch`.
    pub what: &'static str,
    /// Its value.
    pub is: Shown,
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// In words; empty for nothing to tell.
    Words(String),
    /// Records in the order of their offsets.
    Log(Vec<Cell>),
}

/// One record of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Its offset.
    pub offset: u64,
    /// Which record it is.
    pub record: String,
    /// The epoch of the leader that appended it: the leader epoch of a partition, the quorum epoch of the metadata log.
    pub under: u32,
    /// What it would survive; `None` where that is no question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// Whether it is below the high watermark that this lane knows.
    pub covered: bool,
}

/// How well a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Its write is under way: the end of the process may lose it.
    Submitted,
    /// Written and not synced: a power loss may lose it.
    Written,
    /// Synced.
    Synced,
}

/// A message under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Message {
    /// Name of the sender's lane.
    pub from: String,
    /// Name of the receiver's lane.
    pub to: String,
    /// What it says.
    pub says: String,
}

/// Whom an action concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Names of the lanes in which it happens.
    pub lanes: Vec<String>,
    /// The message that it takes, by its place in [`Picture::in_flight`] before the step.
    pub takes: Option<usize>,
}

impl Fact {
    /// A fact in words.
    pub fn new(what: &'static str, is: impl ToString) -> Self {
        Self { what, is: Shown::Words(is.to_string()) }
    }

    /// The records of a log.
    #[must_use]
    pub fn log(what: &'static str, cells: Vec<Cell>) -> Self {
        Self { what, is: Shown::Log(cells) }
    }
}

impl Part {
    /// An action of one lane.
    pub fn of(lane: impl ToString) -> Self {
        Self { lanes: vec![lane.to_string()], takes: None }
    }

    /// An action between two lanes.
    pub fn between(one: impl ToString, other: impl ToString) -> Self {
        Self { lanes: vec![one.to_string(), other.to_string()], takes: None }
    }
}
