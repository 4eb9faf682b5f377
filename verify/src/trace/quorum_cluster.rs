//! The metadata quorum over all its members, as [`highwater_model::invariant::quorum`] judges it.
//!
//! As for a partition: nothing is judged but by the named predicates, over a picture of a moment that the quorum may have
//! been in, on a [`Scale`]. A record's content is not known to the quorum's core, so that a record is what (offset, epoch)
//! names. What is not asked: QI11 and Q18 (what clients were told) are asked of the acts, QI12, QL1 and QL5 speak of
//! single steps, which are replayed on the checked core.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use highwater_model::id::{NodeId, Offset, QuorumEpoch};
use highwater_model::invariant::Violation;
use highwater_model::invariant::quorum::{self as invariant, Entry, ReplicaView, View};
use highwater_model::log::LogShape;
use highwater_model::quorum::{SnapshotId, Vote, VoterHistory, VoterKey, VoterSet};
use highwater_model::trace::CoreNumber;

use super::cluster::Met;
use super::edge::Wrong;
use super::history::Committed;
use super::partition::named;
use super::quorum::QuorumLife;
use super::scale::{Scale, entries, marks_of};

/// A predicate over a view, and its rule.
type Predicate = (fn(&View<'_>) -> Result<(), Violation>, &'static str);

const PREDICATES: [Predicate; 8] = [
    (invariant::one_leader_per_epoch, "QI1"),
    (invariant::logs_match, "QI2"),
    (invariant::committed_never_changes, "QI3"),
    (invariant::leader_is_complete, "QI4"),
    (invariant::quorum_holds_what_is_committed, "QI5"),
    (invariant::voters_change_one_at_a_time, "QI9"),
    (invariant::log_start_has_a_snapshot, "QI10"),
    (invariant::applied_prefixes_agree, "QI13"),
];

/// Those of them that compare what several nodes do at one moment. They are asked only while the order of moments is known.
const OF_MOMENTS: [&str; 3] = ["QI4", "QI5", "QI10"];

/// A member as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    core: CoreNumber,
    vote: Vote,
    stored: Vote,
    is_leader: bool,
    high_watermark: Option<Offset>,
    log: LogShape<QuorumEpoch>,
    oldest_snapshot: Option<SnapshotId>,
    voters: VoterHistory,
    /// Whether it runs, and nothing that it did is missing.
    is_current: bool,
}

/// The quorum.
#[derive(Default)]
pub(super) struct QuorumWatch {
    members: BTreeMap<VoterKey, Seen>,
    committed: Committed<QuorumEpoch>,
    elected: Vec<(QuorumEpoch, VoterKey)>,
    /// The last vote that each voter has stored, and the last epoch.
    granted: Vec<(VoterKey, QuorumEpoch, VoterKey)>,
    stored: BTreeMap<VoterKey, QuorumEpoch>,
    /// Whether a message was taken that is not recorded as sent.
    has_lost_order: bool,
}

impl QuorumWatch {
    /// A member took a step, or is met.
    pub(super) fn see(&mut self, key: VoterKey, seen: Seen, met: Met) -> Result<(), Wrong> {
        let before = self.members.get(&key).cloned();
        let core = seen.core;
        let is_lost = |known: &Seen| known.core == core && !known.is_current && met != Met::Begins;
        let is_current = !before.as_ref().is_some_and(is_lost);
        let seen = Seen { is_current, ..seen };
        if before.as_ref() == Some(&seen) {
            return Ok(());
        }
        if seen.is_leader && is_current {
            self.committed.note(&seen.log, seen.high_watermark.unwrap_or_default());
            if !self.elected.contains(&(seen.vote.quorum_epoch, key)) {
                self.elected.push((seen.vote.quorum_epoch, key));
            }
        }
        self.members.insert(key, seen);
        let run_on = before.filter(|before| before.core == core && met != Met::Begins);
        self.judge(key, run_on.as_ref())
    }

    /// What this node did from here on is not known, or is over.
    pub(super) fn lose(&mut self, node: NodeId) {
        let own = self.members.iter_mut().filter(|(key, _)| key.id == node);
        own.for_each(|(_, seen)| seen.is_current = false);
    }

    /// A message was taken that is not recorded as sent: moments may be shown from here on that never were.
    pub(super) fn lose_order(&mut self) {
        self.has_lost_order = true;
    }

    /// Whether moments may have been shown that never were.
    pub(super) fn has_lost_order(&self) -> bool {
        self.has_lost_order
    }

    /// A member's life has ended in order.
    pub(super) fn end(&mut self, node: NodeId, core: CoreNumber) {
        let is_it = |(key, seen): &(&VoterKey, &mut Seen)| key.id == node && seen.core == core;
        self.members.iter_mut().filter(is_it).for_each(|(_, seen)| seen.is_current = false);
    }

