//! Known bugs of real systems, seeded in the cores so that the checker can prove it would have noticed them.
//!
//! A core is generic over [`Faults`]. Production uses [`Sound`], which has no bug and no size; the checker and the
//! test-only `highwater-planted` binary use [`Planted`]. The bugs themselves are one-line branches in the cores, at the
//! rule that they break.

mod slip;

use core::fmt::Debug;
use core::hash::Hash;

pub use slip::{Slip, Slipping};

/// Which bugs a core has been seeded with.
pub trait Faults: Copy + Eq + Ord + Hash + Debug + Default + Send + Sync + 'static {
    /// Whether this bug is planted. `false`, always, in production.
    fn has(self, bug: Bug) -> bool;

    /// Whether the drivers of the cores make this mistake. `false`, always, in production.
    #[inline(always)]
    fn slips(self, _slip: Slip) -> bool {
        false
    }

    /// The id of what is planted, if anything.
    fn planted(self) -> Option<&'static str> {
        None
    }
}

/// No bug: what production runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Sound;

impl Faults for Sound {
    #[inline(always)]
    fn has(self, _bug: Bug) -> bool {
        false
    }
}

/// At most one bug, chosen at run time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Planted(pub Option<Bug>);

impl Faults for Planted {
    #[inline]
    fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    fn planted(self) -> Option<&'static str> {
        self.0.map(Bug::id)
    }
}

