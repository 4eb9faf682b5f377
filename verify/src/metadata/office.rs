//! The controller and the metadata log: what the quorum does for the real controller core is abstracted to a committed
//! log and an uncommitted tail, any part of which a fail-over may lose. `check quorum` justifies that (QI3, QI13).

use highwater_model::id::{NodeId, Offset, QuorumEpoch, RequestId};
use highwater_model::metadata::{
    Broker, BrokerAnswer, Command, Effect, Input, Partition, Record, Reply, Tenure, Timer,
};

use super::claims::{self, name};
use super::state::{Batch, Envelope, Origin, Shared, bit};
use super::step::{Driver, incarnation};

impl Driver<'_> {
    pub(super) fn ask(&mut self, origin: Origin, command: Command) {
        let free = |number: &u64| self.state.asked.iter().all(|(request, _)| request.0 != *number);
        let request = RequestId((0..).find(free).expect("there is a free number"));
        self.state.asked.push((request, origin));
        self.feed(Input::Asked { request, at_ms: 0, command });
    }

    pub(super) fn expire(&mut self, node: NodeId) {
        self.state.watched &= !bit(node);
        self.feed(Input::Expired { timer: Timer::Session(node), at_ms: 0 });
    }

    /// One input to the controller, and what follows from it: batches get their place in the log at once.
    pub(super) fn feed(&mut self, input: Input) {
        let mut controller = self.state.controller.get().clone();
        let mut effects = Vec::new();
        let taken = controller.step(&Tenure::default(), input, &mut effects);
        taken.expect("the controller is active, and every batch has its place");
        let mut replies = Vec::new();
        for effect in effects {
            match effect {
                Effect::Append(records) => {
                    let end = self.append(records);
                    let placed =
                        controller.step(&Tenure::default(), Input::Appended { end }, &mut Vec::new());
                    placed.expect("a batch gets its place once");
                }
                Effect::Reply(reply) => replies.push(reply),
                Effect::Arm(Timer::Session(node)) => self.state.watched |= bit(node),
                Effect::Disarm(Timer::Session(node)) => self.state.watched &= !bit(node),
                Effect::Arm(Timer::LeaderRebalance) | Effect::Disarm(Timer::LeaderRebalance) => {}
            }
        }
        self.state.controller = Shared::new(controller);
        replies.into_iter().for_each(|reply| self.on_reply(reply));
    }

    fn append(&mut self, records: Vec<Record>) -> Offset {
        let log_end = self.state.tail.last().map_or_else(|| self.state.image().end(), |batch| batch.end);
        let end = log_end.after(u64::try_from(records.len()).expect("a batch of a few records"));
        self.state.tail.push(Batch { end, records, accepts: None, kept: None });
        end
    }

    pub(super) fn commit(&mut self, batch: Batch) {
        self.take_committed(batch);
        claims::on_committed(self.state, self.notes);
    }

    fn take_committed(&mut self, batch: Batch) {
        let quorum_epoch = self.quorum_epoch();
        let mut image = self.state.image().clone();
        image.apply(batch.end, &batch.records);
        self.state.history.push(Shared::new(image));
        self.note_losses(&batch);
        self.note_struck_off();
        self.note_unfenced();
        claims::on_commit(self.state, &batch, self.notes);
        self.feed(Input::Committed { end: batch.end, quorum_epoch, records: batch.records });
    }

    /// A replica that lost entries is out until a leader takes it back under its new registration (R61).
    fn note_losses(&mut self, batch: &Batch) {
        let image = self.state.history.last().expect("an image was just added").get();
        let ghost = &mut self.state.ghost;
        let registered = |node: NodeId| image.broker(node).map(|broker| broker.incarnation);
        let (anew, still): (Vec<_>, Vec<_>) = ghost.losing.drain(..).partition(|(lost, run)| {
            registered(lost.node).is_some_and(|now| now > incarnation(lost.node, *run))
        });
        ghost.losing = still;
        ghost.lost.extend(anew.into_iter().map(|(lost, _)| lost));
        ghost.lost.sort_unstable();
        ghost.lost.dedup();
        let Some(accepted) = &batch.accepts else { return };
        ghost.lost.retain(|lost| {
            let member = accepted.members.iter().find(|member| {
                let state = image.partition(lost.partition);
                state.and_then(|state| state.node(member.replica)) == Some(lost.node)
            });
            let current = image.broker(lost.node).map(|broker| broker.broker_epoch);
            member.is_none_or(|member| member.broker_epoch != current)
        });
    }

    /// Whoever was the last that might lead a partition, and is struck off, has lost entries.
    fn note_struck_off(&mut self) {
        let mut images = self.state.history.iter().rev().map(Shared::get);
        let (Some(after), Some(before)) = (images.next(), images.next()) else { return };
        let ghost = &mut self.state.ghost;
        for (at, known) in before.partitions() {
            let could = known.isr.union(known.eligible_leaders);
            let is_dark =
                |now: &Partition| now.leader.is_none() && now.isr.union(now.eligible_leaders).is_empty();
            if could.is_empty() || !after.partition(at).is_some_and(is_dark) {
                continue;
            }
            let losing = ghost.losing.iter().map(|(lost, _)| lost);
            let lost: Vec<_> = ghost.lost.iter().chain(losing).filter(|lost| lost.partition == at).collect();
            let has_lost = |replica| lost.iter().any(|lost| known.node(replica) == Some(lost.node));
            if !could.iter().all(has_lost) && !ghost.struck_off.contains(&at) {
                ghost.struck_off.push(at);
            }
        }
    }

    /// A run that is unfenced may lead and be counted as soon as that is committed, before it has heard of it itself: from here on
    /// what its start had synced is not all that it counts.
    fn note_unfenced(&mut self) {
        let image = self.state.history.last().expect("an image was just added").get();
        for (node, broker) in (1..).map(NodeId).zip(&mut self.state.brokers) {
            let of_this_run = |known: &Broker| known.incarnation == incarnation(node, broker.runs);
            if broker.run.is_some()
                && image.broker(node).is_some_and(|known| !known.fenced && of_this_run(known))
            {
                broker.disk.synced = false;
            }
        }
    }

    fn quorum_epoch(&self) -> QuorumEpoch {
        let spent = &self.state.spent;
        QuorumEpoch(u32::from(spent.failovers) + u32::from(spent.reelections) + 1)
    }

    /// Another node leads the quorum, or the same one again, whose controller has not heard that it was deposed. It has `kept` of the
    /// batches that were not committed, and commits them; its controller begins from there.
    pub(super) fn fail_over(&mut self, kept: u8, is_deposed: bool) {
        let lost = self.state.tail.split_off(usize::from(kept));
        if !lost.is_empty() {
            self.notes.event(name::BATCH_LOST);
        }
        if is_deposed {
            self.feed(Input::Deposed);
        }
        let is_waited_for = !self.state.asked.is_empty();
        for batch in std::mem::take(&mut self.state.tail) {
            self.take_committed(batch);
        }
        let committed = self.state.image().end();
        self.feed(Input::Elected { quorum_epoch: self.quorum_epoch(), committed });
        claims::on_elected(self.state, is_waited_for, self.notes);
    }

    fn on_reply(&mut self, reply: Reply) {
        let at = self.state.asked.iter().position(|(request, _)| *request == reply.request());
        let (_, origin) = self.state.asked.remove(at.expect("the controller answers what was asked, once"));
        let answer = reply.into_answer();
        claims::on_answer(self.state, &origin, &answer, self.notes);
        if let Origin::Broker { node, run, request } = origin {
            let answer = BrokerAnswer::of(&answer);
            self.state.wire.push(Envelope::Tell { node, run, request, answer });
        }
    }
}
