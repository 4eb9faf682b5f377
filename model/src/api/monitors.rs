//! What a node's runtime monitors have counted.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorFinding {
    /// When, by the node's wall clock, in ms.
    pub at_ms: u64,
    /// Where: the partition, or another part of the node, in words.
    pub place: String,
    /// The values that break the property, in words.
    pub values: String,
}

/// The counts of one monitor since the node's process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorCount {
    /// The property, for example `replication/watermark_order`.
    pub name: String,
    /// How often it was evaluated. Without evaluations there can be no violations.
    pub evaluated: u64,
    /// How often it did not hold.
    pub violated: u64,
    /// The first violation.
    pub first: Option<MonitorFinding>,
    /// The last one.
    pub last: Option<MonitorFinding>,
    /// Where it did not hold, in the order in which that was found, as far as they are kept apart.
    pub places: Vec<MonitorPlace>,
    /// Violations in places beyond those.
    pub elsewhere: u64,
}

/// How often a property did not hold in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorPlace {
    /// Where, as in [`MonitorFinding::place`].
    pub place: String,
    /// How often it did not hold there.
    pub violated: u64,
}

/// The runtime monitors of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorsDetail {
    /// The node.
    pub node: NodeId,
    /// Once in how many steps of a core the whole of it is looked at; `None` if the monitors are off.
    pub interval: Option<u32>,
    /// The counts, a row for each monitor; none if they are off.
    pub counts: Vec<MonitorCount>,
}
