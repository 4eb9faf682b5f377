//! Learning who votes, for a node that joins a running cluster: its directory was formatted without controllers.
//!
//! An observer finds the leader by asking voters, so it must know some. A controller that the configuration names tells it
//! who votes at present; that is written to the directory, and that it was learned so. It is no more than
//! where to ask: who votes in truth is in the metadata log.

use std::time::Duration;

use highwater_model::api::QuorumDetail;
use highwater_model::fault::Faults;
use highwater_model::id::NodeId;

use super::StartError;
use super::start::Start;
use crate::config::formatted::{FILE_NAME, Formatted, InitialVoter};
use crate::config::value;
use crate::kept::{DirectoryError, LogDirectory};
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// Marks a directory whose voters were learned when the node joined: who voted at first is not known to it.
const JOINED: &str = "joined";
/// How long one controller is waited for.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long to wait before all are asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// A node that nobody has told who votes after so long ends: a wrong address is noticed, and whoever supervises the process
/// starts it again.
const JOIN_WITHIN: Duration = Duration::from_secs(60);
/// How often a node that waits says so.
const SAY_EVERY: Duration = Duration::from_secs(10);

impl<F: Faults> Start<F> {
    /// The voters that the directory was formatted with. If it was with none, waits until a configured controller that
    /// leads has named those of the present. Tells, too, whether it was so.
    ///
    /// # Errors
    /// When no controller is configured, or none has named voters in [`JOIN_WITHIN`].
    pub(super) async fn initial_voters(
        &self,
        directory: &LogDirectory,
    ) -> Result<(Vec<InitialVoter>, bool), StartError> {
        let formatted = &directory.formatted;
        if !formatted.voters.is_empty() {
            let entries = directory.disk.list("").map_err(DirectoryError::from)?;
            let has_joined = entries.iter().any(|entry| entry.name == JOINED);
            return Ok((formatted.voters.clone(), has_joined));
        }
        if self.others().next().is_none() {
            return Err(StartError::NoVoters { directory: directory.disk.name().to_owned() });
        }
        let voters = self.ask_for_voters().await?;
        tracing::info!(count = voters.len(), "a controller has said who votes");
        let formatted = Formatted { voters: voters.clone(), ..formatted.clone() };
        for (name, text) in [(JOINED, String::new()), (FILE_NAME, formatted.render())] {
            let written = directory.disk.replace(name, text.into_bytes().into()).await;
            written.map_err(DirectoryError::from)?;
        }
        Ok((voters, true))
    }

    /// The configured controllers but this node.
    fn others(&self) -> impl Iterator<Item = NodeId> {
        self.settings.controllers.keys().copied().filter(|node| *node != self.settings.node)
    }

    /// Asks the configured controllers in turn until one names voters.
    async fn ask_for_voters(&self) -> Result<Vec<InitialVoter>, StartError> {
        let mut links = self.peers.changes();
        let give_up_at = self.env.now() + JOIN_WITHIN;
        let mut say_at = self.env.now() + SAY_EVERY;
        tracing::info!("waits for a controller of controller.quorum.voters to say who votes");
        loop {
            let mut heard = Vec::new();
            for node in self.others() {
                match self.ask_one(node).await {
                    Ok(voters) => return Ok(voters),
                    Err(what) => heard.push(format!("node {node}: {what}")),
                }
            }
            let heard = heard.join("; ");
            if self.env.now() >= give_up_at {
                return Err(StartError::NobodySaysWhoVotes { after: JOIN_WITHIN, heard });
            }
            if self.env.now() >= say_at {
                say_at = self.env.now() + SAY_EVERY;
                tracing::warn!(heard, "still waits for a controller to say who votes");
            }
            // Whether a link was made or not, all are asked again.
            drop(self.env.timeout(PAUSE, links.changed()).await);
        }
    }

    /// The voters as one controller names them, or why it does not.
    async fn ask_one(&self, node: NodeId) -> Result<Vec<InitialVoter>, String> {
        match self.peers.call(node, &ControllerCall::DescribeQuorum, ANSWER_WITHIN).await {
            Ok(ControllerAnswer::Quorum(quorum)) => match self.reachable(&quorum) {
                voters if voters.is_empty() => {
                    let voters = quorum.voters.iter().map(|voter| voter.node.to_string());
                    let voters = voters.collect::<Vec<_>>().join(", ");
                    Err(format!("names {voters} as voters, but controller.quorum.voters names none of them"))
                }
                voters => Ok(voters),
            },
            Ok(ControllerAnswer::NotController { leader: Some(leader) }) => {
                Err(format!("says that node {leader} leads"))
            }
            Ok(_) => Err("knows no leader".to_owned()),
            Err(error) => {
                let trouble = self.peers.report(node).and_then(|link| link.trouble);
                Err(trouble.unwrap_or_else(|| error.to_string()))
            }
        }
    }

    /// The voters whose addresses are configured. Never this node: what it once was is not on this disk.
    fn reachable(&self, quorum: &QuorumDetail) -> Vec<InitialVoter> {
        let others = quorum.voters.iter().filter(|voter| voter.node != self.settings.node);
        let voter = |voter: &highwater_model::api::VoterDetail| {
            let endpoint = value::endpoint(self.settings.controllers.get(&voter.node)?).ok()?;
            Some(InitialVoter { node: voter.node, endpoint, directory: voter.directory })
        };
        others.filter_map(voter).collect()
    }
}
