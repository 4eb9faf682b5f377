//! The active controller: turns commands into decisions, and decisions into atomic batches of records.
//!
//! It runs on every node that may lead the metadata quorum. There it follows the committed log ([`Input::Committed`]);
//! once elected it decides from committed state and its own appended decisions, and answers a command when everything
//! that the answer rests on is committed under the epoch in which it was decided (Q57, X5). Deposed, it forgets what was
//! not committed. Election and replication of the log are left to [`crate::quorum`].
//!
//! The driver owes it: after [`Effect::Append`] the next input is [`Input::Appended`] or [`Input::NotAppended`] of that
//! batch; every batch of the metadata log comes once as [`Input::Committed`], in order, control batches as empty ones.
//!
//! What each command means is in the files beside this one: `brokers`, `partitions` and `topics` decide, `change` holds
//! the rules of elections and of the eligible leaders.

mod brokers;
mod change;
mod decision;
mod input;
mod office;
mod partitions;
mod placement;
mod reply;
#[cfg(test)]
mod tests;
mod topics;

pub use input::{Effect, Input, Refusal, Tenure, Timer};
pub use reply::Reply;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::decision::{Decision, Scene};
use self::office::Office;
use super::{Command, CommandRefusal, Image, Outcome, Record};
use crate::fault::{Bug, Faults};
use crate::id::{NodeId, Offset, QuorumEpoch, RequestId};

/// The controller core.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Controller<F> {
    #[serde(skip)]
    faults: F,
    committed: Image,
    office: Option<Office>,
}

impl<F: Faults> Controller<F> {
    /// A controller that has the committed log as far as `image` goes, and is not active.
    #[must_use]
    pub fn new(faults: F, image: Image) -> Self {
        Self { faults, committed: image, office: None }
    }

    /// The image of the committed log.
    #[must_use]
    pub fn committed(&self) -> &Image {
        &self.committed
    }

    /// The image that it decides from: the committed one and its own decisions (Q57).
    #[must_use]
    pub fn image(&self) -> &Image {
        self.office.as_ref().and_then(Office::speculative).unwrap_or(&self.committed)
    }

    /// The quorum epoch in which it is active.
    #[must_use]
    pub fn active_in(&self) -> Option<QuorumEpoch> {
        self.office.as_ref().map(Office::quorum_epoch)
    }

    /// How far a broker has applied the metadata, exclusive, as far as it matters to a shutdown under way (Q56); `None`
    /// when it was not heard from in this office.
    #[must_use]
    pub fn heard_from(&self, node: NodeId) -> Option<Offset> {
        let sessions = self.office.as_ref().map_or_else(Default::default, Office::sessions);
        sessions.iter().find(|session| session.node == node).map(|session| session.reached)
    }

