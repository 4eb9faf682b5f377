//! Calls over a channel: many under way at once, each with a deadline, answered in any order.
//!
//! A call is a frame with a correlation id of its own; its answer carries the same. What is asked, and whether to ask
//! again, is left to the users.

mod caller;
mod serve;

pub use caller::{CallError, Caller, PendingCall};
pub use serve::{Request, Requests, Responder};

/// The most calls of one [`Caller`] that may be under way.
pub const CALLS_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests;
