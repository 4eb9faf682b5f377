//! The `highwater` binary: the command line with nothing planted.

use std::process::ExitCode;

use highwater_model::fault::Sound;

fn main() -> ExitCode {
    highwater_node::cli::main(Sound)
}
