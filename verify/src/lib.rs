//! Exhaustive checking of the protocol cores.
//!
//! A [`world::Checked`] world puts real cores of `highwater-model` on a network that loses, delays and reorders, on disks
//! that lose what was not synced, and among clients; the [`engine`] visits every state that such a world can reach
//! within its bounds. Protocol logic is not here: a decision that a world would have to take is a missing input or
//! effect of a core. [`recovery`] tries what becomes of such a state once faults stop.

pub mod audit;
pub mod bounds;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod metadata;
pub mod quorum;
pub mod recovery;
pub mod registry;
pub mod replay;
pub mod replication;
pub mod report;
pub mod story;
mod sync;
pub mod trace;
pub mod world;
