//! Histories of a replicated log as its clients saw them, and what must hold of them.
//!
//! A history is a list of events, as lines of JSON ([`history`]). The checkers are pure functions of it: [`log`] looks for
//! every anomaly of records sent and polled, [`linearizable`] decides whether registers behaved like one copy, and
//! [`availability`] says for how long nothing succeeded. Nothing here knows the system that was attacked: this package
//! depends on no other of the workspace, so that a judge cannot share the defendant's beliefs.

pub mod availability;
pub mod history;
pub mod linearizable;
pub mod log;
pub mod verdict;
