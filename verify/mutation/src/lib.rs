//! Mechanical mutation of the protocol cores.
//!
//! Every small mistake that can be made in a core (a comparison turned round, a statement forgotten, a function that answers
//! always the same) is compiled into *one* copy of the cores behind a switch, so that a mutant costs a run and not a build.
//! Each is then put to two judges: the unit tests of `model`, and a sweep of the checker. `docs/MUTATION.md` says what is
//! mutated, what is left alone, and what came out.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enums that are matched are the grammar of Rust, which grows; what is not named is left alone"
)]

mod build;
pub mod cli;
mod each;
mod explained;
#[cfg(test)]
mod fixture;
mod instrument;
mod judge;
mod locate;
mod mutant;
mod operators;
mod planted;
mod reach;
mod report;
mod results;
mod returns;
mod run;
mod switch;
mod workbench;
