//! `highwater server`: from configuration to a running node.

use std::net::SocketAddr;
use std::sync::Arc;

use highwater_model::fault::Faults;
use highwater_transport::env::Env;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::args::Server as Args;
use super::failure::{Failure, exit};
use super::files;
use super::output::Output;
use super::session::identity;
use super::signals::end_with_parent;
use crate::config::layers::Layers;
use crate::config::{Problem, Problems, ServerConfig, effective, file};
use crate::disk::{Disk, RealDisk};
use crate::monitor::Monitors;
use crate::server::{self, Server, Settings, StartError};
use crate::trace::Recorder;

/// The settings of all sources.
pub(super) fn layers(args: &Args) -> Result<Layers, Failure> {
    let mut layers = Layers::default();
    if let Some(path) = &args.config {
        let name = path.display().to_string();
        let settings = file::parse(&name, &files::read(path)?);
        layers.add(settings.map_err(|what| Failure::usage(what, "").on(&name))?);
    }
    layers.add_environment(std::env::vars());
    layers.add_flags(args.set.iter().map(String::as_str));
    Ok(layers)
}

/// Prints every problem but the last, and fails with that.
pub(super) fn refused(output: &Output, problems: &Problems) -> Failure {
    let mut failures = failures(problems);
    let last = failures.pop().unwrap_or_else(|| Failure::usage("the configuration is refused", ""));
    for failure in failures {
        output.failure(&failure);
    }
    last
}

fn failures(problems: &Problems) -> Vec<Failure> {
    let failure = |problem: &Problem| Failure::usage(problem.to_string(), problem.hint.clone());
    problems.0.iter().map(failure).collect()
}

/// Runs a node until it is told to stop or cannot go on.
pub(super) async fn run<F: Faults>(args: &Args, output: &Output, faults: F) -> Result<u8, Failure> {
    let layers = layers(args)?;
    let resolved = ServerConfig::resolve(&layers, &files::read_named);
    if args.print_config {
        return print_config(&layers, resolved.err().as_ref(), output);
    }
    let config = resolved.map_err(|problems| refused(output, &problems))?;
    for warning in &layers.warnings {
        output.note(format!("warning: {warning}"));
    }
    if args.check_config {
        output.text("the configuration is complete")?;
        return Ok(exit::DONE);
    }
    args.with_parent.map_or(Ok(()), end_with_parent)?;
    let identity = identity(&config.tls.chain, &config.tls.key, &config.tls.roots)?;
    let disks = config.log_dirs.iter().map(|dir| open_disk(dir)).collect::<Result<Vec<_>, _>>()?;
    let settings = settings(&config)?;
    let started = Server::start(Env::real(), disks, &identity, settings, faults).await;
    let mut server = started.map_err(|error| start_failure(&error))?;
    let failed = |error: std::io::Error| Failure::failed(format!("no signals: {error}"), "");
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        biased;
        why = server.failed() => return Err(Failure::failed(why, "see the log above; the node can be started again")),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::select! {
        biased;
        // A second signal means now.
        _ = terminate.recv() => Ok(exit::INTERRUPTED),
        _ = interrupt.recv() => Ok(exit::INTERRUPTED),
        () = server.shutdown() => Ok(exit::DONE),
    }
}

fn open_disk(dir: &std::path::Path) -> Result<Arc<dyn Disk>, Failure> {
    let hint = "it must exist and be writable; highwater format makes it";
    match RealDisk::open(dir) {
        Ok(disk) => Ok(Arc::new(disk)),
        Err(fault) => Err(Failure::failed(fault.to_string(), hint).on(dir.display().to_string())),
    }
}

fn start_failure(error: &StartError) -> Failure {
    let mut message = error.to_string();
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        let next_message = next.to_string();
        if !message.contains(&next_message) {
            message = format!("{message}: {next_message}");
        }
        cause = next;
    }
    if matches!(error, StartError::NobodySaysWhoVotes { .. }) {
        let hint = "start this node again when a controller of controller.quorum.voters runs and is reached from here";
        return Failure::new(exit::UNREACHABLE, message, hint);
    }
    Failure::failed(
        message,
        "highwater server --print-config shows the configuration; highwater format prepares a directory",
    )
}

/// What the server is told, from what was configured.
fn settings(config: &ServerConfig) -> Result<Settings, Failure> {
    let controllers = config.quorum_voters.iter();
    let timing = &config.timing;
    let limits = server::Limits {
        replica_fetch_bytes_max: config.replica_fetch_bytes_max,
        requests_in_flight_max: config.requests_in_flight_max,
        metadata_snapshot_bytes: u64::from(config.metadata_snapshot_bytes),
        queued_request_bytes_max: config.queued_request_bytes_max,
        client_connections_max: config.client_connections_max,
        ..server::Limits::default()
    };
    Ok(Settings {
        node: config.node,
        cluster: config.cluster,
        roles: server::Roles { broker: config.roles.broker, controller: config.roles.controller },
        listen: listen_address(config)?,
        advertised: Some(config.advertised.to_string()),
        controllers: controllers.map(|voter| (voter.node, voter.endpoint.to_string())).collect(),
        timing: server::Timing {
            session: timing.broker_session_timeout,
            heartbeat: timing.broker_heartbeat_interval,
            quorum_fetch: timing.quorum_fetch_timeout,
            quorum_election: timing.quorum_election_timeout,
            quorum_retry: timing.quorum_request_timeout,
            replica_lag_max: timing.replica_lag_max,
            replica_retry: timing.replica_fetch_backoff,
            request: timing.request_timeout,
            controlled_shutdown: timing.controlled_shutdown_max.unwrap_or_default(),
        },
        topics: server::TopicDefaults {
            partitions: config.topic_defaults.partitions,
            replication_factor: config.topic_defaults.replication_factor,
            configs: config.topic_defaults.set.clone(),
        },
        limits,
        trace: config
            .trace_dir
            .clone()
            .map_or_else(Recorder::default, |dir| Recorder::files(dir, config.trace_bytes_max.into())),
        monitors: config.monitor_steps.map_or_else(Monitors::default, Monitors::every),
    })
}

/// The address to bind, names resolved.
fn listen_address(config: &ServerConfig) -> Result<SocketAddr, Failure> {
    use std::net::ToSocketAddrs as _;
    let host = match config.listener.host.as_str() {
        "" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host,
    };
    let mut found = (host, config.listener.port).to_socket_addrs().map_err(|error| {
        Failure::usage(format!("listeners: {host}: {error}"), "listen on an address of this host")
    })?;
    found.next().ok_or_else(|| Failure::usage(format!("listeners: {host} has no address"), ""))
}

/// Prints every property; what is wrong comes with it.
fn print_config(layers: &Layers, problems: Option<&Problems>, output: &Output) -> Result<u8, Failure> {
    let shown = effective(layers);
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|(name, value, origin)| vec![(*name).to_owned(), value.clone(), origin.to_string()])
        .collect();
    output.table(&["PROPERTY", "VALUE", "ORIGIN"], &rows)?;
    let data: Vec<_> = shown
        .iter()
        .map(|(name, value, origin)| json!({"name": name, "value": value, "origin": origin.to_string()}))
        .collect();
    let failures = problems.map(failures).unwrap_or_default();
    output.document("server.config", None, Some(&data), &failures)?;
    failures.iter().for_each(|failure| output.failure(failure));
    Ok(if failures.is_empty() { exit::DONE } else { exit::USAGE })
}
