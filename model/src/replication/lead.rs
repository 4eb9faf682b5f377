//! Taking in newer metadata: who leads now, and what that voids (X3, R6, R30, R34, R61).

use super::follow::Following;
use super::leading::{IsrChange, Leading};
use super::state::Role;
use super::{Effect, Effects, PartitionView, Refusal, Replica, ReplicaIdx, Tenure, Timer};
use crate::fault::{Bug, Faults};

impl<F: Faults> Replica<F> {
    pub(super) fn on_view(
        &mut self,
        tenure: &Tenure,
        view: PartitionView,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        self.admit_view(tenure, &view)?;
        let before = core::mem::replace(&mut self.view, view);
        if self.view.partition_epoch < before.partition_epoch {
            self.keep_partition(&before);
        }
        let lagging = self.faults.has(Bug::LaggingMinIsr);
        self.min_isr_before = if lagging { before.min_isr } else { self.view.min_isr };
        let same_reign = before.leader == self.view.leader && before.leader_epoch == self.view.leader_epoch;
        if !same_reign {
            self.change_role(tenure, effects);
        } else if self.is_leading() {
            self.drop_stale_progress(tenure, effects);
            self.metadata_moved(before.partition_epoch < self.view.partition_epoch, effects);
        }
        Ok(())
    }

    fn admit_view(&self, tenure: &Tenure, view: &PartitionView) -> Result<(), Refusal> {
        let (given, known) = (view.metadata_offset, self.view.metadata_offset);
        if given <= known {
            return Err(Refusal::StaleView { given, known });
        }
        // An image from before this registration may name a reign of an earlier incarnation: never take that up.
        let own = view.replica(tenure.own).and_then(|own| own.broker_epoch);
        if own != Some(tenure.broker_epoch) || view.replicas.len() != tenure.replicas.len() {
            return Err(Refusal::NotThisIncarnation { given: own, known: tenure.broker_epoch });
        }
        // A log has no epoch that the controller has not begun: the records would be of another cluster.
        match self.log.last_epoch() {
            Some(known) if view.leader_epoch < known => {
                Err(Refusal::FencedLeaderEpoch { given: view.leader_epoch, known })
            }
            _ => Ok(()),
        }
    }

    /// The answer to a proposal was ahead of this view (R45): everything of the partition's record stays, together (X4).
    fn keep_partition(&mut self, known: &PartitionView) {
        self.view.leader = known.leader;
        self.view.leader_epoch = known.leader_epoch;
        self.view.partition_epoch = known.partition_epoch;
        self.view.isr = known.isr;
        self.view.min_isr = known.min_isr;
        self.view.flush = known.flush;
    }

    fn change_role(&mut self, tenure: &Tenure, effects: &mut Effects) {
        self.leave_role(tenure, effects);
        match self.view.leader {
            None => {}
            Some(leader) if leader == tenure.own => self.begin_to_lead(tenure),
            Some(leader) => self.begin_to_follow(leader, effects),
        }
    }

    /// R30. All progress is forgotten, that of ISR members too: between two reigns of one leader that follow each other
    /// in its images another may have led (X3), and every follower fetches anew in a new leader epoch anyway.
    fn begin_to_lead(&mut self, tenure: &Tenure) {
        self.log.begin_epoch(self.view.leader_epoch);
        let lead = Leading::begin(self.log.end(), tenure.replica_count(), self.view.isr);
        self.role = Role::Leading(lead);
    }

    /// R34: whatever must be cut is found out by fetching from this leader in this leader epoch.
    fn begin_to_follow(&mut self, leader: ReplicaIdx, effects: &mut Effects) {
        if self.faults.has(Bug::TruncateToHighWatermark) {
            self.cut(self.high_watermark);
            effects.push(Effect::Truncate { to: self.log.end(), generation: self.log.generation() });
        }
        self.role = Role::Following(Following::begin(leader));
    }

    /// R6: whoever waits is told, and every timer of the role stops.
    fn leave_role(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let (refusal, tells_nobody) = (self.not_leader(), self.faults.has(Bug::DeposedTellsNobody));
        match core::mem::take(&mut self.role) {
            Role::Idle => {}
            Role::Following(following) => {
                if following.open {
                    effects.push(Effect::Disarm(Timer::FetchRetry));
                }
                if following.lacks_room {
                    effects.push(Effect::Disarm(Timer::Room));
                }
            }
            Role::Leading(lead) => {
                let produces = lead.for_commit.iter().chain(&lead.for_local).map(|wait| wait.request_id);
                let reads = lead.end_reads.iter().map(|wait| wait.request_id);
                let waiting = produces.chain(reads).filter(|_| !tells_nobody);
                effects.extend(waiting.map(|request_id| Effect::Refuse { request_id, refusal }));
                let armed = |replica: &ReplicaIdx| lead.follower(*replica).is_some_and(|known| known.armed);
                effects.extend(tenure.others().filter(armed).map(|known| Effect::Disarm(Timer::Lag(known))));
                if lead.change.has_timer() {
                    effects.push(Effect::Disarm(Timer::AlterPartitionRetry));
                }
            }
        }
    }

    /// R61: what was learned of an earlier incarnation counts for nothing.
    fn drop_stale_progress(&mut self, tenure: &Tenure, effects: &mut Effects) {
        if self.faults.has(Bug::StaleBrokerEpoch) {
            return;
        }
        let end = self.log.end();
        for replica in tenure.others() {
            let registered = self.view.replica(replica).and_then(|view| view.broker_epoch);
            let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(replica)) else {
                continue;
            };
            let Some(progress) = &follower.progress else { continue };
            if registered.is_none_or(|registered| progress.broker_epoch < registered) {
                follower.progress = None;
                follower.parked = None;
                follower.caught_up = false;
                follower.goal = end;
                if core::mem::take(&mut follower.armed) {
                    effects.push(Effect::Disarm(Timer::Lag(replica)));
                }
            }
        }
    }

    /// A newer partition epoch settles every proposal on an older one; newer metadata of any kind may make a refused
    /// one possible (R45).
    fn metadata_moved(&mut self, partition_moved: bool, effects: &mut Effects) {
        let Some(lead) = self.lead_mut() else { return };
        let had_timer = lead.change.has_timer();
        if partition_moved {
            lead.change = IsrChange::default();
        } else {
            lead.change.held = false;
        }
        if had_timer && !lead.change.has_timer() {
            effects.push(Effect::Disarm(Timer::AlterPartitionRetry));
        }
    }
}
