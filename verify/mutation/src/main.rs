//! The `mutate` binary: see `mutate --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    highwater_mutation::cli::main()
}
