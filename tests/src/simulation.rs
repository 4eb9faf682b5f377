//! The production broker in the deterministic simulation: three brokers and a client over QUIC, in one thread, on
//! simulated disks, with faults drawn from a seed, and a judge of what is left.
//!
//! One seed is one run, the same in every process (docs/SIMULATION.md). What is simulated belongs to
//! `transport::env::sim` and `node::disk`; what is right is said by [`judge`].

mod cluster;
mod faults;
pub mod judge;
mod load;
mod reading;
mod replicas;
mod run;

pub use cluster::{Identities, Watched};
pub use faults::Counts;
pub use run::{Control, Report, Scenario};
