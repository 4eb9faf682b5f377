//! `highwater cluster status` and `highwater quorum`.

use highwater_model::api::{BrokerDetail, ClusterDetail, QuorumDetail, VoterChange, VoterDetail};
use highwater_model::id::{DirectoryId, NodeId};
use serde_json::{Value, json};

mod monitors;

use super::args::{Cluster, Quorum};
use super::failure::{Failure, exit};
use super::session::Session;
use crate::config::formatted::uuid;

pub(super) async fn run(command: &Cluster, session: &Session) -> Result<u8, Failure> {
    match command {
        Cluster::Status => status(session).await,
        Cluster::Monitors { all } => monitors::run(session, *all).await,
    }
}

async fn status(session: &Session) -> Result<u8, Failure> {
    let cluster = session.client.admin().describe_cluster(false).await?;
    let controller =
        cluster.controller.map_or_else(|| "none known".to_owned(), |node| format!("node {node}"));
    session.output.text(format!("cluster {}  active controller {controller}", cluster.cluster))?;
    let rows: Vec<Vec<String>> = cluster
        .brokers
        .iter()
        .map(|broker| vec![broker.node.to_string(), broker.address.clone(), state(broker).to_owned()])
        .collect();
    session.output.table(&["BROKER", "ADDRESS", "STATE"], &rows)?;
    session.output.text(format!(
        "{} topics, {} partitions: {} offline, {} under-replicated, {} under min.insync.replicas",
        cluster.topics, cluster.partitions, cluster.offline, cluster.under_replicated, cluster.under_min_isr
    ))?;
    session.output.document("cluster.status", Some(cluster.cluster), Some(&cluster_value(&cluster)), &[])?;
    Ok(exit::DONE)
}

fn state(broker: &BrokerDetail) -> &'static str {
    match (broker.fenced, broker.shutting_down) {
        (true, _) => "fenced",
        (false, true) => "stopping",
        (false, false) => "ready",
    }
}

fn cluster_value(cluster: &ClusterDetail) -> Value {
    let broker = |broker: &BrokerDetail| json!({"node": broker.node, "broker_epoch": broker.broker_epoch, "address": broker.address, "state": state(broker)});
    json!({"controller": cluster.controller, "metadata_offset": cluster.metadata_offset,
           "brokers": cluster.brokers.iter().map(broker).collect::<Vec<_>>(), "topics": cluster.topics,
           "partitions": cluster.partitions, "offline": cluster.offline, "under_replicated": cluster.under_replicated,
           "under_min_isr": cluster.under_min_isr})
}

pub(super) async fn quorum(command: &Quorum, session: &Session) -> Result<u8, Failure> {
    match command {
        Quorum::Status => quorum_status(session).await,
        Quorum::Add { node, directory } => {
            let quorum = session.client.admin().describe_quorum().await?;
            let directory = chosen(NodeId(*node), directory.as_deref(), &quorum.observers, "observer")?;
            change(session, VoterChange::Add { node: NodeId(*node), directory }, "quorum.add").await
        }
        Quorum::Remove { node, directory } => {
            let quorum = session.client.admin().describe_quorum().await?;
            let directory = chosen(NodeId(*node), directory.as_deref(), &quorum.voters, "voter")?;
            change(session, VoterChange::Remove { node: NodeId(*node), directory }, "quorum.remove").await
        }
    }
}

async fn quorum_status(session: &Session) -> Result<u8, Failure> {
    let quorum = session.client.admin().describe_quorum().await?;
    let dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    session.output.text(format!(
        "leader {}  epoch {}  high watermark {}",
        dash(quorum.leader.map(|leader| leader.to_string())),
        quorum.quorum_epoch,
        dash(quorum.high_watermark.map(|offset| offset.to_string())),
    ))?;
    let row = |role: &str, voter: &VoterDetail| {
        let role = if quorum.leader == Some(voter.node) { "leader" } else { role };
        let end = dash(voter.log_end.map(|end| end.to_string()));
        vec![voter.node.to_string(), role.to_owned(), voter.directory.to_string(), end]
    };
    let mut rows: Vec<Vec<String>> = quorum.voters.iter().map(|voter| row("voter", voter)).collect();
    rows.extend(quorum.observers.iter().map(|observer| row("observer", observer)));
    session.output.table(&["NODE", "ROLE", "DIRECTORY", "LOG-END"], &rows)?;
    session.output.document("quorum.status", None, Some(&quorum_value(&quorum)), &[])?;
    Ok(exit::DONE)
}

fn quorum_value(quorum: &QuorumDetail) -> Value {
    let voter = |voter: &VoterDetail| json!({"node": voter.node, "directory_id": voter.directory.to_string(), "log_end": voter.log_end});
    json!({"node": quorum.node, "leader": quorum.leader, "quorum_epoch": quorum.quorum_epoch,
           "high_watermark": quorum.high_watermark, "log_end": quorum.log_end,
           "voters": quorum.voters.iter().map(voter).collect::<Vec<_>>(),
           "observers": quorum.observers.iter().map(voter).collect::<Vec<_>>()})
}

/// The directory that is meant: the one that was named, or the only one that the quorum knows of the node.
fn chosen(
    node: NodeId,
    named: Option<&str>,
    known: &[VoterDetail],
    role: &str,
) -> Result<DirectoryId, Failure> {
    if let Some(text) = named {
        let parsed = uuid(text).map(DirectoryId);
        return parsed.ok_or_else(|| Failure::usage(format!("--directory {text:?} is not a UUID"), ""));
    }
    let mut found = known.iter().filter(|voter| voter.node == node);
    match (found.next(), found.next()) {
        (Some(voter), None) => Ok(voter.directory),
        (None, _) => Err(Failure::failed(
            format!("node {node} is no {role}"),
            "highwater quorum status shows the nodes",
        )),
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("node {node} has several directories"), "name one with --directory"))
        }
    }
}

async fn change(session: &Session, change: VoterChange, name: &str) -> Result<u8, Failure> {
    let (verb, node) = match &change {
        VoterChange::Add { node, .. } => ("is a voter now", *node),
        VoterChange::Remove { node, .. } => ("is no voter any more", *node),
    };
    session
        .client
        .admin()
        .change_voters(change)
        .await
        .map_err(|error| Failure::from(error).on(format!("node {node}")))?;
    session.output.text(format!("node {node} {verb}"))?;
    session.output.document(name, None, Some(&json!({"node": node})), &[])?;
    Ok(exit::DONE)
}
