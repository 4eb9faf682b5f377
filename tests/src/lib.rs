//! What the end-to-end tests of Highwater share: whole clusters, and judges of what they did.
//!
//! The tests themselves are under `tests/tests`; nothing here is part of the product.

pub mod command;
pub mod processes;
pub mod simulation;
