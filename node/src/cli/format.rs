//! `highwater format`: gives each log directory of a node its identity, and the first one the voters of the quorum.

use std::path::{Path, PathBuf};

use highwater_model::id::{ClusterId, DirectoryId};
use highwater_transport::env::Env;
use serde_json::{Value, json};

use super::args::FormatDirectory;
use super::failure::{Failure, exit};
use super::files;
use super::output::Output;
use super::server::{layers, refused};
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter, uuid};
use crate::config::{ServerConfig, VoterEndpoint};

/// Prepares the log directories of a node.
pub(super) fn run(args: &FormatDirectory, output: &Output) -> Result<u8, Failure> {
    let layers = layers(&args.server)?;
    let config =
        ServerConfig::resolve(&layers, &files::read_named).map_err(|problems| refused(output, &problems))?;
    let present = present(&config)?;
    if let Some((dir, _)) = present.first().filter(|_| !args.ignore_formatted) {
        let hint = "remove the directory only if everything in it may go; --ignore-formatted leaves it as it is and \
                    formats the others";
        return Err(Failure::failed("is formatted already", hint).on(dir.display().to_string()));
    }
    for (dir, _) in &present {
        output.note(format!("{} is formatted already", dir.display()));
    }
    let missing: Vec<&PathBuf> =
        config.log_dirs.iter().filter(|dir| !present.iter().any(|(known, _)| known == *dir)).collect();
    if missing.is_empty() {
        return Ok(exit::DONE);
    }
    let env = Env::real();
    let first = first(args, &config, &env, &present)?;
    let mut written = Vec::new();
    for dir in missing {
        let directory = if config.log_dirs.first() == Some(dir) {
            first.directory
        } else {
            DirectoryId(env.random_u128())
        };
        let formatted = Formatted { directory, ..first.clone() };
        write(dir, &formatted, output)?;
        written.push(json!({"log_dir": dir.display().to_string(), "directory_id": directory.to_string()}));
    }
    output.document("format", Some(first.cluster), Some(&document(&config, &first, &written)), &[])?;
    Ok(exit::DONE)
}

/// The directories that have been formatted, and for what.
fn present(config: &ServerConfig) -> Result<Vec<(PathBuf, Formatted)>, Failure> {
    let mut present = Vec::new();
    for dir in &config.log_dirs {
        let path = dir.join(FILE_NAME);
        if path.exists() {
            let formatted = Formatted::parse(&files::read(&path)?);
            let formatted =
                formatted.map_err(|what| Failure::failed(what, "").on(path.display().to_string()))?;
            present.push((dir.clone(), formatted));
        }
    }
    Ok(present)
}

/// What the first directory is formatted for, or was.
fn first(
    args: &FormatDirectory,
    config: &ServerConfig,
    env: &Env,
    present: &[(PathBuf, Formatted)],
) -> Result<Formatted, Failure> {
    let parsed = |text: &String, what: &str| {
        uuid(text).ok_or_else(|| Failure::usage(format!("{what} {text:?} is not a UUID"), ""))
    };
    let given = args.cluster_id.as_ref().map(|text| parsed(text, "--cluster-id")).transpose()?;
    let given = given.map(ClusterId).or(config.cluster);
    let known = present.first().map(|(_, formatted)| formatted.cluster);
    if let (Some(given), Some(known)) = (given, known)
        && given != known
    {
        let what = format!("cluster {given} is wanted, but a directory is formatted for cluster {known}");
        return Err(Failure::usage(what, "all directories of a node are of one cluster"));
    }
    if let Some((_, first)) = present.iter().find(|(dir, _)| config.log_dirs.first() == Some(dir)) {
        return Ok(first.clone());
    }
    let cluster = given.or(known).unwrap_or_else(|| ClusterId(env.random_u128()));
    let directory = args.directory_id.as_ref().map(|text| parsed(text, "--directory-id")).transpose()?;
    let (directory, voters) = voters(args, config, directory.map(DirectoryId), env)?;
    Ok(Formatted { cluster, node: config.node, directory, voters })
}

/// The first directory's identity, and the voters that the quorum begins with.
fn voters(
    args: &FormatDirectory,
    config: &ServerConfig,
    given: Option<DirectoryId>,
    env: &Env,
) -> Result<(DirectoryId, Vec<InitialVoter>), Failure> {
    let voters = args.initial_controllers.iter().map(|text| InitialVoter::parse(text));
    let mut voters = voters.collect::<Result<Vec<_>, _>>().map_err(|what| {
        Failure::usage(format!("--initial-controllers: {what}"), "see highwater format --help")
    })?;
    let own = voters.iter().find(|voter| voter.node == config.node).map(|voter| voter.directory);
    if given.is_some() && own.is_some() && given != own {
        return Err(Failure::usage(
            "--directory-id differs from the one among --initial-controllers",
            "leave one of them out",
        ));
    }
    let directory = own.or(given).unwrap_or_else(|| DirectoryId(env.random_u128()));
    if voters.is_empty() && !args.no_initial_controllers {
        voters = lone_voter(config, directory)?;
    }
    Ok((directory, voters))
}

/// The voters of a cluster of one.
fn lone_voter(config: &ServerConfig, directory: DirectoryId) -> Result<Vec<InitialVoter>, Failure> {
    let hint = "list every controller with its directory id in --initial-controllers, the same on every node, \
                or join as an observer with --no-initial-controllers and controller.quorum.voters";
    let others = |voter: &VoterEndpoint| voter.node != config.node;
    if !config.roles.controller || config.quorum_voters.iter().any(others) {
        return Err(Failure::usage("this node is not the only controller", hint));
    }
    Ok(vec![InitialVoter { node: config.node, endpoint: config.advertised.clone(), directory }])
}

fn write(dir: &Path, formatted: &Formatted, output: &Output) -> Result<(), Failure> {
    files::create_dir(dir)?;
    files::write(&dir.join(FILE_NAME), &formatted.render())?;
    let (node, cluster) = (formatted.node, formatted.cluster);
    output.text(format!("formatted {} for node {node} of cluster {cluster}", dir.display()))?;
    output.text(format!("directory id {}", formatted.directory))
}

/// Of the first directory by itself, as there is no quorum without it, and of each that was formatted just now.
fn document(config: &ServerConfig, first: &Formatted, written: &[Value]) -> Value {
    let dir = config.log_dirs.first().map(|dir| dir.display().to_string());
    json!({
        "log_dir": dir,
        "node_id": first.node.0,
        "directory_id": first.directory.to_string(),
        "initial_controllers": first.voters.iter().map(InitialVoter::render).collect::<Vec<_>>(),
        "formatted": written,
    })
}
