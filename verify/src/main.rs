//! The `verify` binary.
fn main() {}
