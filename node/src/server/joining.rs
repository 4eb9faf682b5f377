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

impl<F: Faults> Start<F> {
    /// The voters that the directory was formatted with. If it was with none, waits until a configured controller that
    /// leads has named those of the present. Tells, too, whether it was so.
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
        let voters = self.ask_for_voters().await;
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

    async fn ask_for_voters(&self) -> Vec<InitialVoter> {
        let mut links = self.peers.changes();
        tracing::info!("waits for a controller of controller.quorum.voters to say who votes");
        loop {
            for node in self.others() {
                match self.peers.call(node, &ControllerCall::DescribeQuorum, ANSWER_WITHIN).await {
                    Ok(ControllerAnswer::Quorum(quorum)) => {
                        let voters = self.reachable(&quorum);
                        if !voters.is_empty() {
                            return voters;
                        }
                        tracing::warn!(%node, "controller.quorum.voters names none of the voters");
                    }
                    Ok(answer) => tracing::debug!(%node, ?answer, "another controller leads, or none does"),
                    Err(error) => tracing::debug!(%node, %error, "a controller gave no answer"),
                }
            }
            // Whether a link was made or not, all are asked again.
            drop(self.env.timeout(PAUSE, links.changed()).await);
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
