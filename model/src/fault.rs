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

/// Declares the catalogue: variant, id, where it comes from, and one sentence on what the bug does. A letter names one of
/// several forms of an entry.
macro_rules! bugs {
    ($($variant:ident, $id:literal, $source:literal, $what:literal;)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Bug {
            $(#[doc = concat!($id, ": ", $what, " (", $source, ").")] $variant,)*
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

            /// The system, issue or paper that it comes from, or the rule that it breaks.
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$variant => $source,)* }
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
    TruncateToHighWatermark, "B-01", "KIP-101, scenario 1", "on a new leader epoch a follower cuts its log to its own high watermark";
    SkipDivergenceTest, "B-02", "KIP-101, scenario 2", "the leader does not test a fetch that is within its log for divergence";
    TruncateToLeaderEnd, "B-03", "KAFKA-6361, KIP-279", "a diverging follower cuts to the leader's end offset and goes on from there, without anybody looking at its own epochs";
    UnfencedFetch, "B-04", "KAFKA-6880, KIP-320", "the leader counts a fetch of another leader epoch";
    JoinAtStaleHighWatermark, "B-05", "KAFKA-7128", "a follower joins the ISR without having reached the leader epoch's start";
    CommittedIsrOnly, "B-06", "KIP-497", "the high watermark ignores an expansion in flight";
    EagerShrink, "B-07", "KIP-497, the mirror image", "the high watermark follows a proposed shrink before the controller accepted it";
    FencedReadmitted, "B-08", "KAFKA-13916, KIP-841", "a fenced or stopping broker may join the ISR";
    StaleBrokerEpoch, "B-09", "KAFKA-14139, KAFKA-14617, KIP-903", "broker epochs are compared neither on fetch nor in AlterPartition";
    NoPartitionEpoch, "B-10", "KAFKA-14154", "the controller accepts an AlterPartition of another partition epoch";
    RevertOnTimeout, "B-11", "KAFKA-12686", "an AlterPartition whose outcome is unknown is taken as refused";
    NoEligibleLeaders, "B-12", "KIP-966, last replica standing", "no eligible-leader set: the last member of the ISR is the only legal leader";
    NoWatermarkGate, "B-13", "KAFKA-15583", "the high watermark advances while the ISR is below min.insync.replicas";
    GateOnMaximalIsr, "B-13b", "KAFKA-15583", "the min.insync.replicas gate counts the maximal ISR";
    EligibleNotCleared, "B-13c", "KAFKA-15583, KIP-966", "the eligible-leader set is kept when the ISR regrows";
    UncleanStaysEligible, "B-13d", "KAFKA-15583, KIP-966", "an uncleanly restarted replica stays an eligible leader";
    LaggingMinIsr, "B-14", "KAFKA-16540, KAFKA-21110", "the leader takes min.insync.replicas from the partition image before the current one";
    ImageWithoutMinIsr, "B-14b", "KAFKA-16540, KAFKA-21110", "the controller judges by a min.insync.replicas that it keeps from the partition image";
    DeadCandidate, "B-15", "KAFKA-19522", "an election does not ask whether the candidate is alive";
    UnnoticedBounce, "B-16", "KIP-380", "a re-registration does not take the broker out of its ISRs";
    WatermarkFromDiverging, "B-17", "KAFKA-14704", "a follower takes the high watermark of a diverging answer before it truncates";
    EpochSurvivesNoopTruncation, "B-18", "KAFKA-10706", "a truncation that cuts nothing leaves the epoch history as it was";
    EpochsFromCheckpoint, "B-20", "KAFKA-15046, KAFKA-16541", "a start finds the epoch history in a checkpoint that is older than the log";
    WatermarkBelowLogStart, "B-21", "KAFKA-9491", "a follower that restarts at the leader's log start keeps its old high watermark";
    WatermarkNotReevaluated, "B-22", "KAFKA-13091, KAFKA-15021", "the high watermark is not evaluated again when an ISR change commits";
    StaleControllerFences, "B-23", "KAFKA-14144, KAFKA-14154", "a controller that is behind answers FENCED_LEADER_EPOCH";
    UncleanElection, "B-26", "Kafka 0.8, Jepsen 2013", "any live replica may be elected";
    DuplicateAckedEarly, "B-27a", "Redpanda 3039", "a duplicate batch is acknowledged without waiting for the high watermark";
    ProducersNotReplicated, "B-27b", "librdkafka 4953", "a follower derives no producer state from replicated batches";
    NoProducerWindow, "B-27c", "Redpanda 3039", "the leader remembers no batch of a producer";
    ProducersNotTruncated, "B-27d", "rule R35", "producer state is not truncated with the log";
    SparseEpochLookup, "B-28", "KAFKA-7415, KAFKA-7897, KAFKA-7959", "a fetch whose last epoch the leader does not know is looked up as one of the epoch before it";
    CommitOldEpoch, "B-30", "Raft figure 8", "the quorum leader commits by counting records of an earlier epoch";
    ChangeBeforeCommit, "B-31", "Ongaro, raft-dev, July 2015", "a voter change starts before a record of the leader's epoch is committed";
    TwoChangesAtOnce, "B-32", "redpanda PR 17675", "a voter change starts while another is uncommitted";
    VoteForgotten, "B-33", "Raft 5.2, KAFKA-16526", "a restart forgets the vote";
    EpochForgotten, "B-33b", "Raft 5.2, NATS PR 7038", "a restart forgets the epoch";
    VoterReportsUnsynced, "B-34", "KAFKA-10533, NATS 7564", "a voter reports its log end instead of its flushed end";
    LeaderCountsUnsynced, "B-35", "etcd 14370", "the quorum leader counts its own unsynced records";
    DirectoryIgnored, "B-36", "NATS PR 7038", "votes and quorums ignore the directory id";
    CorruptTailKeepsVoting, "B-37", "NATS PR 7587", "a voter whose recovery cut what it had counted goes on voting";
    StaleAppendTruncates, "B-38", "openraft 9540c904", "an answer to an older fetch truncates the log before it is compared";
    LogOrderByLength, "B-39", "openraft a48a3282", "a vote is granted by log length before last epoch";
    ObserversCount, "B-40", "openraft beb0302b", "observers count towards the commit";
    DivergingCounts, "B-41", "CCF, arXiv 2406.17455", "a diverging fetch counts as an acknowledgement";
    VotesOverUnion, "B-41a", "CCF, arXiv 2406.17455", "votes are counted over every voter set in the log";
    SentCounts, "B-41e", "CCF, arXiv 2406.17455", "what was sent to a replica counts as held by it";
    RetiresEarly, "B-41f", "CCF, arXiv 2406.17455", "a removed voter drops its log before its removal commits";
    SnapshotInstallNotAtomic, "B-42", "ZooKeeper 3911, 4646, 4685", "a snapshot install is believed before it is durable";
    AppliedApart, "B-43", "etcd 13766", "a snapshot says that it holds the last applied record, which it does not: what is left of two saves with a crash between";
    VotersOnCommit, "B-44", "etcd-io/raft 456", "a voter set takes effect when it commits and not when it is appended";
    NoCheckQuorum, "B-45", "KAFKA-15489", "a leader that hears from no majority goes on leading";
    PreVoteWhileFollowing, "B-45b", "KIP-996", "a pre-vote is granted by a replica that its leader answers";
    FlushIgnoresGeneration, "B-46", "Redpanda 2937, 16105", "a completed sync of a log before its truncation raises the flushed end";
    IndexOverclaims, "B-47", "Redpanda 29849, 31470", "a file beside the log still tells of what was cut from it, when the process ends in between; planted in the checker's disk";
    StaleVoteCounted, "B-48", "SandTable on Xraft", "a vote reply is counted without comparing its epoch";
    LeaderResumes, "B-49", "KIP-595", "a restarted leader goes on in its old epoch";
    FollowerCountsUnsynced, "B-50a", "the twin of B-34", "under flush=commit a follower reports its log end as its durable end";
    LeaderCountsOwnUnsynced, "B-50b", "the twin of B-35", "under flush=commit the leader counts its own unsynced tail";
    NeverKept, "B-51", "Kafka 4.0", "every restart is treated as unclean";
    SameLeaderEpoch, "B-52", "rule R60", "a new incarnation leads again in the leader epoch that it led before";
    AnyFetchConfirms, "B-53", "Raft 6.4", "any fetch after a linearizable read confirms leadership";
    HalfDecision, "B-54", "KIP-868", "the records of one decision are applied one by one";
    AckAtLeaderAppend, "P-01", "acks=1 under another name", "acks=all is answered when the leader has appended";
    StaleRequestProgress, "P-02", "KAFKA-15221", "progress of an earlier incarnation is recorded over that of a later one";
    StaleResponse, "P-03", "rule R13", "a follower accepts an answer to an earlier incarnation's request";
    NoWatermarkTestOnJoin, "P-04", "rule R42", "a follower joins the ISR below the high watermark";
    VoteTwice, "P-05", "Raft 5.2", "a voter grants two candidates of one epoch";
    ReadBeyondWatermark, "P-06", "rule R5", "a consumer is given records beyond the high watermark";
    VoteBeforeStored, "P-07", "Raft 5.2", "a vote leaves before it is durable";
    CommitTrustedAtOnce, "P-08", "rules R60, X13a", "flush=commit vouches for records that were counted before it was set";
    ProgressOutlivesTail, "P-09", "a full disk", "a leader that could not write its log's tail goes on counting who seemed to hold it";
    PastUntested, "P-13", "Highwater's own, found by walks; rules R16, Q42", "a log that ends where the leader's begins passes for a prefix of it, whatever the epoch of its last record";
    LaterEpochUnheeded, "P-10", "rule Q2", "a replica stays in its epoch though the answer to its vote request tells of a later one";
    AnyStopVouches, "P-11", "Kafka before KIP-966", "a clean-stop marker vouches for its disk whichever run it is of";
    WatermarkForgotten, "P-12", "rule Q16", "a replica of the metadata log forgets its high watermark when it moves to a later epoch";
    ProposalNotRepeated, "L-01", "rule R45", "a leader does not repeat a proposal that was lost, or whose answer was";
    FetchNotRepeated, "L-02", "rule R10", "a follower does not repeat a fetch that was lost, or whose answer was";
    LateSyncStaysOut, "L-03", "Highwater's own, found by recovery runs", "a member that was dropped for syncing late is not taken back when it has synced";
    NoLeaderChangeRecord, "L-04", "Raft 8, KIP-595", "a new quorum leader writes no record of its own epoch";
    UnfencedLeadsNothing, "L-05", "KIP-966", "a broker that is unfenced is not elected where nobody leads";
    RemovedWaits, "L-06", "PHD 4.2.2", "a replica that an uncommitted record removes from the voters no longer stands for election";
    HeardForGood, "L-07", "KAFKA-15489 by way of a voter change", "whom a leader heard before its check-quorum timer was armed again goes on counting";
    UnsyncedComesBack, "L-08", "the twin of L-03, RL9", "a member that was dropped for syncing late is taken back by what it has fetched, or by fetching that again";
    UnfencedTooLate, "L-09", "rule Q54, kin to KAFKA-13959", "a fenced broker is unfenced only by metadata beyond its own registration, which may be the last there is";
    WrittenWakesNobody, "L-10", "rule R10", "a fetch that waits is answered when the log grows, and not when what it waits for is written";
    DeposedTellsNobody, "L-11", "KAFKA-2960", "a leader that is deposed tells nobody whose produce waits for it";
    SyncsForNothing, "L-12", "TurboDB 106, kin to etcd 2486", "a sync that ended is followed by another, though nothing was written";
    ReadsOutlastChange, "L-13", "raft-rs PR 368", "a voter change after which a smaller majority is enough confirms no read that waits";
    RemovedLeadsOn, "L-14", "etcd 11038, PHD 4.2.2", "a leader that removed itself goes on leading once that is committed";
    LeaderCountsItselfOnce, "L-15", "rules Q13, Q20b", "the quorum leader counts its own log up to the first record of its epoch, and no further as it grows";
    DeposedSaysNothing, "L-16", "Camunda 42720", "a leader that a later epoch deposes does not say that what it had begun is over";
    SessionNotForgotten, "L-17", "KAFKA-19047", "the controller goes on counting a session that has ended, and keeps the broker's next process out";
    DismissedUnanswered, "L-18", "the twin of L-16", "a controller that is deposed leaves those who wait without an answer";
    ElectedOverOffice, "L-19", "rule Q57", "a controller that is elected while it is in office does not end that office";
    NewOfficeWatchesNobody, "L-20", "KAFKA-18138", "a new controller watches the sessions of those alone that it has heard from";
    AnnouncedSaysNothing, "L-21", "L-16 on one path alone", "a leader that learns from another's announcement that it leads no more does not say that what it had begun is over";
    OneLossStrikesAll, "L-22", "rule R60, kin to L-05", "when one replica has lost what it had counted, no other one stays eligible either";
    PreVoteVotes, "L-30", "KIP-996", "whoever grants a pre-vote has given its vote";
    LetGoUnknown, "L-31", "rule Q56", "a broker that hands over is let go though others have yet to hear of it";
    AnsweredAtOnce, "L-32", "rule X5", "the controller answers as soon as its decision is to be appended";
    HalfApplied, "L-33", "KIP-868, at the reader", "a controller applies of a committed batch only the first record";
    SpareIsAnyBroker, "L-34", "rule R83", "where active brokers are too few for a new partition they are taken a second time";
    PartitionEpochStays, "L-35", "rule R46", "a change of the ISR alone leaves the partition epoch as it was";
    LeaderEpochStays, "L-36", "rule R46", "another leader is elected in the leader epoch of the one before";
    NoRoomForAnybody, "L-37", "a full disk", "a write that found no room is told to all who wait, also to those whose records were written before";
    WatermarkFollowsBack, "L-38", "rule R22", "a leader's high watermark follows whoever it waits for, backwards too";
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
