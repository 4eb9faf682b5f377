//! What is owed between brokers and the active controller: proposals, requests, decisions and answers.

use std::fmt::Debug;

use highwater_model::id::RequestId;
use highwater_model::metadata::{BrokerAnswer, BrokerRequest, CommandRefusal, Outcome};
use highwater_model::quorum::ProposalId;
use highwater_model::replication::{AlterPartition, AlterPartitionAnswer};
use highwater_model::trace::{Act, Carried, Told};

use super::{Book, Cause, EACH_END, EACH_INPUT, Kind, Owed, Wrong, shown, wrong};

/// What whoever asked the controller is told.
pub(in crate::trace) type Answer = Result<Outcome, CommandRefusal>;

impl<K: Kind> Book<K> {
    /// Each answer that came is given to the core once; of those that came before the records begin, nobody knows how many
    /// were still to be given. The core takes one for each name, and refuses the others.
    pub(super) fn take_answer(
        &mut self,
        answer: &AlterPartitionAnswer,
        input: &dyn Debug,
    ) -> Result<(), Wrong> {
        match self.answered.iter().position(|known| known == answer) {
            Some(at) => {
                self.answered.remove(at);
                Ok(())
            }
            None if self.is_asked_before(answer.request_id) => Ok(()),
            None => wrong(EACH_INPUT, "an answer that came from the controller", format!("{input:?}")),
        }
    }

    pub(super) fn proposed(&mut self, proposal: &AlterPartition, act: &Act<K::Timer>) -> Result<(), Wrong> {
        self.next(&Owed::Propose(proposal.clone()), act)?;
        // One that was open before may be asked again under its name.
        if self.open_before != Some(proposal.request_id) {
            self.first_asked.get_or_insert(proposal.request_id);
        }
        match self.proposed.iter_mut().find(|(known, _)| known.request_id == proposal.request_id) {
            Some((known, unanswered)) => {
                known.clone_from(proposal);
                *unanswered += 1;
            }
            None => self.proposed.push((proposal.clone(), 1)),
        }
        Ok(())
    }

    /// Each time that a proposal is made it is answered once, or not. How often it was made before the records begin is not
    /// known.
    pub(super) fn proposal_answered(
        &mut self,
        answer: AlterPartitionAnswer,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        let is_before = self.is_asked_before(answer.request_id);
        let mut proposed = self.proposed.iter_mut();
        let is_open = |(proposal, unanswered): &&mut (AlterPartition, u32)| {
            proposal.request_id == answer.request_id && *unanswered > 0
        };
        match proposed.find(is_open) {
            Some((_, unanswered)) => *unanswered -= 1,
            None if is_before => {}
            None => {
                let expected = "an answer to a proposal that was made, one each time";
                return wrong(EACH_END, expected, shown::<K>(act));
            }
        }
        self.answered.push(answer);
        Ok(())
    }

    /// The proposal of this name that was handed over last.
    pub(in crate::trace) fn proposal(&self, request: RequestId) -> Option<&AlterPartition> {
        let mut proposed = self.proposed.iter().map(|(proposal, _)| proposal);
        proposed.find(|proposal| proposal.request_id == request)
    }

    /// A decision goes to the quorum, which places it or does not; that is the next thing that the core is told.
    pub(super) fn decided(
        &mut self,
        proposal: Option<ProposalId>,
        carried: Carried,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        self.next(&Owed::Decide(carried), act)?;
        self.placing = proposal;
        if proposal.is_none() {
            self.due = Some(Cause::NotPlaced);
            self.is_due_optional = false;
        }
        Ok(())
    }

    /// The quorum placed a proposal, so that it ends there, or refused it.
    pub(in crate::trace) fn placed(
        &mut self,
        proposal: ProposalId,
        end: Option<highwater_model::id::Offset>,
    ) {
        if self.placing == Some(proposal) {
            self.placing = None;
            self.is_due_optional = false;
            self.due = Some(end.map_or(Cause::NotPlaced, Cause::Placed));
        }
    }

    /// The placing of what was handed over last can not be known: whatever the core is told of it is taken.
    pub(in crate::trace) fn believe_placing(&mut self, cause: &Cause<K::Timer>) {
        let is_placing = matches!(cause, Cause::Placed(_) | Cause::NotPlaced);
        if is_placing && self.due.is_none() && self.placing.take().is_some() {
            self.due = Some(cause.clone());
        }
    }

    pub(super) fn answered(
        &mut self,
        request: RequestId,
        answer: &Answer,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        self.next(&Owed::Answer { request, answer: answer.clone() }, act)
    }

    pub(super) fn asked(
        &mut self,
        request: RequestId,
        body: &BrokerRequest,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        self.next(&Owed::Ask { request, body: body.clone() }, act)?;
        self.first_asked.get_or_insert(request);
        self.asked.push((request, body.clone()));
        Ok(())
    }

    /// Each request comes to one end: an answer, which the core is given next, or none.
    pub(super) fn heard(
        &mut self,
        request: RequestId,
        answer: Option<&Answer>,
        act: &Act<K::Timer>,
    ) -> Result<(), Wrong> {
        self.nothing_owed(act)?;
        self.no_end_is_due(act)?;
        match self.asked.iter().position(|(asked, _)| *asked == request) {
            Some(at) => drop(self.asked.remove(at)),
            None if self.is_asked_before(request) && self.excused.insert(request) => {}
            None => return wrong(EACH_END, "an answer to a request that was made", shown::<K>(act)),
        }
        self.is_due_optional = false;
        self.due = answer.map(|answer| Cause::Answered(request, BrokerAnswer::of(answer)));
        Ok(())
    }

    /// What was asked under this name, and is not answered.
    pub(in crate::trace) fn request(&self, request: RequestId) -> Option<&BrokerRequest> {
        self.asked.iter().find(|(asked, _)| *asked == request).map(|(_, body)| body)
    }

    /// Whoever asked may be gone before the answer.
    pub(super) fn replied(&mut self, request: u64, told: Told, act: &Act<K::Timer>) -> Result<(), Wrong> {
        let is_its = |owed: &mut Owed<K::Timer>| matches!(owed, Owed::Answer { request: asked, .. } if asked.0 == request);
        if K::ASKERS_GO && told == Told::Nobody && self.owed.pop_front_if(is_its).is_some() {
            return Ok(());
        }
        let told = match self.owed.front() {
            Some(Owed::Reply { told: expected, .. }) if K::ASKERS_GO && told == Told::Nobody => *expected,
            _ => told,
        };
        self.next(&Owed::Reply { request, told }, act)
    }
}
