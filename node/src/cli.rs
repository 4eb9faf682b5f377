//! The `highwater` command: what was typed, carried out, and how the process ends.
//!
//! Generic over the planted faults, so that a test-only binary runs the same command with a bug in the cores of its
//! brokers.

mod allocator;
mod args;
mod bench;
mod cluster;
mod dev;
pub mod failure;
mod files;
mod format;
pub mod local;
mod logging;
mod output;
pub mod quickstart;
mod records;
pub mod replicas;
mod server;
mod session;
mod signals;
mod topics;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use highwater_model::fault::Faults;

use self::args::{Cli, Command};
use self::failure::{Failure, exit};
use self::output::Output;
use self::session::Session;
use self::signals::until_interrupted;

/// Runs the command line of this process to its end. `faults` are those of the brokers that it runs.
#[must_use]
pub fn main<F: Faults>(faults: F) -> ExitCode {
    end_on_panic();
    allocator::keep_what_is_freed();
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
        Command::Format(args) => format::run(args, output),
        Command::Log(command) => records::log(command, output),
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "highwater", &mut std::io::stdout());
            Ok(exit::DONE)
        }
        Command::Quickstart(args) => {
            until_interrupted(Box::pin(quickstart::run(args, &cli.global, output))).await
        }
        Command::Bench(command) => {
            until_interrupted(Box::pin(bench::run(command, &cli.global, output))).await
        }
        Command::Topic(command) => {
            until_interrupted(Box::pin(topics::run(command, &session(cli, output)?))).await
        }
        Command::Config(command) => until_interrupted(topics::config(command, &session(cli, output)?)).await,
        Command::Produce(args) => {
            until_interrupted(Box::pin(records::produce(args, &session(cli, output)?))).await
        }
        Command::Consume(args) => {
            until_interrupted(Box::pin(records::consume(args, &session(cli, output)?))).await
        }
        Command::Cluster(command) => until_interrupted(cluster::run(command, &session(cli, output)?)).await,
        Command::Quorum(command) => {
            until_interrupted(Box::pin(cluster::quorum(command, &session(cli, output)?))).await
        }
    }
}

fn session(cli: &Cli, output: &Output) -> Result<Session, Failure> {
    Session::open(&cli.global, output.clone())
}
