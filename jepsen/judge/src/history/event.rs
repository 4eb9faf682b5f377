//! One event of a history.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::operation::What;

/// What happened at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the history, from 0.
    pub index: u64,
    /// Nanoseconds since the run began, by the recorder's monotonic clock.
    pub time_ns: u64,
    /// Who did it.
    pub actor: Actor,
    /// Where in its operation it is.
    pub phase: Phase,
    /// What the operation is; at its end with what came of it.
    pub what: What,
    /// Why it failed, or why nobody knows.
    pub error: Option<String>,
    /// The node that was asked or that answered, where one is known.
    pub node: Option<u32>,
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// A process of the workload: one operation at a time.
    Process(u32),
    /// Who injects faults. In JSON `"nemesis"`.
    Nemesis,
}

/// Where in its operation an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It begins.
    Invoke,
    /// It ended and took effect.
    Ok,
    /// It ended and certainly never takes effect.
    Fail,
    /// It ended, and nobody knows whether it took or will take effect.
    Info,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(number) => write!(f, "process {number}"),
            Self::Nemesis => f.write_str("nemesis"),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Process(number) => serializer.serialize_u32(*number),
            Self::Nemesis => serializer.serialize_str("nemesis"),
        }
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ActorVisitor)
    }
}

struct ActorVisitor;

impl Visitor<'_> for ActorVisitor {
    type Value = Actor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the number of a process, or \"nemesis\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Actor, E> {
        u32::try_from(number).map(Actor::Process).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Actor, E> {
        match name {
            "nemesis" => Ok(Actor::Nemesis),
            _ => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
        }
    }
}
