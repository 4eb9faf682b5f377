//! The `highwater` command: what was typed, carried out, and how the process ends.
//!
//! Generic over the planted faults, so that a test-only binary runs the same command with a bug in the cores of its
//! brokers.

mod args;
mod cluster;
mod dev;
mod failure;
mod files;
mod local;
mod logging;
mod output;
mod quickstart;
mod records;
mod server;
mod session;
mod topics;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use highwater_model::fault::Faults;

use self::args::{Cli, Command};
use self::failure::{Failure, exit};
use self::output::Output;
use self::session::Session;

/// Runs the command line of this process to its end. `faults` are those of the brokers that it runs.
#[must_use]
pub fn main<F: Faults>(faults: F) -> ExitCode {
    end_on_panic();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(&cli.global);
    let default = if matches!(cli.command, Command::Server(_)) { "info,quinn=warn" } else { "error" };
    logging::start(default, cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli, &output, faults)),
        Err(error) => Err(Failure::failed(format!("no runtime: {error}"), "")),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => conclude(&output, &failure),
    }
}

/// A panic is a bug; a process that lost a task to one must not go on as if nothing had happened.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// Prints what clap found. Asking for help or the version is no error.
fn usage(error: &clap::Error) -> ExitCode {
    // Whoever closed the stream does not want to read it.
    let _ = error.print();
    let asked = !error.use_stderr();
    ExitCode::from(if asked { exit::DONE } else { exit::USAGE })
}

fn conclude(output: &Output, failure: &Failure) -> ExitCode {
    if failure.exit != exit::DONE {
        output.failure(failure);
        let data: Option<&()> = None;
        // The exit code tells it too.
        let _ = output.document("error", None, data, std::slice::from_ref(failure));
    }
    ExitCode::from(failure.exit)
}

async fn run<F: Faults>(cli: &Cli, output: &Output, faults: F) -> Result<u8, Failure> {
    match &cli.command {
        Command::Server(args) => server::run(args, output, faults).await,
        Command::Dev(args) => dev::run(args, output).await,
        other => tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.map_err(|error| Failure::failed(format!("no signals: {error}"), ""))?;
                Err(Failure::new(exit::INTERRUPTED, "interrupted", ""))
            }
            done = run_once(other, cli, output) => done,
        },
    }
}

/// Commands that come to an end by themselves.
async fn run_once(command: &Command, cli: &Cli, output: &Output) -> Result<u8, Failure> {
    let session = || Session::open(&cli.global, output.clone());
    match command {
        Command::Server(_) | Command::Dev(_) => Ok(exit::DONE),
        Command::Format(args) => server::format(args, output),
        Command::Quickstart(args) => quickstart::run(args, &cli.global, output).await,
        Command::Topic(command) => topics::run(command, &session()?).await,
        Command::Config(command) => topics::config(command, &session()?).await,
        Command::Produce(args) => records::produce(args, &session()?).await,
        Command::Consume(args) => records::consume(args, &session()?).await,
        Command::Cluster(command) => cluster::run(command, &session()?).await,
        Command::Quorum(command) => cluster::quorum(command, &session()?).await,
        Command::Log(command) => records::log(command, output),
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "highwater", &mut std::io::stdout());
            Ok(exit::DONE)
        }
    }
}