    /// Asks the predicates of this moment, and of the step of `key` that led to it.
    fn judge(&mut self, key: VoterKey, before: Option<&Seen>) -> Result<(), Wrong> {
        let Some(seen) = self.members.get(&key).cloned() else { return Ok(()) };
        let scale = self.scale(before);
        let members: Vec<Short> = self.current().map(|(key, seen)| Short::of(*key, seen, &scale)).collect();
        let views: Vec<ReplicaView<'_>> = members.iter().map(Short::view).collect();
        let content = |(quorum_epoch, place): (_, Offset)| Entry { quorum_epoch, content: place.0 };
        let committed: Vec<Entry> = self.committed.stretches(&scale).map(content).collect();
        let voters = self.voters();
        let view = View {
            replicas: &views,
            committed: &committed,
            acknowledged: &[],
            voters: &voters,
            elected: &self.elected,
            granted: &self.granted,
        };
        let is_known = !self.has_lost_order && self.committed.start().is_some();
        let is_asked = |rule: &str| is_known || !OF_MOMENTS.contains(&rule);
        for (holds, rule) in PREDICATES.into_iter().filter(|(_, rule)| is_asked(rule)) {
            holds(&view).map_err(|broken| named(broken, rule))?;
        }
        let after = Short::of(key, &seen, &scale);
        if let Some(before) = before {
            let before = Short::of(key, before, &scale);
            invariant::high_watermark_never_moves_back(&before.view(), &after.view())
                .map_err(|broken| named(broken, "QI6"))?;
        }
        let spoken = self.stored.get(&key).copied().unwrap_or_default();
        invariant::quorum_epoch_never_moves_back(spoken, &after.view())
            .map_err(|broken| named(broken, "QI7"))?;
        if let Some(candidate) = seen.stored.voted_for {
            let vote = (key, seen.stored.quorum_epoch, candidate);
            invariant::one_vote_per_epoch(&view, vote).map_err(|broken| named(broken, "QI8"))?;
            self.granted.retain(|(voter, ..)| *voter != key);
            self.granted.push(vote);
        }
        self.stored.insert(key, seen.stored.quorum_epoch);
        Ok(())
    }

    fn current(&self) -> impl Iterator<Item = (&VoterKey, &Seen)> {
        self.members.iter().filter(|(_, seen)| seen.is_current)
    }

    /// The last committed set of voters, and the open one after it. Asked only while all of them are known: of one that is
    /// not, nobody can tell what it holds.
    fn voters(&self) -> Vec<VoterSet> {
        let newest = self.current().map(|(_, seen)| seen).filter(|seen| seen.is_leader);
        let Some(newest) = newest.max_by_key(|seen| seen.vote.quorum_epoch) else { return Vec::new() };
        let sets = [newest.voters.at(self.committed.end()), newest.voters.latest()];
        let is_known = |set: &&VoterSet| {
            set.keys().iter().all(|key| self.members.get(key).is_some_and(|seen| seen.is_current))
        };
        sets.into_iter().filter(is_known).cloned().collect()
    }

    fn scale(&self, before: Option<&Seen>) -> Scale {
        let all = || self.members.values().chain(before);
        let lowest = || all().map(|seen| seen.log.start()).min().unwrap_or_default();
        let logs = all().flat_map(|seen| marks_of(&seen.log));
        let watermarks = all().filter_map(|seen| seen.high_watermark);
        let snapshots = all().filter_map(|seen| seen.oldest_snapshot).map(|snapshot| snapshot.end);
        let records = all().flat_map(|seen| seen.voters.records());
        let records = records.flat_map(|record| [record.offset, record.offset.after(1)]);
        let base = self.committed.start().unwrap_or_else(lowest);
        let marks = logs.chain(watermarks).chain(snapshots).chain(records).chain(self.committed.marks());
        Scale::new(base, marks)
    }
}

impl Seen {
    pub(super) fn of(core: CoreNumber, life: &QuorumLife) -> Self {
        let of = &life.core;
        Self {
            core,
            vote: of.vote(),
            stored: of.stored(),
            is_leader: of.is_leader(),
            high_watermark: of.high_watermark(),
            log: of.log().clone(),
            oldest_snapshot: of.oldest_snapshot(),
            voters: of.voters().clone(),
            is_current: true,
        }
    }
}

/// A member on a scale.
struct Short {
    key: VoterKey,
    vote: Vote,
    is_leader: bool,
    high_watermark: Option<Offset>,
    log: LogShape<QuorumEpoch>,
    entries: Vec<Entry>,
    oldest_snapshot: Option<SnapshotId>,
    voters: VoterHistory,
}

impl Short {
    fn of(key: VoterKey, seen: &Seen, scale: &Scale) -> Self {
        let log = scale.log(&seen.log);
        let place = |snapshot: SnapshotId| SnapshotId { end: scale.place(snapshot.end), ..snapshot };
        Self {
            key,
            vote: seen.vote,
            is_leader: seen.is_leader,
            high_watermark: seen.high_watermark.map(|offset| scale.place(offset)),
            entries: entries(&log),
            log,
            oldest_snapshot: seen.oldest_snapshot.map(place),
            voters: short_voters(&seen.voters, scale),
        }
    }

    fn view(&self) -> ReplicaView<'_> {
        ReplicaView {
            key: self.key,
            vote: self.vote,
            is_leader: self.is_leader,
            high_watermark: self.high_watermark,
            log_start: self.log.start(),
            entries: &self.entries,
            flushed: self.log.flushed(),
            oldest_snapshot: self.oldest_snapshot,
            voters: &self.voters,
        }
    }
}

/// A history of voters on a scale; what is below its base is one set.
fn short_voters(voters: &VoterHistory, scale: &Scale) -> VoterHistory {
    let base = scale.base();
    let mut short = VoterHistory::new(voters.at(base).clone());
    for record in voters.records().iter().filter(|record| record.offset >= base) {
        short.append(scale.place(record.offset), record.voters.clone());
    }
    short
}
