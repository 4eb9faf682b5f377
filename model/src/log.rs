//! What a core knows of a log: its shape, never its bytes.
//!
//! One epoch history, one divergence rule and one notion of what is durable serve the quorum log and every partition
//! log. `(epoch, offset)` identifies a record. Files, bytes and checksums belong to the node.

mod epoch_history;
mod shape;

pub use epoch_history::{Epoch, EpochEnd, EpochHistory, EpochStart};
pub use shape::{LogShape, Position};
