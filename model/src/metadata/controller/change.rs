//! One change of one partition: who leads, who is in sync, who else may lead (R46, R50 to R56).
//!
//! Soundness of the eligible leaders: while the ISR is below min.insync.replicas the high watermark is frozen (R21), so
//! whoever leaves the ISR then, or brings it below, still holds everything committed (R55).

use super::super::{Missing, MissingReason, Partition, TopicConfig, effective_min_isr};
use crate::fault::{Bug, Faults};
use crate::id::Offset;
use crate::replication::{FlushPolicy, IsrSet, ReplicaIdx};

/// A change in the making.
#[derive(Debug)]
pub(super) struct Change<'p, F> {
    faults: F,
    before: &'p Partition,
    /// Replicas that may be elected: their brokers are active (R51).
    acceptable: IsrSet,
    at_ms: u64,
    isr: IsrSet,
    /// Replicas that restarted and had lost some of what they had counted (R60).
    lost: IsrSet,
    min_isr: u8,
    flush: FlushPolicy,
    flush_since: Offset,
    /// Smallest ISR with which there are no eligible leaders. The partition's own min ISR, and no other (MI7).
    eligible_below: u8,
    reason: MissingReason,
    unclean_allowed: bool,
    preferred: bool,
    recovered: bool,
}

impl<'p, F: Faults> Change<'p, F> {
    /// Changes nothing so far, except that a partition without a leader gets one if it can.
    pub(super) fn new(faults: F, before: &'p Partition, acceptable: IsrSet, at_ms: u64) -> Self {
        Self {
            faults,
            before,
            acceptable,
            at_ms,
            isr: before.isr,
            lost: IsrSet::EMPTY,
            min_isr: before.min_isr,
            flush: before.flush,
            flush_since: before.flush_since,
            eligible_below: before.min_isr,
            reason: MissingReason::Fenced,
            unclean_allowed: false,
            preferred: false,
            recovered: false,
        }
    }

    /// Takes a replica out of the ISR.
    pub(super) fn without(mut self, replica: ReplicaIdx, reason: MissingReason) -> Self {
        self.isr = self.isr.without(replica);
        self.reason = reason;
        self
    }

    /// Takes a replica out of the ISR and out of the eligible leaders: it lost what it had counted (R60).
    pub(super) fn losing(mut self, replica: ReplicaIdx) -> Self {
        self.lost = self.lost.with(replica);
        if self.faults.has(Bug::OneLossStrikesAll) {
            self.lost = self.before.isr.union(self.before.eligible_leaders);
        }
        self.without(replica, MissingReason::RestartedUncleanly)
    }

    /// The ISR that the leader proposes (R40); whoever leaves it lagged.
    pub(super) fn proposed(mut self, isr: IsrSet) -> Self {
        self.isr = isr;
        self.reason = MissingReason::Lagging;
        self
    }

    /// Another set of replicas that may be elected.
    pub(super) fn acceptable(mut self, acceptable: IsrSet) -> Self {
        self.acceptable = acceptable;
        self
    }

    /// Whether a replica may be elected that may lack committed records (R53).
    pub(super) fn unclean_allowed(mut self, allowed: bool) -> Self {
        self.unclean_allowed = allowed;
        self
    }

    /// Back to the first replica, if it is in sync (R52).
    pub(super) fn preferred(mut self) -> Self {
        self.preferred = true;
        self
    }

    /// The leader has begun its epoch after an unclean election (R53).
    pub(super) fn recovered(mut self) -> Self {
        self.recovered = true;
        self
    }

    /// Effective min ISR and flush policy of a new configuration (X4, X13a), which is decided at `decided_at`. Whoever is
    /// registered by then goes on counting under the old policy until it has heard of the new one.
    pub(super) fn configured(mut self, config: &TopicConfig, decided_at: Offset) -> Self {
        if self.faults.has(Bug::ImageWithoutMinIsr) {
            return self;
        }
        self.min_isr = effective_min_isr(config.min_insync_replicas(), replica_count(self.before));
        if self.flush != config.flush_policy() {
            (self.flush, self.flush_since) = (config.flush_policy(), decided_at);
        }
        self.eligible_below = self.min_isr;
        self
    }

    /// Where [`Bug::ImageWithoutMinIsr`] takes the min ISR from.
    pub(super) fn judged_by(mut self, config: Option<&TopicConfig>) -> Self {
        if let Some(config) = config.filter(|_| self.faults.has(Bug::ImageWithoutMinIsr)) {
            self.eligible_below = effective_min_isr(config.min_insync_replicas(), replica_count(self.before));
        }
        self
    }

