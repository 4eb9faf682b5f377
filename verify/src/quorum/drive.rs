//! The driver of the quorum world: carries out what cores ask for, and notes what they promise.

use highwater_model::id::{LogGeneration, Offset, QuorumEpoch};
use highwater_model::invariant::Violation;
use highwater_model::invariant::quorum::{
    Duty, Entry, ReplicaView, SignOfLife, View, acknowledged_is_committed, epoch_follows_what_is_heard,
    high_watermark_never_moves_back, messages_are_of_the_stored_epoch, one_vote_per_epoch,
    pre_vote_changes_nothing, reads_are_linearizable, refusal_shows_no_breach, vote_is_told_as_stored,
    vote_told, who_waits_is_remembered,
};
use highwater_model::quorum::{
    Batch, BatchKind, Body, Effect, Effects, Fetched, Input, Message, Origin, ReadPoint, Refusal, Vote, Waits,
};
use smallvec::SmallVec;

use super::World;
use super::claims::seen;
use super::network;
use super::shared::Shared;
use super::state::{Letter, Node, Packet, Place, State, control, kind, place, tenure, value};
use super::view;
use crate::world::Notes;

/// A world at work on the next state.
pub(super) struct Driver<'a> {
    pub(super) world: &'a World,
    pub(super) state: &'a mut State,
    pub(super) notes: &'a mut Notes,
    /// Whether the replica at work led before or leads after its step.
    pub(super) leads: bool,
    /// Whom a replica asks who leads, if not whom its core would.
    pub(super) asks: Option<Place>,
}