    /// Whether the answer to some command waits for a commit.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.office.as_ref().is_some_and(Office::has_pending)
    }

    /// Takes one input to completion.
    ///
    /// # Errors
    /// [`Refusal`] when the input does not belong here; the state is as it was.
    pub fn step(&mut self, tenure: &Tenure, input: Input, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        match input {
            Input::Committed { end, quorum_epoch, records } => {
                self.on_committed(end, quorum_epoch, &records, effects)
            }
            Input::Elected { quorum_epoch, committed } => {
                self.on_elected(tenure, quorum_epoch, committed, effects)
            }
            Input::Deposed => {
                self.on_deposed(effects);
                Ok(())
            }
            Input::Appended { end } => self.on_appended(end),
            Input::NotAppended => self.on_not_appended(effects),
            Input::Asked { request, at_ms, command } => {
                self.on_asked(tenure, (request, at_ms), &command, effects)
            }
            Input::Expired { timer, at_ms } => self.on_expired(tenure, timer, at_ms, effects),
        }
    }

    fn on_committed(
        &mut self,
        end: Offset,
        quorum_epoch: QuorumEpoch,
        records: &[Record],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let applied = self.committed.end();
        if end <= applied {
            return Err(Refusal::OutOfOrder { end, applied });
        }
        let applied = if self.faults.has(Bug::HalfApplied) { records.get(..1) } else { None };
        self.committed.apply(end, applied.unwrap_or(records));
        if let Some(office) = &mut self.office {
            office.on_committed(end, quorum_epoch, effects);
        }
        Ok(())
    }

    /// A session begins for every broker that may lead, so that those which are gone are noticed (Q53).
    fn on_elected(
        &mut self,
        tenure: &Tenure,
        quorum_epoch: QuorumEpoch,
        committed: Offset,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let applied = self.committed.end();
        if applied < committed {
            return Err(Refusal::Behind { committed, applied });
        }
        if !self.faults.has(Bug::ElectedOverOffice) {
            self.on_deposed(effects);
        }
        self.office = Some(Office::new(quorum_epoch));
        let watches = !self.faults.has(Bug::NewOfficeWatchesNobody);
        let unfenced = self.committed.brokers().iter().filter(|broker| !broker.fenced && watches);
        effects.extend(unfenced.map(|broker| Effect::Arm(Timer::Session(broker.node))));
        if tenure.leader_rebalance {
            effects.push(Effect::Arm(Timer::LeaderRebalance));
        }
        Ok(())
    }

    /// Forgets what is not committed, and with it the answers that rest on it (Q57).
    fn on_deposed(&mut self, effects: &mut Vec<Effect>) {
        let Some(office) = self.office.take() else { return };
        let brokers = office.speculative().unwrap_or(&self.committed).brokers();
        effects.extend(brokers.iter().map(|broker| Effect::Disarm(Timer::Session(broker.node))));
        effects.push(Effect::Disarm(Timer::LeaderRebalance));
        if !self.faults.has(Bug::DismissedUnanswered) {
            office.dismiss(effects);
        }
    }

    fn on_appended(&mut self, end: Offset) -> Result<(), Refusal> {
        let applied = self.image().end();
        let office = self.office.as_mut().ok_or(Refusal::NotActive)?;
        if end <= applied {
            return Err(Refusal::OutOfOrder { end, applied });
        }
        office.on_appended(&self.committed, end)
    }

    fn on_not_appended(&mut self, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        self.office.as_mut().ok_or(Refusal::NotActive)?.on_not_appended(effects)
    }

    fn on_asked(
        &mut self,
        tenure: &Tenure,
        (request, at_ms): (RequestId, u64),
        command: &Command,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let decided = self.scene(tenure, at_ms)?.decide(command);
        let image = self.office.as_ref().and_then(Office::speculative).unwrap_or(&self.committed);
        let stopping = image.brokers().iter().any(|broker| broker.stopping.is_some() && !broker.fenced);
        let office = self.office.as_mut().ok_or(Refusal::NotActive)?;
        if decided.is_ok() {
            office.hear(command, stopping, effects);
        }
        self.carry_out(request, decided, effects);
        Ok(())
    }

    fn on_expired(
        &mut self,
        tenure: &Tenure,
        timer: Timer,
        at_ms: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let scene = self.scene(tenure, at_ms)?;
        let records = match timer {
            Timer::Session(node) => scene.session_expired(node),
            Timer::LeaderRebalance => scene.rebalance(),
        };
        match timer {
            Timer::Session(_) if self.faults.has(Bug::SessionNotForgotten) => {}
            Timer::Session(node) => self.office.as_mut().ok_or(Refusal::NotActive)?.forget(node),
            Timer::LeaderRebalance => effects.push(Effect::Arm(timer)),
        }
        self.append(records, None, effects);
        Ok(())
    }

    /// What a decision may look at; refused while this node is not active or a batch has no place yet.
    fn scene<'a>(&'a self, tenure: &'a Tenure, at_ms: u64) -> Result<Scene<'a, F>, Refusal> {
        let office = self.office.as_ref().ok_or(Refusal::NotActive)?;
        if office.append_under_way() {
            return Err(Refusal::AppendUnderWay);
        }
        Ok(Scene { faults: self.faults, tenure, image: self.image(), sessions: office.sessions(), at_ms })
    }

    fn carry_out(
        &mut self,
        request: RequestId,
        decided: Result<Decision, CommandRefusal>,
        effects: &mut Vec<Effect>,
    ) {
        match decided {
            Ok(Decision { records, outcome }) if !records.is_empty() => {
                if self.faults.has(Bug::AnsweredAtOnce) {
                    effects.push(Effect::Reply(Reply { request, answer: Ok(outcome) }));
                    return self.append(records, None, effects);
                }
                self.append(records, Some((request, outcome)), effects);
            }
            Ok(Decision { outcome, .. }) => self.answer(request, Ok(outcome), effects),
            Err(refusal) => self.answer(request, Err(refusal), effects),
        }
    }

    /// Answers now, or when the decisions that the answer was judged by are committed: a refusal that rests on a decision
    /// which is then lost would be a lie, and would leave a leader waiting for metadata that never comes (R45).
    fn answer(
        &mut self,
        request: RequestId,
        answer: Result<Outcome, CommandRefusal>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(office) = &mut self.office {
            office.answer(request, answer, effects);
        }
    }

    fn append(
        &mut self,
        records: Vec<Record>,
        reply: Option<(RequestId, Outcome)>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(office) = self.office.as_mut().filter(|_| !records.is_empty()) else { return };
        if self.faults.has(Bug::HalfDecision) {
            office.append_one_by_one(records, reply, effects);
        } else {
            office.append(records, reply, effects);
        }
    }
}
