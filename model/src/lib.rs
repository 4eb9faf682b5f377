//! The protocol cores of Highwater.
//!
//! Everything here is a value and a pure step: `step(&mut self, &Tenure, Input, &mut Effects)`. There is no I/O, no
//! clock, no randomness and no thread, so that the checker explores exactly the code that the broker runs.
//! `docs/ARCHITECTURE.md` states what a driver owes a core.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod api;
pub mod error_code;
pub mod fault;
pub mod id;
pub mod invariant;
pub mod log;
pub mod metadata;
pub mod quorum;
pub mod replication;
pub mod trace;
