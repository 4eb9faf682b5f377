//! The search: visits every state of a world, level by level, and keeps the shortest way to each.
//!
//! Breadth first, so that the first violation found has the fewest steps. States are remembered by 64-bit fingerprints of
//! their encoding, with the fingerprint of the state that they were first reached from; only the frontier holds states
//! themselves. Stateright's own checkers serve as a cross-check: on the same world they count the same states.
//!
//! [`walk`] goes where no search can: it visits what chance leads to.

mod choice;
mod encoder;
mod expand;
mod lent;
mod likeness;
mod outcome;
mod process;
mod quiet;
mod recent;
mod search;
mod trace;
mod visited;
mod walk;

#[cfg(test)]
mod tests;

pub use choice::{Engine, EngineName, Own, Stateright};
pub use encoder::Encoder;
pub use lent::lend;
pub use likeness::{Unlike, alike};
pub use outcome::{Limits, Outcome, Progress, Verdict};
pub use process::{peak_resident_bytes, resident_bytes};
pub(crate) use quiet::quietly;
pub use search::search;
pub(crate) use trace::aftermath;
pub use trace::{Counterexample, Step};
pub use walk::{Plan, Sighting, Walked, walk};

/// Name of the claim that a core which fails one of its own assertions breaks.
pub const PANIC: &str = "core/assertion_holds";
