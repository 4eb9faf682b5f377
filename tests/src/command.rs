//! Running the command line in a test, whatever the environment of the test says.

use std::process::Command;

use highwater_node::config::layers::is_kept_from_children;

/// `highwater-planted`, whose file is `program`, with a bug or with `none`; without properties and flags of the
/// environment, and with SIGHUP as it is at a terminal: a gate that runs under `nohup` hands down that it is ignored, which
/// the commands respect.
#[must_use]
pub fn highwater(program: &str, plant: &str) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", program]);
    let ours = |(name, _): (std::ffi::OsString, _)| name.into_string().ok();
    for name in std::env::vars_os().filter_map(ours).filter(|name| is_kept_from_children(name)) {
        command.env_remove(name);
    }
    command.env("HIGHWATER_PLANT", plant);
    command
}
