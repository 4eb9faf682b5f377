//! What is asked of the node that leads: decisions, read points, descriptions, changes of the voters.

use highwater_model::api::{self, ApiError, QuorumDetail, VoterDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::fault::Faults;
use highwater_model::id::RequestId;
use highwater_model::invariant::metadata::Subject;
use highwater_model::metadata;
use highwater_model::quorum::{Input, ProposalId, ReadId, Refusal, VoterChange, VoterKey};
use tokio::sync::oneshot;

use super::{QuorumDriver, QuorumStopped};
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// Calls that may wait for their answer at once.
const CALLS_MAX: usize = 10_000;

impl<F: Faults> QuorumDriver<F> {
    pub(super) fn on_call(
        &mut self,
        call: ControllerCall,
        reply: oneshot::Sender<ControllerAnswer>,
    ) -> Result<(), QuorumStopped> {
        self.forget_the_gone();
        if !self.core.is_leader() {
            drop(reply.send(self.not_controller()));
            return Ok(());
        }
        if self.waiting.commands.len() + self.waiting.reads.len() >= CALLS_MAX {
            let error = ApiError::new(
                ErrorCode::ThrottlingQuotaExceeded,
                "the active controller has too much to do; nothing was done, ask again",
            );
            drop(reply.send(ControllerAnswer::Refused(error)));
            return Ok(());
        }
        match call {
            ControllerCall::Decide(command) => {
                let request = RequestId(self.next_id());
                self.waiting.commands.insert(request, (Subject::of(&command), reply));
                let at_ms = self.env.wall_ms();
                self.decisions.push_back(metadata::Input::Asked { request, at_ms, command });
                Ok(())
            }
            ControllerCall::ReadPoint => self.read(reply),
            ControllerCall::DescribeQuorum => {
                drop(reply.send(ControllerAnswer::Quorum(self.detail())));
                Ok(())
            }
            ControllerCall::ChangeVoters(change) => self.change_voters(&change, reply),
            ControllerCall::FetchSnapshot { replica, id, position } => {
                self.serve_snapshot(replica, (id, position), reply)
            }
        }
    }

    fn read(&mut self, reply: oneshot::Sender<ControllerAnswer>) -> Result<(), QuorumStopped> {
        let id = ReadId(self.next_id());
        let mut effects = Vec::new();
        match self.take(Input::Read { id }, &mut effects) {
            Ok(()) => {
                self.waiting.reads.insert(id, reply);
                self.issue_all(effects)
            }
            Err(refusal) => {
                drop(reply.send(self.refused(&refusal)));
                Ok(())
            }
        }
    }

    fn change_voters(
        &mut self,
        change: &api::VoterChange,
        reply: oneshot::Sender<ControllerAnswer>,
    ) -> Result<(), QuorumStopped> {
        let id = ProposalId(self.next_id());
        let key = |id, directory| VoterKey { id, directory };
        let change = match *change {
            api::VoterChange::Add { node, directory } => VoterChange::Add(key(node, directory)),
            api::VoterChange::Remove { node, directory } => VoterChange::Remove(key(node, directory)),
        };
        let mut effects = Vec::new();
        match self.take(Input::ChangeVoters { id, change }, &mut effects) {
            Ok(()) => {
                self.waiting.changes.insert(id, reply);
                self.issue_all(effects)
            }
            Err(refusal) => {
                drop(reply.send(self.refused(&refusal)));
                Ok(())
            }
        }
    }

    /// The answer of a node that does not lead.
    pub(super) fn not_controller(&self) -> ControllerAnswer {
        let leader =
            self.core.leader(&self.tenure).map(|leader| leader.id).filter(|id| *id != self.tenure.key.id);
        ControllerAnswer::NotController { leader }
    }

    fn refused(&self, refusal: &Refusal) -> ControllerAnswer {
        if matches!(refusal, Refusal::NotLeader { .. } | Refusal::NotEstablished { .. }) {
            return self.not_controller();
        }
        let (code, message) = told(refusal);
        ControllerAnswer::Refused(ApiError::new(code, message))
    }

    fn detail(&self) -> QuorumDetail {
        let voters = self.core.voters().latest();
        let own_end = self.core.log().flushed();
        let reached = |key: VoterKey| {
            if key == self.tenure.key {
                return Some(own_end);
            }
            self.core.progress().find(|replica| replica.key == key).and_then(|replica| replica.reached)
        };
        let detail = |key: VoterKey, log_end| VoterDetail { node: key.id, directory: key.directory, log_end };
        QuorumDetail {
            node: self.tenure.key.id,
            leader: self.core.leader(&self.tenure).map(|leader| leader.id),
            quorum_epoch: self.core.quorum_epoch(),
            high_watermark: self.core.high_watermark(),
            log_end: self.core.log().end(),
            voters: voters.keys().iter().map(|key| detail(*key, reached(*key))).collect(),
            observers: self
                .core
                .progress()
                .filter(|replica| !replica.is_voter)
                .map(|replica| detail(replica.key, replica.reached))
                .collect(),
        }
    }

    /// Reads and changes of a leadership that is over have no outcome that this node could tell.
    pub(super) fn void_waiting(&mut self) {
        let reads = std::mem::take(&mut self.waiting.reads);
        for reply in reads.into_values() {
            drop(reply.send(self.not_controller()));
        }
        let changes = std::mem::take(&mut self.waiting.changes);
        for reply in changes.into_values() {
            let error = ApiError::new(
                ErrorCode::RequestTimedOut,
                "the quorum's leader changed before the change of voters was committed; it may still take effect: \
                 look before asking again",
            );
            drop(reply.send(ControllerAnswer::Refused(error)));
        }
    }

    /// Drops the replies that nobody waits for any longer.
    fn forget_the_gone(&mut self) {
        self.waiting.reads.retain(|_, reply| !reply.is_closed());
        self.waiting.changes.retain(|_, reply| !reply.is_closed());
        if self.waiting.commands.len() >= CALLS_MAX {
            self.waiting.commands.retain(|_, (_, reply)| !reply.is_closed());
        }
    }
}

/// A refusal of a read or of a change of the voters, as a client is told it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the refusals of messages and completions are not told to clients"
)]
fn told(refusal: &Refusal) -> (ErrorCode, String) {
    match refusal {
        Refusal::AlreadyVoter { voter } => (ErrorCode::DuplicateVoter, format!("{voter} is a voter already")),
        Refusal::NotVoter { key } => (ErrorCode::VoterNotFound, format!("{key} is not a voter")),
        Refusal::LastVoter { voter } => {
            (ErrorCode::InvalidRequest, format!("{voter} is the last voter; add another one first"))
        }
        Refusal::NotCaughtUp { key, reached, high_watermark } => {
            let reached = reached.map_or_else(|| "nothing".to_owned(), |end| format!("offset {end}"));
            let message = format!(
                "{key} has fetched {reached} of {high_watermark}; start it as an observer and ask again"
            );
            (ErrorCode::RequestTimedOut, message)
        }
        Refusal::ChangeInProgress { offset, high_watermark } => {
            let message = format!(
                "another change, at offset {offset}, is not committed yet (committed up to {high_watermark}); ask \
                 again soon"
            );
            (ErrorCode::RequestTimedOut, message)
        }
        Refusal::Overloaded { waiting } => {
            let message =
                format!("{waiting} proposals or reads wait already; nothing was done, ask again soon");
            (ErrorCode::ThrottlingQuotaExceeded, message)
        }
        other => (ErrorCode::InvalidRequest, format!("the quorum refused: {other:?}")),
    }
}
