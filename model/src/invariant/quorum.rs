//! What always holds of a metadata quorum (QI1–QI13): one predicate per file, over a plain view of all replicas.
//!
//! The view, and with it what was promised in the past, is the checker's; nothing here looks into a core.

mod acknowledged_is_kept;
mod applied_prefixes_agree;
mod committed_never_changes;
mod duty;
mod epoch_follows_what_is_heard;
mod heard;
mod high_watermark_never_moves_back;
mod leader_is_complete;
mod leader_without_a_majority_resigns;
mod log_start_has_a_snapshot;
mod logs_match;
mod messages_are_of_the_stored_epoch;
mod one_leader_per_epoch;
mod one_vote_per_epoch;
mod pre_vote_changes_nothing;
mod pre_vote_spares_a_working_leader;
mod quorum_epoch_never_moves_back;
mod quorum_holds_what_is_committed;
mod reads_are_linearizable;
mod refusal_shows_no_breach;
mod snapshot_is_the_fold_of_the_log;
mod voters_change_one_at_a_time;
mod who_waits_is_remembered;

pub use acknowledged_is_kept::{acknowledged_is_committed, acknowledged_is_kept};
pub use applied_prefixes_agree::applied_prefixes_agree;
pub use committed_never_changes::committed_never_changes;
pub use duty::{Duty, grants_pre_vote};
pub use epoch_follows_what_is_heard::epoch_follows_what_is_heard;
pub use heard::{Heard, SignOfLife, begins_interval};
pub use high_watermark_never_moves_back::high_watermark_never_moves_back;
pub use leader_is_complete::leader_is_complete;
pub use leader_without_a_majority_resigns::leader_without_a_majority_resigns;
pub use log_start_has_a_snapshot::{log_start_has_a_snapshot, log_start_is_that_of_a_snapshot};
pub use logs_match::logs_match;
pub use messages_are_of_the_stored_epoch::messages_are_of_the_stored_epoch;
pub use one_leader_per_epoch::one_leader_per_epoch;
pub use one_vote_per_epoch::{one_vote_per_epoch, vote_is_told_as_stored, vote_told};
pub use pre_vote_changes_nothing::pre_vote_changes_nothing;
pub use pre_vote_spares_a_working_leader::pre_vote_spares_a_working_leader;
pub use quorum_epoch_never_moves_back::quorum_epoch_never_moves_back;
pub use quorum_holds_what_is_committed::quorum_holds_what_is_committed;
pub use reads_are_linearizable::reads_are_linearizable;
pub use refusal_shows_no_breach::refusal_shows_no_breach;
pub use snapshot_is_the_fold_of_the_log::snapshot_is_the_fold_of_the_log;
pub use voters_change_one_at_a_time::{leaders_voters_change_one_at_a_time, voters_change_one_at_a_time};
pub use who_waits_is_remembered::who_waits_is_remembered;

use super::Violation;
use crate::id::{Offset, QuorumEpoch};
use crate::quorum::{SnapshotId, Vote, VoterHistory, VoterKey, VoterSet};

/// Names of the properties, for reports.
pub mod name {
    /// QI1
    pub const ONE_LEADER_PER_EPOCH: &str = "quorum/one_leader_per_epoch";
    /// QI2
    pub const LOGS_MATCH: &str = "quorum/logs_match";
    /// QI3
    pub const COMMITTED_NEVER_CHANGES: &str = "quorum/committed_never_changes";
    /// QI4
    pub const LEADER_IS_COMPLETE: &str = "quorum/leader_is_complete";
    /// QI5
    pub const QUORUM_HOLDS_WHAT_IS_COMMITTED: &str = "quorum/quorum_holds_what_is_committed";
    /// QI6
    pub const HIGH_WATERMARK_NEVER_MOVES_BACK: &str = "quorum/high_watermark_never_moves_back";
    /// QI7
    pub const QUORUM_EPOCH_NEVER_MOVES_BACK: &str = "quorum/quorum_epoch_never_moves_back";
    /// QI8
    pub const ONE_VOTE_PER_EPOCH: &str = "quorum/one_vote_per_epoch";
    /// QI9
    pub const VOTERS_CHANGE_ONE_AT_A_TIME: &str = "quorum/voters_change_one_at_a_time";
    /// QI10
    pub const LOG_START_HAS_A_SNAPSHOT: &str = "quorum/log_start_has_a_snapshot";
    /// QI11
    pub const ACKNOWLEDGED_IS_KEPT: &str = "quorum/acknowledged_is_kept";
    /// QI12
    pub const PRE_VOTE_CHANGES_NOTHING: &str = "quorum/pre_vote_changes_nothing";
    /// QI13
    pub const APPLIED_PREFIXES_AGREE: &str = "quorum/applied_prefixes_agree";
    /// QI13, of snapshots
    pub const SNAPSHOT_IS_THE_FOLD_OF_THE_LOG: &str = "quorum/snapshot_is_the_fold_of_the_log";
    /// QL1, as a step
    pub const LEADER_WITHOUT_A_MAJORITY_RESIGNS: &str = "quorum/leader_without_a_majority_resigns";
    /// QL5, as a step
    pub const PRE_VOTE_SPARES_A_WORKING_LEADER: &str = "quorum/pre_vote_spares_a_working_leader";
    /// Q2
    pub const EPOCH_FOLLOWS_WHAT_IS_HEARD: &str = "quorum/epoch_follows_what_is_heard";
    /// Q2
    pub const MESSAGES_ARE_OF_THE_STORED_EPOCH: &str = "quorum/messages_are_of_the_stored_epoch";
    /// QL2, as a step
    pub const WHO_WAITS_IS_REMEMBERED: &str = "quorum/who_waits_is_remembered";
    /// Q18
    pub const READS_ARE_LINEARIZABLE: &str = "quorum/reads_are_linearizable";
}

