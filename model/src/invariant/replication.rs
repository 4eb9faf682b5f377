//! What must hold of one partition everywhere at once (RI1-RI17), as predicates over a plain picture of it.
//!
//! Who paints the picture (the checker, an audit, a trace) is not this module's affair. A predicate that the picture
//! makes void (more unsynced tails lost than the promise allows, an unclean election) must not be asked.

mod acked_is_committed;
mod acked_not_lost;
mod acked_was_replicated;
mod answer_is_to_this_run;
mod candidate_completeness;
mod cas_linear;
mod committed_stable;
mod consistent_read;
mod cut_leaves_no_epoch_that_the_leader_lacks;
mod epoch_history;
mod leader_completeness;
mod leader_leaves_nothing_undone;
mod leader_waits_for_what_comes;
mod log_matching;
mod no_duplicate;
mod no_ghost_ack;
mod one_leader_per_epoch;
mod quorum_superset;
mod readers_see_what_is_committed;
mod replica_believes_what_its_disk_holds;
mod strong_isr;
#[cfg(test)]
mod tests;
mod unclean_exclusion;
mod watermark_of_a_leader_never_goes_back;
mod watermark_order;
mod well_formed;

use core::fmt::Debug;

use smallvec::SmallVec;

pub use acked_is_committed::acked_is_committed;
pub use acked_not_lost::acked_not_lost;
pub use acked_was_replicated::{acked_was_replicated, leader_holds_what_it_acknowledged};
pub use answer_is_to_this_run::answer_is_to_this_run;
pub use candidate_completeness::candidate_completeness;
pub use cas_linear::cas_linear;
pub use committed_stable::committed_stable;
pub use consistent_read::consistent_read;
pub use cut_leaves_no_epoch_that_the_leader_lacks::cut_leaves_no_epoch_that_the_leader_lacks;
pub use epoch_history::{epoch_history, epochs_are_those_of_the_records};
pub use leader_completeness::leader_completeness;
pub use leader_leaves_nothing_undone::leader_leaves_nothing_undone;
pub use leader_waits_for_what_comes::leader_waits_for_what_comes;
pub use log_matching::log_matching;
pub use no_duplicate::no_duplicate;
pub use no_ghost_ack::no_ghost_ack;
pub use one_leader_per_epoch::one_leader_per_epoch;
pub use quorum_superset::{leader_waits_for_its_isr, quorum_superset};
pub use readers_see_what_is_committed::readers_see_what_is_committed;
pub use replica_believes_what_its_disk_holds::{OnDisk, replica_believes_what_its_disk_holds};
pub use strong_isr::strong_isr;
pub use unclean_exclusion::unclean_exclusion;
pub use watermark_of_a_leader_never_goes_back::{Reign, watermark_of_a_leader_never_goes_back};
pub use watermark_order::{watermark_lies_within_the_log, watermark_order};
pub use well_formed::well_formed;

use super::Violation;
use crate::fault::Faults;
use crate::id::{LeaderEpoch, Offset, PartitionEpoch, ProducerEpoch, ProducerId, Sequence};
use crate::log::LogShape;
use crate::replication::{FlushPolicy, IsrChangeStage, IsrSet, Replica, ReplicaIdx};

/// Names of the properties that are over a step or over one replica alone, for reports. Those over a state are named by
/// [`properties`].
pub mod name {
    /// RI4
    pub const QUORUM_SUPERSET: &str = "replication/quorum_superset";
    /// RI8
    pub const ACKED_WAS_REPLICATED: &str = "replication/acked_was_replicated";
    /// RI8
    pub const ACKED_IS_COMMITTED: &str = "replication/acked_is_committed";
    /// RI14
    pub const WATERMARK_ORDER: &str = "replication/watermark_order";
    /// RI14, R22
    pub const WATERMARK_OF_A_LEADER_NEVER_GOES_BACK: &str =
        "replication/watermark_of_a_leader_never_goes_back";
    /// RI15
    pub const EPOCH_HISTORY: &str = "replication/epoch_history";
    /// R13
    pub const ANSWER_IS_TO_THIS_RUN: &str = "replication/answer_is_to_this_run";
    /// RL8
    pub const CUT_LEAVES_NO_EPOCH_THAT_THE_LEADER_LACKS: &str =
        "replication/cut_leaves_no_epoch_that_the_leader_lacks";
    /// RL5
    pub const LEADER_LEAVES_NOTHING_UNDONE: &str = "replication/leader_leaves_nothing_undone";
    /// R5
    pub const READERS_SEE_WHAT_IS_COMMITTED: &str = "replication/readers_see_what_is_committed";
    /// X13
    pub const REPLICA_BELIEVES_WHAT_ITS_DISK_HOLDS: &str = "replication/replica_believes_what_its_disk_holds";
}