/// Declares the catalogue: variant, id, and one sentence on what the bug does.
macro_rules! bugs {
    ($($variant:ident, $id:literal, $what:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Bug {
            $(#[doc = $what] $variant,)*
        }

        impl Bug {
            /// Every bug, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its id in the catalogue, with a letter where one entry has several forms.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What it does, in one sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// The bug with this id.
            #[must_use]
            pub fn by_id(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|bug| bug.id().eq_ignore_ascii_case(id))
            }
        }
    };
}

bugs! {
    TruncateToHighWatermark, "B-01", "on a new leader epoch a follower cuts its log to its own high watermark";
    SkipDivergenceTest, "B-02", "the leader does not test a fetch that is within its log for divergence";
    TruncateToLeaderEnd, "B-03", "a diverging follower cuts to the leader's end offset without looking at its own epochs";
    UnfencedFetch, "B-04", "the leader counts a fetch of another leader epoch";
    JoinAtStaleHighWatermark, "B-05", "a follower joins the ISR without having reached the leader epoch's start";
    CommittedIsrOnly, "B-06", "the high watermark ignores an expansion in flight";
    EagerShrink, "B-07", "the high watermark follows a proposed shrink before the controller accepted it";
    FencedReadmitted, "B-08", "a fenced or stopping broker may join the ISR";
    StaleBrokerEpoch, "B-09", "broker epochs are compared neither on fetch nor in AlterPartition";
    NoPartitionEpoch, "B-10", "the controller accepts an AlterPartition of another partition epoch";
    RevertOnTimeout, "B-11", "an AlterPartition whose outcome is unknown is taken as refused";
    NoEligibleLeaders, "B-12", "no eligible-leader set: the last member of the ISR is the only legal leader";
    NoWatermarkGate, "B-13", "the high watermark advances while the ISR is below min.insync.replicas";
    GateOnMaximalIsr, "B-13b", "the min.insync.replicas gate counts the maximal ISR";
    EligibleNotCleared, "B-13c", "the eligible-leader set is kept when the ISR regrows";
    UncleanStaysEligible, "B-13d", "an uncleanly restarted replica stays an eligible leader";
    LaggingMinIsr, "B-14", "the leader takes min.insync.replicas from the partition image before the current one";
    DeadCandidate, "B-15", "an election does not ask whether the candidate is alive";
    UnnoticedBounce, "B-16", "a re-registration does not take the broker out of its ISRs";
    WatermarkFromDiverging, "B-17", "a follower takes the high watermark of a diverging answer before it truncates";
    EpochSurvivesNoopTruncation, "B-18", "a truncation that cuts nothing leaves the epoch history as it was";
    EpochsFromCheckpoint, "B-20", "after a power loss the epoch history is a checkpoint that may be older than the log";
    WatermarkBelowLogStart, "B-21", "a follower that restarts at the leader's log start keeps its old high watermark";
    WatermarkNotReevaluated, "B-22", "the high watermark is not evaluated again when an ISR change commits";
    StaleControllerFences, "B-23", "a controller that is behind answers FENCED_LEADER_EPOCH";
    UncleanElection, "B-26", "any live replica may be elected";
    DuplicateAckedEarly, "B-27a", "a duplicate batch is acknowledged without waiting for the high watermark";
    ProducersNotReplicated, "B-27b", "a follower derives no producer state from replicated batches";
    NoProducerWindow, "B-27c", "the leader remembers no batch of a producer";
    ProducersNotTruncated, "B-27d", "producer state is not truncated with the log";
    SparseEpochLookup, "B-28", "an unknown leader epoch is looked up as the one before it";
    CommitOldEpoch, "B-30", "the quorum leader commits by counting records of an earlier epoch";
    ChangeBeforeCommit, "B-31", "a voter change starts before a record of the leader's epoch is committed";
    TwoChangesAtOnce, "B-32", "a voter change starts while another is uncommitted";
    VoteForgotten, "B-33", "a restart forgets the vote";
    EpochForgotten, "B-33b", "a restart forgets the epoch";
    VoterReportsUnsynced, "B-34", "a voter reports its log end instead of its flushed end";
    LeaderCountsUnsynced, "B-35", "the quorum leader counts its own unsynced records";
    DirectoryIgnored, "B-36", "votes and quorums ignore the directory id";
    CorruptTailKeepsVoting, "B-37", "a voter whose recovery cut what it had counted goes on voting";
    StaleAppendTruncates, "B-38", "an answer to an older fetch truncates the log before it is compared";
    LogOrderByLength, "B-39", "a vote is granted by log length before last epoch";
    ObserversCount, "B-40", "observers count towards the commit";
    DivergingCounts, "B-41", "a diverging fetch counts as an acknowledgement";
    SnapshotInstallNotAtomic, "B-42", "a snapshot install is believed before it is durable";
    AppliedApart, "B-43", "the applied offset is saved apart from the image";
    VotersOnCommit, "B-44", "a voter set takes effect when it commits and not when it is appended";
    NoCheckQuorum, "B-45", "a leader that hears from no majority goes on leading";
    FlushIgnoresGeneration, "B-46", "a completed sync of a log before its truncation raises the flushed end";
    IndexOverclaims, "B-47", "derived state is cut after the log and not before it";
    StaleVoteCounted, "B-48", "a vote reply is counted without comparing its epoch";
    LeaderResumes, "B-49", "a restarted leader goes on in its old epoch";
    FollowerCountsUnsynced, "B-50a", "under flush=commit a follower reports its log end as its durable end";
    LeaderCountsOwnUnsynced, "B-50b", "under flush=commit the leader counts its own unsynced tail";
    NeverKept, "B-51", "every restart is treated as unclean";
    SameLeaderEpoch, "B-52", "a new incarnation leads again in the leader epoch that it led before";
    AnyFetchConfirms, "B-53", "any fetch after a linearizable read confirms leadership";
    HalfDecision, "B-54", "the records of one decision are applied one by one";
    AckAtLeaderAppend, "P-01", "acks=all is answered when the leader has appended";
    StaleRequestProgress, "P-02", "progress of an earlier incarnation is recorded over that of a later one";
    StaleResponse, "P-03", "a follower accepts an answer to an earlier incarnation's request";
    NoWatermarkTestOnJoin, "P-04", "a follower joins the ISR below the high watermark";
    VoteTwice, "P-05", "a voter grants two candidates of one epoch";
    ReadBeyondWatermark, "P-06", "a consumer is given records beyond the high watermark";
    VoteBeforeStored, "P-07", "a vote leaves before it is durable";
    CommitTrustedAtOnce, "P-08", "flush=commit vouches for records that were counted before it was set";
    ProgressOutlivesTail, "P-09", "a leader that could not write its log's tail goes on counting who seemed to hold it";
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_bug_has_an_id_of_its_own() {
        let ids: BTreeSet<&str> = Bug::ALL.iter().map(|bug| bug.id()).collect();

        assert_eq!(ids.len(), Bug::ALL.len());
        assert_eq!(Bug::by_id("b-01"), Some(Bug::TruncateToHighWatermark));
    }

    #[test]
    fn production_has_no_bug_and_pays_nothing_for_it() {
        assert_eq!(size_of::<Sound>(), 0);
        assert!(Bug::ALL.iter().all(|bug| !Sound.has(*bug)));
    }
}