/// One record: the epoch that it was written in, and a number that stands for its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The epoch of the leader that wrote it.
    pub quorum_epoch: QuorumEpoch,
    /// Its content; equal numbers are equal contents.
    pub content: u64,
}

/// One replica, up or down.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaView<'a> {
    /// Who it is.
    pub key: VoterKey,
    /// Its epoch and vote as its core has them.
    pub vote: Vote,
    /// Whether it leads.
    pub is_leader: bool,
    /// Its high watermark, exclusive, if known.
    pub high_watermark: Option<Offset>,
    /// Offset of the first record that it has.
    pub log_start: Offset,
    /// Its records from `log_start` on, as on disk.
    pub entries: &'a [Entry],
    /// End of what of them survives a power loss, exclusive.
    pub flushed: Offset,
    /// The oldest snapshot that it keeps.
    pub oldest_snapshot: Option<SnapshotId>,
    /// The voter sets in its log.
    pub voters: &'a VoterHistory,
}

impl ReplicaView<'_> {
    /// Its record at `offset`, if it has it.
    #[must_use]
    pub fn entry(&self, offset: Offset) -> Option<Entry> {
        let at = offset.0.checked_sub(self.log_start.0)?;
        usize::try_from(at).ok().and_then(|at| self.entries.get(at)).copied()
    }

    /// The end of its log, exclusive.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.log_start.after(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

    /// Whether it has this record, in its log or in its snapshot.
    #[must_use]
    pub fn holds(&self, offset: Offset, entry: Entry) -> bool {
        offset < self.log_start || self.entry(offset) == Some(entry)
    }

    /// Whether it has this record so that a power loss leaves it.
    #[must_use]
    pub fn holds_durably(&self, offset: Offset, entry: Entry) -> bool {
        offset < self.flushed && self.holds(offset, entry)
    }
}

/// A quorum at one moment, and what was promised up to then.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Every replica.
    pub replicas: &'a [ReplicaView<'a>],
    /// Every record that a leader's high watermark ever covered, from offset 0 on.
    pub committed: &'a [Entry],
    /// Offsets of the records that were acknowledged to a client.
    pub acknowledged: &'a [Offset],
    /// The last committed voter set, and the uncommitted one after it if a change is open (Q35).
    pub voters: &'a [VoterSet],
    /// Every leader that ever was.
    pub elected: &'a [(QuorumEpoch, VoterKey)],
    /// Votes that were given: voter, epoch, candidate. Per voter the last one suffices, since epochs only grow.
    pub granted: &'a [(VoterKey, QuorumEpoch, VoterKey)],
}

impl<'a> View<'a> {
    /// The leader of the newest epoch that anybody led, if it still leads it: the others may be deposed and not know it.
    #[must_use]
    pub fn newest_leader(&self) -> Option<&'a ReplicaView<'a>> {
        let newest = self.elected.iter().map(|(epoch, _)| *epoch).max();
        let leaders = self.replicas.iter().filter(|replica| replica.is_leader);
        leaders
            .max_by_key(|replica| replica.vote.quorum_epoch)
            .filter(|replica| Some(replica.vote.quorum_epoch) >= newest)
    }

    /// The committed records with their offsets.
    fn committed(&self) -> impl Iterator<Item = (Offset, Entry)> + '_ {
        (0..).map(Offset).zip(self.committed.iter().copied())
    }
}

/// A broken property, with its values.
fn violation(property: &'static str, details: alloc::string::String) -> Violation {
    Violation { property, details }
}

#[cfg(test)]
mod sample {
    //! A sound quorum for the tests of the predicates to break.

    use super::*;
    use crate::id::{DirectoryId, NodeId};

    pub(super) fn key(id: u32) -> VoterKey {
        VoterKey { id: NodeId(id), directory: DirectoryId(u128::from(id)) }
    }

    pub(super) fn set(ids: &[u32]) -> VoterSet {
        VoterSet::new(ids.iter().map(|id| key(*id))).expect("a legal set")
    }

    pub(super) fn entry(epoch: u32, content: u64) -> Entry {
        Entry { quorum_epoch: QuorumEpoch(epoch), content }
    }

    /// A follower in `epoch` with these records, all flushed, that knows nothing committed.
    pub(super) fn replica<'a>(
        id: u32,
        epoch: u32,
        entries: &'a [Entry],
        voters: &'a VoterHistory,
    ) -> ReplicaView<'a> {
        ReplicaView {
            key: key(id),
            vote: Vote { quorum_epoch: QuorumEpoch(epoch), voted_for: None },
            is_leader: false,
            high_watermark: None,
            log_start: Offset::ZERO,
            entries,
            flushed: Offset::ZERO.after(u64::try_from(entries.len()).expect("a short log")),
            oldest_snapshot: None,
            voters,
        }
    }

    pub(super) fn view<'a>(replicas: &'a [ReplicaView<'a>], committed: &'a [Entry]) -> View<'a> {
        View { replicas, committed, acknowledged: &[], voters: &[], elected: &[], granted: &[] }
    }
}
