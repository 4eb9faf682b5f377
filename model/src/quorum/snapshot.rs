//! Snapshots: taking, offering and installing them (Q40–Q43). The driver moves their bytes.

use super::effect::{Effect, Effects};
use super::input::Timer;
use super::message::{Fetch, SnapshotId};
use super::refusal::Refusal;
use super::state::{Quorum, Role, Tenure};
use super::voter::{VoterHistory, VoterKey, VoterSet};
use crate::fault::{Bug, Faults};
use crate::id::Offset;

impl<F: Faults> Quorum<F> {
    /// The state machine's snapshot is durable (Q40). The one before it stays, and the log from there on, for whoever is
    /// still reading that; what is below may go (Q41).
    pub(super) fn on_snapshot_taken(&mut self, id: SnapshotId, effects: &mut Effects) -> Result<(), Refusal> {
        let within = self.snapshotted() < id.end && id.end <= self.log.flushed();
        let committed = self.high_watermark.is_some_and(|known| id.end <= known);
        let ours = id.end.before().and_then(|last| self.log.epoch_at(last)) == Some(id.quorum_epoch);
        if !within || !committed || !ours {
            return Err(self.bad_snapshot(id));
        }
        self.older = self.snapshot.replace(id);
        self.voters.trim(id.end);
        if let Some(older) = self.older.filter(|older| self.log.start() < older.end) {
            self.log.trim(older.end);
            assert!(self.log.start() == older.end, "a flushed prefix can be trimmed");
            effects.push(Effect::TrimLog { start: older.end });
        }
        Ok(())
    }

    /// The voters that a snapshot of everything below `end` must hold: those of the record before that (Q40, B-43).
    #[must_use]
    pub fn snapshot_voters(&self, end: Offset) -> &VoterSet {
        let apart = self.faults.has(Bug::AppliedApart);
        self.voters.at(if apart { end.before().unwrap_or(end) } else { end })
    }

    /// End of what is in a snapshot here, exclusive.
    fn snapshotted(&self) -> Offset {
        self.snapshot.map_or_else(|| self.log.start(), |snapshot| snapshot.end)
    }

    /// The snapshot that a replica must begin from: the latest, if its log ends before what is here, or ends there in
    /// another epoch, or is empty, which spares it the log (Q42).
    ///
    /// An epoch between that of the record before this log's start and that of the first one in it is another one, too: its log
    /// ends there with a record that was never committed, and no entry of this log says so any more.
    pub(super) fn snapshot_for(&self, fetch: &Fetch) -> Option<SnapshotId> {
        let first = self.oldest_snapshot().filter(|oldest| oldest.end == self.log.start());
        let before = first.map(|oldest| oldest.quorum_epoch);
        let at_start = first.is_some() && fetch.fetch_offset == self.log.start();
        let is_another =
            at_start && fetch.last_fetched_epoch != before && !self.faults.has(Bug::PastUntested);
        let parted = fetch.fetch_offset < self.log.start() || fetch.last_fetched_epoch < before;
        self.snapshot.filter(|_| parted || is_another || fetch.last_fetched_epoch.is_none())
    }

    /// The leader says to begin from a snapshot: have it fetched, and ask for nothing meanwhile.
    pub(super) fn on_snapshot_offered(
        &mut self,
        id: SnapshotId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let older = id.end <= self.snapshotted() || self.high_watermark.is_some_and(|known| id.end < known);
        if older || id.quorum_epoch > self.vote.quorum_epoch {
            return Err(self.bad_snapshot(id));
        }
        let Role::Follower(following) = &mut self.role else {
            return Err(self.bad_snapshot(id));
        };
        following.outstanding = None;
        following.installing = Some(id);
        let from = following.leader.id;
        if self.faults.has(Bug::SnapshotInstallNotAtomic) {
            self.restart_log(id, self.voters.latest().clone(), effects);
        }
        effects.push(Effect::Disarm(Timer::FetchRetry));
        effects.push(Effect::Disarm(Timer::FetchTimeout));
        effects.push(Effect::FetchSnapshot { from, id });
        Ok(())
    }

    /// The snapshot is durable here: begin the log again at its end (Q43).
    pub(super) fn on_snapshot_installed(
        &mut self,
        tenure: &Tenure,
        (id, voters): (SnapshotId, VoterSet),
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.end_installing(id, effects)?;
        self.restart_log(id, voters, effects);
        self.try_fetch(tenure, effects);
        Ok(())
    }

    /// The snapshot was not to be had: ask the leader again in a while.
    pub(super) fn on_snapshot_failed(
        &mut self,
        id: SnapshotId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.end_installing(id, effects)?;
        effects.push(Effect::Arm(Timer::FetchRetry));
        Ok(())
    }

    /// Waits for this snapshot no more, and minds the leader again.
    fn end_installing(&mut self, id: SnapshotId, effects: &mut Effects) -> Result<(), Refusal> {
        match &mut self.role {
            Role::Follower(following) if following.installing == Some(id) => following.installing = None,
            Role::Follower(_)
            | Role::Unattached(_)
            | Role::Prospective(_)
            | Role::Candidate(_)
            | Role::Leader(_)
            | Role::Resigned => return Err(self.bad_snapshot(id)),
        }
        effects.push(Effect::Arm(Timer::FetchTimeout));
        Ok(())
    }

    /// The log is a snapshot and nothing after it.
    pub(super) fn restart_log(&mut self, id: SnapshotId, voters: VoterSet, effects: &mut Effects) {
        self.log.restart_at(id.end);
        self.voters = VoterHistory::new(voters);
        self.snapshot = Some(id);
        self.older = None;
        effects.push(Effect::RestartLog { start: id.end, generation: self.log.generation() });
        self.raise_high_watermark(id.end, effects);
    }

    /// A replica reads a snapshot here: it lives (Q7).
    pub(super) fn on_snapshot_served(
        &mut self,
        tenure: &Tenure,
        to: VoterKey,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.leadership(tenure)?;
        if let Some(progress) = self.known_mut(to) {
            progress.heard = true;
        }
        self.check_heard(tenure, effects);
        Ok(())
    }

    fn bad_snapshot(&self, id: SnapshotId) -> Refusal {
        Refusal::BadSnapshot { id, log_start: self.log.start(), high_watermark: self.high_watermark }
    }
}