/// A stored record, with as much of its content as tells it from others.
pub trait StoredRecord: Copy + Eq + Debug {
    /// Epoch of the leader that appended it.
    fn leader_epoch(&self) -> LeaderEpoch;
    /// Which client record it is: its content, or a number that stands for it. A retry has the same value.
    fn value(&self) -> u64;
    /// Its place in its producer's sequence, if it has one.
    fn sequence(&self) -> Option<(ProducerId, ProducerEpoch, Sequence)> {
        None
    }
}

/// What a replica that believes to lead bases itself on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leadership {
    /// The leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The committed ISR as it knows it.
    pub isr: IsrSet,
    /// The maximal ISR (R44).
    pub maximal_isr: IsrSet,
    /// Effective `min.insync.replicas` as it knows it.
    pub min_isr: u8,
    /// Whether a proposal is in flight or unsettled.
    pub changing: bool,
    /// The partition epoch as it knows it.
    pub partition_epoch: PartitionEpoch,
    /// Whether it makes no proposal before it hears of newer metadata (R45).
    pub waits_for_metadata: bool,
}

/// One replica: what is on its disk, and what its process believes.
#[derive(Clone, Debug)]
pub struct ReplicaSight<'a, R> {
    /// Whether its broker's process runs. If not, `log` is what was there when it ended.
    pub running: bool,
    /// Its log; its end counts what has been submitted.
    pub log: &'a LogShape<LeaderEpoch>,
    /// The records from the log's start up to its end, whatever has been submitted.
    pub records: &'a [R],
    /// Its high watermark, exclusive; of a process that runs.
    pub high_watermark: Offset,
    /// What it leads on, if it believes to lead.
    pub leads: Option<Leadership>,
    /// Whether it has lost records that it counted since it was last in the ISR, and has not joined again (RI13).
    pub unclean: bool,
}

/// The controller's record of the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionSight {
    /// The leader.
    pub leader: Option<ReplicaIdx>,
    /// Its leader epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch.
    pub partition_epoch: PartitionEpoch,
    /// The ISR.
    pub isr: IsrSet,
    /// The eligible leaders outside of it (KIP-966).
    pub eligible_leaders: IsrSet,
    /// Effective `min.insync.replicas`.
    pub min_isr: u8,
    /// The flush policy.
    pub flush: FlushPolicy,
    /// Replicas whose brokers are registered, unfenced and not shutting down.
    pub active: IsrSet,
}

/// What is remembered for the predicates alone.
#[derive(Clone, Copy, Debug)]
pub struct Ghosts<'a, R> {
    /// `committed[o]`: the record at `o` when it first lay below a leader's high watermark, from offset 0. Its length is
    /// the highest watermark that any leader ever had.
    pub committed: &'a [R],
    /// Offset and value of every record with a positive `acks=all` answer.
    pub acked: &'a [(Offset, u64)],
    /// Offset and record of every read that a consumer made below a visible high watermark.
    pub consumed: &'a [(Offset, R)],
    /// Values of produces that were refused before anything was appended.
    pub refused: &'a [u64],
    /// Everyone who ever led, with the leader epoch.
    pub led: &'a [(LeaderEpoch, ReplicaIdx)],
    /// The highest watermark that the leader of an epoch has had, by epoch.
    pub watermarks: &'a [(LeaderEpoch, Offset)],
    /// Epochs of the partition's record after each accepted change, oldest first.
    pub changes: &'a [(PartitionEpoch, LeaderEpoch)],
}

impl<R> Default for Ghosts<'_, R> {
    fn default() -> Self {
        Self {
            committed: &[],
            acked: &[],
            consumed: &[],
            refused: &[],
            led: &[],
            watermarks: &[],
            changes: &[],
        }
    }
}

/// One partition everywhere, at one moment.
#[derive(Clone, Debug)]
pub struct View<'a, R> {
    /// By [`ReplicaIdx`].
    pub replicas: SmallVec<[ReplicaSight<'a, R>; 3]>,
    /// As the controller has it.
    pub partition: PartitionSight,
    /// Memory.
    pub ghosts: Ghosts<'a, R>,
}

