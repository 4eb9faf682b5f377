//! What the process says of itself while it runs: `tracing` to standard error.

use tracing_subscriber::EnvFilter;

/// Starts tracing. `HIGHWATER_LOG` is a filter as of `RUST_LOG`; `HIGHWATER_LOG_FORMAT=json` is for machines.
pub(crate) fn start(default: &str, verbose: u8) {
    let default = match verbose {
        0 => default,
        1 => "info",
        2 => "debug,quinn=info,quinn_proto=info,rustls=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("HIGHWATER_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let json = std::env::var("HIGHWATER_LOG_FORMAT").is_ok_and(|format| format == "json");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only a second start in one process could fail, and then the first one holds.
    let _ =
        if json { builder.json().try_init() } else { builder.with_target(false).with_ansi(false).try_init() };
}
