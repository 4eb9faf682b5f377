//! What an active controller has beyond the committed log: its own decisions, the answers that wait for them, and the
//! sessions of the brokers.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::super::{Command, CommandRefusal, Image, Outcome, Record};
use super::{Effect, Refusal, Reply, Timer};
use crate::id::{BrokerEpoch, NodeId, Offset, QuorumEpoch, RequestId};

/// An answer that waits for a commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Pending {
    /// It is due when this much is committed, exclusive.
    end: Offset,
    request: RequestId,
    answer: Result<Outcome, CommandRefusal>,
}

/// A batch whose place in the log is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Unplaced {
    records: Vec<Record>,
    /// Whom to answer, and with what, once it is committed.
    reply: Option<(RequestId, Outcome)>,
}

/// A broker that was heard from in this office (Q53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Session {
    pub(super) node: NodeId,
    /// End of the metadata that it has applied, exclusive; noted only while some broker is shutting down (Q56).
    pub(super) reached: Offset,
}

/// One tenure of office.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Office {
    quorum_epoch: QuorumEpoch,
    /// The image with its own appended decisions, while some are not committed.
    speculative: Option<Image>,
    unplaced: SmallVec<[Unplaced; 1]>,
    /// In the order in which they fall due.
    pending: SmallVec<[Pending; 1]>,
    /// Brokers heard from, by node.
    sessions: SmallVec<[Session; 4]>,
}

impl Office {
    pub(super) fn new(quorum_epoch: QuorumEpoch) -> Self {
        Self {
            quorum_epoch,
            speculative: None,
            unplaced: SmallVec::new(),
            pending: SmallVec::new(),
            sessions: SmallVec::new(),
        }
    }

    pub(super) fn quorum_epoch(&self) -> QuorumEpoch {
        self.quorum_epoch
    }

    pub(super) fn speculative(&self) -> Option<&Image> {
        self.speculative.as_ref()
    }

    pub(super) fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty() || self.append_under_way()
    }

    pub(super) fn append_under_way(&self) -> bool {
        !self.unplaced.is_empty()
    }

    /// Gives the answers that are due, if the commit was learned under the epoch of this office (X5).
    pub(super) fn on_committed(&mut self, end: Offset, quorum_epoch: QuorumEpoch, effects: &mut Vec<Effect>) {
        if quorum_epoch != self.quorum_epoch {
            return;
        }
        if self.speculative.as_ref().is_some_and(|image| image.end() <= end) {
            self.speculative = None;
        }
        let due = self.pending.iter().take_while(|pending| pending.end <= end).count();
        for Pending { request, answer, .. } in self.pending.drain(..due) {
            effects.push(Effect::Reply(Reply { request, answer }));
        }
    }

    /// Takes a decision into the image that the next ones are made from.
    pub(super) fn on_appended(&mut self, committed: &Image, end: Offset) -> Result<(), Refusal> {
        if self.unplaced.is_empty() {
            return Err(Refusal::NothingToPlace);
        }
        let Unplaced { records, reply } = self.unplaced.remove(0);
        self.speculative.get_or_insert_with(|| committed.clone()).apply(end, &records);
        if let Some((request, outcome)) = reply {
            self.pending.push(Pending { end, request, answer: Ok(placed(outcome, end)) });
        }
        Ok(())
    }

    pub(super) fn on_not_appended(&mut self, effects: &mut Vec<Effect>) -> Result<(), Refusal> {
        if self.unplaced.is_empty() {
            return Err(Refusal::NothingToPlace);
        }
        if let Some((request, _)) = self.unplaced.remove(0).reply {
            effects.push(Effect::Reply(Reply { request, answer: Err(CommandRefusal::NotAppended) }));
        }
        Ok(())
    }

    pub(super) fn append(
        &mut self,
        records: Vec<Record>,
        reply: Option<(RequestId, Outcome)>,
        effects: &mut Vec<Effect>,
    ) {
        self.unplaced.push(Unplaced { records: records.clone(), reply });
        effects.push(Effect::Append(records));
    }

    /// What [`Bug::HalfDecision`](crate::fault::Bug::HalfDecision) does instead of [`Self::append`].
    pub(super) fn append_one_by_one(
        &mut self,
        mut records: Vec<Record>,
        reply: Option<(RequestId, Outcome)>,
        effects: &mut Vec<Effect>,
    ) {
        let last = records.pop();
        for record in records {
            self.append(vec![record], None, effects);
        }
        self.append(last.into_iter().collect(), reply, effects);
    }

    pub(super) fn answer(
        &mut self,
        request: RequestId,
        answer: Result<Outcome, CommandRefusal>,
        effects: &mut Vec<Effect>,
    ) {
        match &self.speculative {
            Some(image) => self.pending.push(Pending { end: image.end(), request, answer }),
            None => effects.push(Effect::Reply(Reply { request, answer })),
        }
    }

    /// Tells everyone who waits that the outcome is open.
    pub(super) fn dismiss(self, effects: &mut Vec<Effect>) {
        let pending = self.pending.into_iter().map(|pending| pending.request);
        let unplaced = self.unplaced.into_iter().filter_map(|unplaced| unplaced.reply);
        for request in pending.chain(unplaced.map(|(request, _)| request)) {
            effects.push(Effect::Reply(Reply { request, answer: Err(CommandRefusal::Deposed) }));
        }
    }

    /// Notes that a broker was heard from: what it asked was in order.
    pub(super) fn hear(&mut self, command: &Command, someone_stops: bool, effects: &mut Vec<Effect>) {
        let (node, reached) = match command {
            Command::RegisterBroker(registration) => (registration.node, Offset::ZERO),
            Command::Heartbeat(heartbeat) if someone_stops => (heartbeat.node, heartbeat.metadata_offset),
            Command::Heartbeat(heartbeat) => (heartbeat.node, Offset::ZERO),
            Command::AlterPartition { .. }
            | Command::CreateTopic { .. }
            | Command::DeleteTopic { .. }
            | Command::CreatePartitions { .. }
            | Command::AlterConfigs { .. }
            | Command::AllocateProducerIds { .. }
            | Command::ElectLeader { .. } => return,
        };
        if !someone_stops {
            self.sessions.iter_mut().for_each(|session| session.reached = Offset::ZERO);
        }
        match self.sessions.binary_search_by_key(&node, |session| session.node) {
            Ok(at) => {
                self.sessions.get_mut(at).expect("a search gives a place that is there").reached = reached
            }
            Err(at) => self.sessions.insert(at, Session { node, reached }),
        }
        effects.push(Effect::Arm(Timer::Session(node)));
    }

    /// A session ended.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.sessions.retain(|session| session.node != node);
    }
}

/// Fills in what depends on where the batch is. A registration is the last record of its batch.
fn placed(outcome: Outcome, end: Offset) -> Outcome {
    match outcome {
        Outcome::Registered { .. } => {
            let at = end.before().expect("a batch with a registration does not end where the log begins");
            Outcome::Registered { broker_epoch: BrokerEpoch(at.0) }
        }
        Outcome::ConfigsAltered { .. } => Outcome::ConfigsAltered { offset: end },
        Outcome::Heartbeat { .. }
        | Outcome::PartitionAltered(_)
        | Outcome::TopicCreated { .. }
        | Outcome::ProducerIds { .. }
        | Outcome::LeaderElected { .. }
        | Outcome::Done => outcome,
    }
}
