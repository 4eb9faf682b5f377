//! Drivers: each owns one protocol core, feeds it inputs and carries out its effects in the order given.
//!
//! A driver never compares epochs, offsets, in-sync sets, watermarks or votes. Where it would have to, the core lacks an
//! input or an effect.

mod issued;
pub(crate) mod lifecycle;
pub(crate) mod quorum;
mod reads;
pub(crate) mod replication;
pub(crate) mod timers;
