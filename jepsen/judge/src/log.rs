//! What must hold of records that were sent to logs and polled from them.
//!
//! [`Checker`] takes operations one by one, in the order in which they ended, and keeps what it needs of each record; so a
//! history of any length is read once. Offsets are told with every acknowledgement and every poll, which makes every
//! question linear: the order of a log is that of its offsets. Names of the anomalies are those of Jepsen's kafka workload.

mod anomaly;
mod checker;
mod ends;
mod entries;
mod positions;

pub use anomaly::Anomaly;
pub use checker::{Checker, Promises};

#[cfg(test)]
mod tests;