impl Driver<'_> {
    /// Feeds one input to a replica and carries out what it asks for; tells whether it took it.
    pub(super) fn feed(&mut self, at: Place, input: Input, contents: &[u64]) -> bool {
        let mut node = (**self.state.node(at)).clone();
        let before = (node.core.vote(), node.core.high_watermark());
        let led = node.core.is_leader();
        let pre_vote = pre_vote_epoch(&input);
        let duty = Duty::of(&input, &node.core);
        let (heard, sign) = (heard_epoch(&input), SignOfLife::of(&input));
        let mut effects = Effects::new();
        if let Err(refusal) = node.core.step(&tenure(at, &node), input, &mut effects) {
            self.refused(&refusal);
            return false;
        }
        if let Some(sign) = sign {
            let mut heard = std::mem::take(&mut node.heard);
            heard.note(sign, &view::of(at, &node));
            node.heard = heard;
        }
        self.leads = led || node.core.is_leader();
        self.check_step(at, &node, before, pre_vote);
        self.check_duty(at, &node, duty, &effects);
        self.check_order(at, &node, heard);
        self.carry_out(at, &mut node, effects, contents);
        self.check_waiting(at, &node);
        *self.state.node_mut(at) = Shared::new(node);
        true
    }

    /// Whoever waits at a replica is known to its core, and nobody else (QL2). So those who wait tell no states apart, and need not
    /// be told of them.
    pub(super) fn check_waiting(&mut self, at: Place, node: &Node) {
        let proposals = self.state.proposals.iter().filter(|(place, _)| *place == at);
        let reads = self.state.ghost.reads.iter().filter(|(place, ..)| *place == at);
        let wait =
            proposals.map(|(_, id)| Waits::ForCommit(*id)).chain(reads.map(|(_, id, _)| Waits::ForRead(*id)));
        let found = who_waits_is_remembered(tenure(at, node).key, wait, node.core.waited_for());
        self.judge(found);
    }

    /// Carries out effects; writes complete at once, and what follows from that is carried out too.
    pub(super) fn carry_out(&mut self, at: Place, node: &mut Node, effects: Effects, contents: &[u64]) {
        let mut written: Option<(Offset, LogGeneration)> = None;
        for effect in effects {
            if let Effect::Append { generation, .. } = &effect {
                let generation = *generation;
                self.perform(at, node, effect, contents);
                written = Some((node.disk.end(), generation));
            } else {
                self.perform(at, node, effect, contents);
            }
        }
        if let Some((end, generation)) = written {
            let mut effects = Effects::new();
            let input = Input::Written { end, generation };
            if node.core.step(&tenure(at, node), input, &mut effects).is_ok() {
                self.carry_out(at, node, effects, &[]);
            }
        }
    }

    fn perform(&mut self, at: Place, node: &mut Node, effect: Effect, contents: &[u64]) {
        node.heard.follow(&effect);
        match effect {
            Effect::StoreVote(vote) => node.disk.storing.push(vote),
            Effect::Append { batches, origin, .. } => append(node, &batches, origin, contents),
            Effect::Sync { end, generation } => node.disk.syncs.push((end, generation)),
            Effect::Truncate { end, .. } => {
                self.notes.event(seen::TRUNCATED);
                node.disk.truncate(end);
            }
            Effect::RestartLog { start, .. } => {
                node.disk.entries.clear();
                node.disk.start = start;
                node.disk.flushed = start;
            }
            Effect::TrimLog { start } => {
                let gone = node.disk.index(start);
                node.disk.entries.drain(..gone);
                node.disk.start = start;
            }
            Effect::Send { to, message } => self.send(at, node, place(to), message, SmallVec::new()),
            Effect::SendRecords { to, message, from, end } => {
                self.send_records(at, node, place(to), message, (from, end))
            }
            Effect::BecameLeader { quorum_epoch } => {
                self.notes.event(seen::ELECTED);
                self.state.ghost.elected.push((quorum_epoch, tenure(at, node).key));
            }
            Effect::LostLeadership { .. } => self.state.dismiss(at),
            Effect::Committed(_) => self.note_committed(node),
            Effect::ProposalCommitted(commitment) => {
                self.notes.event(seen::ACKNOWLEDGED);
                self.state.proposals.retain(|waiting| *waiting != (at, commitment.id()));
                let (offset, committed) = (commitment.base_offset(), self.state.ghost.committed.len() as u64);
                self.judge(acknowledged_is_committed(offset, Offset(committed)));
                self.state.ghost.acknowledged.push(offset);
                if matches!(kind(content_at(node, offset)), BatchKind::Voters(_)) {
                    self.notes.event(seen::VOTERS_CHANGED);
                }
            }
            Effect::ReadReady(point) => self.note_read(at, &point),
            Effect::LeadershipEstablished { .. }
            | Effect::LeaderChanged { .. }
            | Effect::Arm(_)
            | Effect::Disarm(_)
            | Effect::FetchSnapshot { .. }
            | Effect::AbandonSnapshot { .. } => {}
        }
    }

    /// Puts a message into the network, unless it is an announcement of what its receiver knows.
    fn send(
        &mut self,
        at: Place,
        node: &Node,
        to: Place,
        mut message: Message,
        contents: SmallVec<[u64; 2]>,
    ) {
        self.note_vote(node, &message);
        self.check_sent(node, &message);
        let asked = if matches!(message.body, Body::Fetch(_)) { self.asks.take() } else { None };
        let to = asked.unwrap_or(to);
        if let (true, Body::EndQuorum { successors }) = (self.world.symmetric, &mut message.body) {
            successors.clear();
        }
        let receiver = self.state.nodes.get(usize::from(to));
        let idle = !self.world.bounds.late_notices
            && message.body == Body::BeginQuorum
            && receiver.is_some_and(|other| !network::announced_to(self.state, (at, node), (to, other)));
        if !idle {
            let letter = Shared::new(Letter { message, contents });
            self.state.network.push(Packet { to, letter });
        }
    }

    /// Puts the records of a fetch's answer beside it.
    fn send_records(
        &mut self,
        at: Place,
        node: &Node,
        to: Place,
        mut message: Message,
        range: (Offset, Offset),
    ) {
        let found: Vec<(Offset, Entry)> = (range.0.0..range.1.0)
            .map(Offset)
            .filter_map(|offset| node.disk.entries.get(node.disk.index(offset)).map(|entry| (offset, *entry)))
            .collect();
        if let Body::FetchAnswer(answer) = &mut message.body
            && let Fetched::Records { batches, .. } = &mut answer.fetched
        {
            batches.extend(found.iter().map(|(offset, entry)| Batch {
                base_offset: *offset,
                count: 1,
                quorum_epoch: entry.quorum_epoch,
                kind: kind(entry.content),
            }));
        }
        self.send(at, node, to, message, found.iter().map(|(_, entry)| entry.content).collect());
    }

    /// A vote leaves: it must be the only one of its voter in its epoch (QI8).
    fn note_vote(&mut self, node: &Node, message: &Message) {
        let Some(given) = vote_told(message, node.core.vote()) else { return };
        let (voter, _, candidate) = given;
        let told = Vote { quorum_epoch: message.quorum_epoch, voted_for: Some(candidate) };
        if self.world.reduces() {
            self.judge(vote_is_told_as_stored(voter, told, node.disk.vote));
        }
        let granted = &self.state.ghost.granted;
        let past =
            View { replicas: &[], committed: &[], acknowledged: &[], voters: &[], elected: &[], granted };
        let once = one_vote_per_epoch(&past, given);
        self.judge(once);
        let granted = &mut self.state.ghost.granted;
        granted.retain(|(whose, ..)| *whose != voter);
        granted.push(given);
        granted.sort_unstable();
    }

    /// A high watermark moved: a leader's tells what is committed.
    fn note_committed(&mut self, node: &Node) {
        if !self.leads {
            return;
        }
        let known = node.core.high_watermark().unwrap_or_default();
        let committed = &mut self.state.ghost.committed;
        for offset in (committed.len() as u64..known.0).map(Offset) {
            if let Some(entry) = node.disk.entries.get(node.disk.index(offset)) {
                committed.push(*entry);
            }
        }
    }

    /// A read may be served: it must see what was acknowledged before it was asked.
    fn note_read(&mut self, at: Place, point: &ReadPoint) {
        self.notes.event(seen::READ);
        let reads = &mut self.state.ghost.reads;
        let asked = reads.iter().position(|(place, id, _)| *place == at && *id == point.id());
        let asked = asked.map(|index| reads.remove(index));
        if let Some((_, _, acknowledged)) = asked
            && let Err(violation) = reads_are_linearizable(point.offset(), acknowledged)
        {
            self.broke(violation);
        }
    }

    /// Some refusals must never be heard.
    fn refused(&mut self, refusal: &Refusal) {
        self.judge(refusal_shows_no_breach(Some(refusal)));
    }

    /// What one step must not do: lower a high watermark (QI6), or vote by a pre-vote (QI12).
    fn check_step(
        &mut self,
        at: Place,
        node: &Node,
        before: (Vote, Option<Offset>),
        pre_vote: Option<QuorumEpoch>,
    ) {
        let after = view::of(at, node);
        let was = ReplicaView { high_watermark: before.1, ..after };
        self.judge(high_watermark_never_moves_back(&was, &after));
        if let Some(epoch) = pre_vote {
            self.notes.event(seen::PRE_VOTE);
            self.judge(pre_vote_changes_nothing(before.0, epoch, &after));
        }
    }

    /// Whoever takes a message is then in its epoch or in a later one: what steps are taken epoch by epoch for.
    fn check_order(&mut self, at: Place, node: &Node, heard: Option<QuorumEpoch>) {
        if let Some(heard) = heard {
            self.judge(epoch_follows_what_is_heard(heard, &view::of(at, node)));
        }
    }

    /// A message leaves in the epoch that its sender has stored.
    fn check_sent(&mut self, node: &Node, message: &Message) {
        if !self.world.minds_stored_epochs() {
            return;
        }
        let (epoch, stored) = (message.quorum_epoch, node.disk.vote.quorum_epoch);
        self.judge(messages_are_of_the_stored_epoch(message.from, epoch, stored));
    }

    pub(super) fn judge(&mut self, found: Result<(), Violation>) {
        if let Err(violation) = found {
            self.broke(violation);
        }
    }

    pub(super) fn broke(&mut self, violation: Violation) {
        self.notes.broke(violation.property, || violation.details);
    }
}

/// The epoch of a message.
fn heard_epoch(input: &Input) -> Option<QuorumEpoch> {
    let Input::Received(message) = input else {
        return None;
    };
    Some(message.quorum_epoch)
}

/// The epoch of a pre-vote request.
fn pre_vote_epoch(input: &Input) -> Option<QuorumEpoch> {
    let Input::Received(Message { body: Body::Vote(vote), quorum_epoch, .. }) = input else {
        return None;
    };
    vote.pre_vote.then_some(*quorum_epoch)
}

/// The content of the record at `offset`.
fn content_at(node: &Node, offset: Offset) -> u64 {
    node.disk.entries.get(node.disk.index(offset)).map_or(0, |entry| entry.content)
}

/// Writes batches with their contents.
fn append(node: &mut Node, batches: &[Batch], origin: Origin, contents: &[u64]) {
    for (at, batch) in batches.iter().enumerate() {
        let content = match origin {
            Origin::Proposal(id) => value(id.0),
            Origin::Control => control(&batch.kind),
            Origin::Message => contents.get(at).copied().unwrap_or_default(),
        };
        node.disk.entries.push(Entry { quorum_epoch: batch.quorum_epoch, content });
    }
}