/// A named predicate.
#[derive(Clone, Copy, Debug)]
pub struct Property<R> {
    /// Its name, for example `replication/committed_stable`.
    pub name: &'static str,
    /// Its id in the protocol's rules.
    pub rule: &'static str,
    /// The predicate.
    pub holds: fn(&View<'_, R>) -> Result<(), Violation>,
}

/// Every predicate over a state. [`acked_was_replicated`] is over a step and stands apart.
#[must_use]
pub fn properties<R: StoredRecord>() -> [Property<R>; 17] {
    let property = |name, rule, holds| Property { name, rule, holds };
    [
        property(committed_stable::NAME, "RI1", committed_stable),
        property(leader_completeness::NAME, "RI2", leader_completeness),
        property(candidate_completeness::NAME, "RI3", candidate_completeness),
        property(name::QUORUM_SUPERSET, "RI4", quorum_superset),
        property(strong_isr::NAME, "RI5", strong_isr),
        property(log_matching::NAME, "RI6", log_matching),
        property(acked_not_lost::NAME, "RI7", acked_not_lost),
        property(consistent_read::NAME, "RI9", consistent_read),
        property(one_leader_per_epoch::NAME, "RI10", one_leader_per_epoch),
        property(cas_linear::NAME, "RI11", cas_linear),
        property(well_formed::NAME, "RI12", well_formed),
        property(unclean_exclusion::NAME, "RI13", unclean_exclusion),
        property(name::WATERMARK_ORDER, "RI14", watermark_order),
        property(name::EPOCH_HISTORY, "RI15", epoch_history),
        property(no_duplicate::NAME, "RI16", no_duplicate),
        property(no_ghost_ack::NAME, "RI17", no_ghost_ack),
        property(leader_waits_for_what_comes::NAME, "RL3", leader_waits_for_what_comes),
    ]
}

impl Leadership {
    /// What this core leads on, if it believes to lead.
    #[must_use]
    pub fn of<F: Faults>(core: &Replica<F>) -> Option<Self> {
        let maximal_isr = core.maximal_isr()?;
        let view = core.view();
        Some(Self {
            leader_epoch: view.leader_epoch,
            isr: view.isr,
            maximal_isr,
            min_isr: view.min_isr,
            changing: core.is_changing_isr(),
            partition_epoch: view.partition_epoch,
            waits_for_metadata: core.isr_change_stage() == Some(IsrChangeStage::Behind),
        })
    }
}

impl<R: StoredRecord> ReplicaSight<'_, R> {
    /// The record at this offset, if it is in the log.
    #[must_use]
    pub fn record(&self, offset: Offset) -> Option<R> {
        let at = offset.0.checked_sub(self.log.start().0)?;
        self.records.get(usize::try_from(at).ok()?).copied()
    }
}

impl<'a, R: StoredRecord> View<'a, R> {
    /// The replicas with their indices.
    pub(crate) fn each(&self) -> impl Iterator<Item = (ReplicaIdx, &ReplicaSight<'a, R>)> {
        (0..).map(ReplicaIdx).zip(&self.replicas)
    }

    pub(crate) fn replica(&self, replica: ReplicaIdx) -> Option<&ReplicaSight<'a, R>> {
        self.replicas.get(usize::from(replica.0))
    }

    /// Who believes to lead, and on what.
    pub(crate) fn leaders(&self) -> impl Iterator<Item = (ReplicaIdx, &ReplicaSight<'a, R>, Leadership)> {
        let running = self.each().filter(|(_, sight)| sight.running);
        running.filter_map(|(replica, sight)| Some((replica, sight, sight.leads?)))
    }

    /// The leader that the controller means too, in the controller's leader epoch.
    pub(crate) fn nonstale_leader(&self) -> Option<(ReplicaIdx, &ReplicaSight<'a, R>, Leadership)> {
        self.leaders().find(|(_, _, leads)| leads.leader_epoch == self.partition.leader_epoch)
    }

    /// The highest watermark that any leader ever had.
    pub(crate) fn true_watermark(&self) -> Offset {
        Offset(self.ghosts.committed.len() as u64)
    }

    /// The committed records with their offsets.
    pub(crate) fn committed(&self) -> impl Iterator<Item = (Offset, R)> {
        (0..).map(Offset).zip(self.ghosts.committed.iter().copied())
    }

    /// The first committed record below `end` and not below the log's start that this replica does not hold as it was
    /// committed.
    pub(crate) fn lacking(&self, sight: &ReplicaSight<'a, R>, end: Offset) -> Option<(Offset, R)> {
        let wanted = self.committed().filter(|(offset, _)| *offset < end && *offset >= sight.log.start());
        wanted.into_iter().find(|(offset, record)| sight.record(*offset) != Some(*record))
    }
}
