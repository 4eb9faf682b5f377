//! The `jepsen` command.

use std::process::ExitCode;

// Much of a simulation is small messages that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    highwater_jepsen::cli::main()
}
