//! What the cells that threads share without a lock are made of.
//!
//! The standard library's; but `tests/cells.rs` takes the same cells and makes them of loom's, which tries every order in which
//! threads can meet.

pub(crate) use std::sync::atomic;
pub(crate) use std::sync::{Mutex, OnceLock, RwLock, RwLockReadGuard};
