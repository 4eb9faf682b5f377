//! Taking one step of the quorum world.

use highwater_model::fault::Bug;
use highwater_model::id::{Offset, QuorumEpoch};
use highwater_model::invariant::quorum::{
    name, quorum_epoch_never_moves_back, snapshot_is_the_fold_of_the_log,
};
use highwater_model::log::{EpochHistory, LogShape};
use highwater_model::quorum::{
    BatchKind, Body, Effect, Effects, Fetched, Input, Message, ProposalId, Quorum, ReadId, Recovered,
    RoleName, SnapshotId, Timer, VoteAnswer, VoterChange, VoterRecord, VoterSet,
};

use super::action::Action;
use super::claims::seen;
use super::drive::Driver;
use super::shared::Shared;
use super::state::{Disk, Node, Place, kind, tenure};
use super::view;

/// Voter changes are proposals, numbered apart from values.
const CHANGES: u64 = 200;

impl Driver<'_> {
    /// Takes one step.
    pub(super) fn act(&mut self, action: &Action) {
        match *action {
            Action::Stand(at) => self.stand(at),
            Action::Expire(at, timer) => self.expire(at, timer),
            Action::Deliver(index) => self.deliver(index, false, false),
            Action::DeliverFirst(index) => self.deliver(index, true, false),
            Action::Ask(at, whom) => {
                self.asks = Some(whom);
                self.expire(at, Timer::Probe);
                self.asks = None;
            }
            Action::Repeat(index) => {
                self.state.spent.repeats += 1;
                self.deliver(index, false, true);
            }
            Action::Store(at) => self.store(at),
            Action::Flush(at) => self.flush(at),
            Action::Propose(at) => self.propose(at),
            Action::Read(at) => self.read(at),
            Action::Change(at, change) => self.change(at, change),
            Action::Kill(at) => {
                self.state.spent.kills += 1;
                self.restart(at, |_| {});
            }
            Action::PowerLoss(at, kept) => {
                self.state.spent.power_losses += 1;
                if kept < self.node(at).disk.end() {
                    self.notes.event(seen::POWER_LOST);
                }
                self.restart(at, |disk| {
                    disk.truncate(kept);
                    disk.flushed = kept;
                });
            }
            Action::Wipe(at) => {
                self.state.spent.wipes += 1;
                self.wipe(at);
            }
            Action::Corrupt(at, kept) => self.corrupt(at, kept),
            Action::Snapshot(at, id) => self.snapshot(at, id),
            Action::Install(at, id) => self.install(at, id),
        }
        if self.world.completes_at_once(&self.state.spent) {
            self.complete_all();
        }
    }

    /// With no crash left to come, a completion that is late is a message that is late: let it not be late.
    fn complete_all(&mut self) {
        let present = self.world.present(self.state);
        for at in (0..).take(self.state.nodes.len()) {
            if present.is_behind(self.state.node(at)) {
                continue;
            }
            while !self.state.node(at).disk.storing.is_empty() {
                self.store(at);
            }
            while !self.state.node(at).disk.syncs.is_empty() {
                self.flush(at);
            }
        }
    }

    fn node(&self, at: Place) -> &Node {
        self.state.node(at)
    }

    /// Whatever timer makes this replica want to lead ran out. With free pre-votes it is granted them at once.
    fn stand(&mut self, at: Place) {
        self.state.spent.elections += 1;
        self.expire(at, self.timer_to_stand(at));
        if !self.world.asks_pre_votes() {
            self.grant_pre_votes(at);
        }
    }

    fn role(&self, at: Place) -> RoleName {
        self.node(at).core.role(&tenure(at, self.node(at)))
    }

    fn timer_to_stand(&self, at: Place) -> Timer {
        if self.role(at) == RoleName::Follower { Timer::FetchTimeout } else { Timer::Election }
    }

    /// Takes the pre-vote requests back and answers them all with yes.
    fn grant_pre_votes(&mut self, at: Place) {
        let asks = |message: &Message| matches!(&message.body, Body::Vote(vote) if vote.pre_vote);
        self.state.network.retain(|packet| !asks(&packet.letter.message));
        let tenure = tenure(at, self.node(at));
        let voters: Vec<_> = self.node(at).core.voters().latest().keys().to_vec();
        for voter in voters.into_iter().filter(|voter| voter.id != tenure.key.id) {
            if self.role(at) != RoleName::Prospective {
                return;
            }
            let request = self.node(at).core.waits_for().unwrap_or_default();
            let asked = highwater_model::quorum::Asked { incarnation: tenure.incarnation, request };
            let answer = VoteAnswer { asked, pre_vote: true, granted: true, leader: None };
            let message = Message {
                from: voter,
                incarnation: tenure.incarnation,
                quorum_epoch: self.node(at).core.quorum_epoch(),
                body: Body::VoteAnswer(answer),
            };
            self.feed(at, Input::Received(message), &[]);
        }
    }

    fn expire(&mut self, at: Place, timer: Timer) {
        match timer {
            Timer::FetchRetry => self.state.spent.resends += 1,
            Timer::CheckQuorum => self.state.spent.resigns += 1,
            Timer::Announce => {
                self.feed(at, Input::Expired(Timer::LongPoll), &[]);
            }
            Timer::Election | Timer::FetchTimeout | Timer::Probe | Timer::LongPoll => {}
        }
        self.feed(at, Input::Expired(timer), &[]);
    }

    fn deliver(&mut self, index: usize, first_only: bool, again: bool) {
        let packet = self.state.network.remove(index);
        if again {
            self.state.network.push(packet.clone());
        }
        let mut message = packet.letter.message.clone();
        if let Body::FetchAnswer(answer) = &mut message.body
            && let Fetched::Records { batches, .. } = &mut answer.fetched
            && first_only
        {
            batches.truncate(1);
        }
        self.feed(packet.to, Input::Received(message), &packet.letter.contents);
    }

    pub(super) fn store(&mut self, at: Place) {
        let (before, vote) = self.state.node_mut(at).change(|node| {
            let vote = node.disk.storing.remove(0);
            let before = std::mem::replace(&mut node.disk.vote, vote);
            (before, vote)
        });
        let again = before.quorum_epoch == vote.quorum_epoch && before.voted_for.is_some() && before != vote;
        if self.world.reduces() && (again || vote.quorum_epoch < before.quorum_epoch) {
            self.notes
                .broke(name::ONE_VOTE_PER_EPOCH, || format!("node {at} stores {vote:?} over {before:?}"));
        }
        self.feed(at, Input::VoteStored(vote), &[]);
    }

    /// A sync completes. One that belongs to a log since cut has synced nothing that is there now.
    pub(super) fn flush(&mut self, at: Place) {
        let (end, generation) = self.state.node_mut(at).change(|node| {
            let (end, generation) = node.disk.syncs.remove(0);
            if generation == node.core.log().generation() {
                node.disk.flushed = node.disk.flushed.max(end);
            }
            (end, generation)
        });
        self.feed(at, Input::Flushed { end, generation }, &[]);
        if !self.world.has(Bug::FlushIgnoresGeneration) {
            self.forget_void_syncs(at);
        }
    }

    /// The core refuses completions of a log since cut, now and always.
    fn forget_void_syncs(&mut self, at: Place) {
        let generation = self.node(at).core.log().generation();
        if self.node(at).disk.syncs.iter().any(|(_, theirs)| *theirs != generation) {
            self.state
                .node_mut(at)
                .change(|node| node.disk.syncs.retain(|(_, theirs)| *theirs == generation));
        }
    }

    fn propose(&mut self, at: Place) {
        self.state.spent.values += 1;
        let id = ProposalId(u64::from(self.state.spent.values));
        let quorum_epoch = self.node(at).core.quorum_epoch();
        self.submit(at, id, Input::Propose { id, quorum_epoch, count: 1 });
    }

    fn read(&mut self, at: Place) {
        self.state.spent.reads += 1;
        let id = ReadId(u64::from(self.state.spent.reads));
        let acknowledged =
            self.state.ghost.acknowledged.iter().max().map_or(Offset::ZERO, |last| last.after(1));
        self.state.ghost.reads.push((at, id, acknowledged));
        if !self.feed(at, Input::Read { id }, &[]) {
            self.state.ghost.reads.retain(|(place, read, _)| (*place, *read) != (at, id));
        }
    }

    fn change(&mut self, at: Place, change: VoterChange) {
        self.state.spent.changes += 1;
        let id = ProposalId(CHANGES + u64::from(self.state.spent.changes));
        self.submit(at, id, Input::ChangeVoters { id, change });
    }

    /// Somebody waits for what comes of a proposal, unless it is refused.
    fn submit(&mut self, at: Place, id: ProposalId, input: Input) {
        self.state.proposals.push((at, id));
        if !self.feed(at, input, &[]) {
            self.state.proposals.retain(|waiting| *waiting != (at, id));
        }
    }

    /// A process ends, its disk becomes what `lose` leaves, and it is started again.
    fn restart(&mut self, at: Place, lose: impl FnOnce(&mut Disk)) {
        let mut node = self.node(at).clone();
        let epoch = node.disk.vote.quorum_epoch;
        lose(&mut node.disk);
        node.disk.storing.clear();
        node.disk.syncs.clear();
        node.starts += 1;
        self.start(at, node);
        if let Err(violation) = quorum_epoch_never_moves_back(epoch, &view::of(at, self.node(at))) {
            self.broke(violation);
        }
    }

    fn wipe(&mut self, at: Place) {
        let mut node = self.node(at).clone();
        node.disk = Disk::default();
        node.starts += 1;
        node.wipes += 1;
        self.start(at, node);
    }

    fn corrupt(&mut self, at: Place, kept: Offset) {
        self.state.spent.corruptions += 1;
        if !self.world.may_start_damaged() {
            self.notes.event(seen::REPLACED);
            return self.wipe(at);
        }
        self.restart(at, |disk| disk.truncate(kept));
    }

    /// Starts a replica from its disk. What it says at once is lost.
    fn start(&mut self, at: Place, mut node: Node) {
        self.state.dismiss(at);
        self.leads = false;
        node.heard.clear();
        let mut effects = Effects::new();
        let found = recovered(&self.world.formatted, &node.disk);
        node.core = Quorum::recover(&tenure(at, &node), self.world.planted, found, &mut effects);
        effects.retain(|effect| !matches!(effect, Effect::Send { .. }));
        self.carry_out(at, &mut node, effects, &[]);
        self.check_waiting(at, &node);
        *self.state.node_mut(at) = Shared::new(node);
    }

    fn snapshot(&mut self, at: Place, id: SnapshotId) {
        self.state.spent.snapshots += 1;
        let held = self.node(at).core.snapshot_voters(id.end).clone();
        let folded = view::voters_of(self.world, &self.state.ghost.committed, id.end);
        if folded != self.world.formatted {
            self.notes.event(seen::SNAPSHOT_TAKEN);
        }
        if let Err(violation) = snapshot_is_the_fold_of_the_log(id, &held, &folded) {
            self.broke(violation);
        }
        self.state.node_mut(at).change(|node| node.disk.snapshots.push((id, held)));
        self.feed(at, Input::SnapshotTaken { id }, &[]);
        self.remove_older(at);
    }

    /// Snapshots that the core needs no longer go.
    fn remove_older(&mut self, at: Place) {
        let oldest = self.node(at).core.oldest_snapshot();
        self.state.node_mut(at).change(|node| node.disk.snapshots.retain(|(id, _)| oldest <= Some(*id)));
    }

    /// A snapshot arrives whole and is published; any replica that has it may be the source.
    fn install(&mut self, at: Place, id: SnapshotId) {
        self.notes.event(seen::INSTALLED);
        let mut sources = self.state.nodes.iter().flat_map(|node| &node.disk.snapshots);
        let Some((_, voters)) = sources.find(|(theirs, _)| *theirs == id).cloned() else {
            self.feed(at, Input::SnapshotFailed { id }, &[]);
            return;
        };
        let kept = voters.clone();
        self.state.node_mut(at).change(|node| node.disk.snapshots.push((id, kept)));
        self.feed(at, Input::SnapshotInstalled { id, voters }, &[]);
        self.remove_older(at);
    }
}

/// What a start finds on a disk.
pub(super) fn recovered(formatted: &VoterSet, disk: &Disk) -> Recovered {
    let mut epochs: EpochHistory<QuorumEpoch> = EpochHistory::default();
    let mut voters = Vec::new();
    for (offset, entry) in (disk.start.0..).map(Offset).zip(&disk.entries) {
        epochs.assign(entry.quorum_epoch, offset);
        if let BatchKind::Voters(set) = kind(entry.content) {
            voters.push(VoterRecord { offset, voters: set });
        }
    }
    let log = LogShape::recovered(disk.start, disk.flushed, disk.end(), epochs);
    let mut snapshots = disk.snapshots.iter().rev();
    let (snapshot, older) = (snapshots.next().cloned(), snapshots.next().map(|(id, _)| *id));
    Recovered { vote: disk.vote, formatted: formatted.clone(), snapshot, older, log, voters }
}