    /// The partition after the change, with its epochs raised, or `None` when nothing changes.
    pub(super) fn outcome(&self) -> Option<Partition> {
        let mut after = self.before.clone();
        (after.min_isr, after.isr) = (self.min_isr, self.target_isr());
        (after.flush, after.flush_since) = (self.flush, self.flush_since);
        self.elect(&mut after);
        self.derive_eligible_leaders(&mut after);
        after.recovering &= !self.recovered;
        self.note_missing(&mut after);
        if after == *self.before {
            return None;
        }
        if self.raises_leader_epoch(&after) {
            after.leader_epoch = after.leader_epoch.next();
        }
        if after.leader != self.before.leader || !self.faults.has(Bug::PartitionEpochStays) {
            after.partition_epoch = after.partition_epoch.next();
        }
        Some(after)
    }

    /// The ISR may become empty: the eligible leaders stand in for it (R55).
    fn target_isr(&self) -> IsrSet {
        let last_stays = self.faults.has(Bug::NoEligibleLeaders) && self.isr.is_empty();
        if last_stays { self.before.isr } else { self.isr }
    }

    /// Who may lead besides the ISR, if it stays below the minimum: whoever was in either set and kept its log.
    fn eligible(&self, isr: IsrSet) -> IsrSet {
        let lost = if self.faults.has(Bug::UncleanStaysEligible) { IsrSet::EMPTY } else { self.lost };
        if self.faults.has(Bug::NoEligibleLeaders) {
            return IsrSet::EMPTY;
        }
        self.before.eligible_leaders.union(self.before.isr).minus(isr).minus(lost)
    }

    /// R51 to R53: keep the leader if it still qualifies, else the first acceptable member of the ISR, else of the
    /// eligible leaders, else (only where that is configured) any acceptable replica, else nobody.
    fn elect(&self, after: &mut Partition) {
        let qualified = after.isr.intersection(self.acceptable);
        if self.preferred && qualified.contains(ReplicaIdx(0)) {
            after.leader = Some(ReplicaIdx(0));
        } else if !after.leader.is_some_and(|leader| qualified.contains(leader)) {
            after.leader = qualified.iter().next();
        }
        if after.leader.is_none() && after.isr.is_empty() {
            let candidates = self.eligible(after.isr);
            let alive = candidates.intersection(self.acceptable);
            let winner = if self.faults.has(Bug::DeadCandidate) { candidates } else { alive };
            elected_alone(after, winner.iter().next());
        }
        if after.leader.is_none() && (self.unclean_allowed || self.faults.has(Bug::UncleanElection)) {
            elected_alone(after, self.acceptable.iter().next());
            after.recovering |= after.leader.is_some();
        }
        after.last_known_leader = match after.leader {
            Some(_) => None,
            None => self.before.leader.or(self.before.last_known_leader),
        };
    }

    /// R55. An unclean election leaves nobody who is known to hold what was committed (R53).
    fn derive_eligible_leaders(&self, after: &mut Partition) {
        let uncleanly = after.recovering && !self.before.recovering;
        let enough = after.isr.count() >= self.eligible_below;
        after.eligible_leaders = if uncleanly || (enough && !self.faults.has(Bug::EligibleNotCleared)) {
            IsrSet::EMPTY
        } else if enough {
            self.before.eligible_leaders.minus(after.isr).minus(self.lost)
        } else {
            self.eligible(after.isr)
        };
    }

    /// A leader change raises the leader epoch, also one to nobody (R46, R51): a new incarnation of a former leader never
    /// leads in an epoch that it led before (R60).
    fn raises_leader_epoch(&self, after: &Partition) -> bool {
        let former = self.before.leader.or(self.before.last_known_leader);
        let returns = after.leader.is_none() || after.leader == former;
        let stays =
            (self.faults.has(Bug::SameLeaderEpoch) && returns) || self.faults.has(Bug::LeaderEpochStays);
        after.leader != self.before.leader && !stays
    }

    /// Whoever leaves the ISR is noted with the reason. One that is out already keeps the reason that it left for: the
    /// partition must not change, and its epoch not rise, for a note alone.
    fn note_missing(&self, after: &mut Partition) {
        let uncleanly = after.recovering && !self.before.recovering;
        let reason = if uncleanly { MissingReason::UncleanElection } else { self.reason };
        let isr = after.isr;
        after.missing.retain(|missing| !isr.contains(missing.replica));
        for replica in self.before.isr.minus(isr).iter() {
            after.missing.push(Missing { replica, reason, since_ms: self.at_ms });
        }
        after.missing.sort_unstable_by_key(|missing| missing.replica);
    }
}

/// The winner of an election from outside the ISR is the ISR (R51, R53).
fn elected_alone(after: &mut Partition, winner: Option<ReplicaIdx>) {
    if let Some(winner) = winner {
        after.leader = Some(winner);
        after.isr = IsrSet::only(winner);
    }
}

/// Number of replicas of a partition.
pub(super) fn replica_count(partition: &Partition) -> u8 {
    u8::try_from(partition.replicas.len()).unwrap_or(u8::MAX)
}
