//! The `verify` binary: see `verify --help`.

use std::process::ExitCode;

/// Most of a search is cloning small states and freeing them on another thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    highwater_verify::cli::main()
}
