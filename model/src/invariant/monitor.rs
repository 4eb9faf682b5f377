//! Which predicates a node can evaluate by itself, over its own cores, while it runs.
//!
//! The predicates are those of the checker. What is evaluated when, and what becomes of a violation, is the node's.

use super::{metadata, quorum, replication};

/// When a node evaluates a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Whenever what it speaks of happens: it compares a few numbers.
    Each,
    /// After some steps, and after each that changes role, epoch or log: it looks at the whole of a core.
    Sampled,
}

/// Declares the monitors: variant, the name of the property, and when it is evaluated.
macro_rules! monitors {
    ($($variant:ident, $name:expr, $when:ident;)*) => {
        /// A property that every node holds its own cores against while it runs.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[expect(missing_docs, reason = "each is the property that it is named after")]
        pub enum Monitor {
            $($variant,)*
        }

        impl Monitor {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name of its property, for example `replication/watermark_order`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it is evaluated.
            #[must_use]
            pub const fn when(self) -> When {
                match self { $(Self::$variant => When::$when,)* }
            }
        }
    };
}

monitors! {
    OneLeaderPerEpoch, quorum::name::ONE_LEADER_PER_EPOCH, Each;
    CommittedNeverChanges, quorum::name::COMMITTED_NEVER_CHANGES, Each;
    HighWatermarkNeverMovesBack, quorum::name::HIGH_WATERMARK_NEVER_MOVES_BACK, Each;
    QuorumEpochNeverMovesBack, quorum::name::QUORUM_EPOCH_NEVER_MOVES_BACK, Each;
    OneVotePerEpoch, quorum::name::ONE_VOTE_PER_EPOCH, Each;
    VotersChangeOneAtATime, quorum::name::VOTERS_CHANGE_ONE_AT_A_TIME, Sampled;
    LogStartHasASnapshot, quorum::name::LOG_START_HAS_A_SNAPSHOT, Sampled;
    AcknowledgedIsKept, quorum::name::ACKNOWLEDGED_IS_KEPT, Each;
    PreVoteChangesNothing, quorum::name::PRE_VOTE_CHANGES_NOTHING, Each;
    SnapshotIsTheFoldOfTheLog, quorum::name::SNAPSHOT_IS_THE_FOLD_OF_THE_LOG, Each;
    LeaderWithoutAMajorityResigns, quorum::name::LEADER_WITHOUT_A_MAJORITY_RESIGNS, Each;
    PreVoteSparesAWorkingLeader, quorum::name::PRE_VOTE_SPARES_A_WORKING_LEADER, Each;
    EpochFollowsWhatIsHeard, quorum::name::EPOCH_FOLLOWS_WHAT_IS_HEARD, Each;
    MessagesAreOfTheStoredEpoch, quorum::name::MESSAGES_ARE_OF_THE_STORED_EPOCH, Each;

    NodeHasOneRegistration, metadata::NODE_HAS_ONE_REGISTRATION, Sampled;
    FencedBrokerLeadsNothing, metadata::FENCED_BROKER_LEADS_NOTHING, Sampled;
    NameHasOneTopic, metadata::NAME_HAS_ONE_TOPIC, Sampled;
    ReplicasAreDistinctBrokers, metadata::REPLICAS_ARE_DISTINCT_BROKERS, Sampled;
    DecisionIsWhole, metadata::DECISION_IS_WHOLE, Sampled;
    EpochsOnlyGrow, metadata::EPOCHS_ONLY_GROW, Each;
    MinIsrFollowsTheConfiguration, metadata::MIN_ISR_FOLLOWS_THE_CONFIGURATION, Sampled;
    ReplayGivesTheSameImage, metadata::REPLAY_GIVES_THE_SAME_IMAGE, Sampled;
    OneLeaderPerLeaderEpoch, metadata::ONE_LEADER_PER_EPOCH, Each;
    AcceptedChangeIsTheNextOne, metadata::ACCEPTED_CHANGE_IS_THE_NEXT_ONE, Each;
    PartitionSetsAreWellFormed, metadata::PARTITION_SETS_ARE_WELL_FORMED, Sampled;
    AliveMemberLeads, metadata::ALIVE_MEMBER_LEADS, Sampled;
    LeaderComesFromTheEligible, metadata::LEADER_COMES_FROM_THE_ELIGIBLE, Each;
    AnswerIsCommitted, metadata::ANSWER_IS_COMMITTED, Each;

    QuorumSuperset, replication::name::QUORUM_SUPERSET, Sampled;
    AckedWasReplicated, replication::name::ACKED_WAS_REPLICATED, Each;
    AckedIsCommitted, replication::name::ACKED_IS_COMMITTED, Each;
    WatermarkOrder, replication::name::WATERMARK_ORDER, Sampled;
    WatermarkOfALeaderNeverGoesBack, replication::name::WATERMARK_OF_A_LEADER_NEVER_GOES_BACK, Each;
    EpochHistory, replication::name::EPOCH_HISTORY, Sampled;
    AnswerIsToThisRun, replication::name::ANSWER_IS_TO_THIS_RUN, Each;
    CutLeavesNoEpochThatTheLeaderLacks, replication::name::CUT_LEAVES_NO_EPOCH_THAT_THE_LEADER_LACKS, Each;
    LeaderLeavesNothingUndone, replication::name::LEADER_LEAVES_NOTHING_UNDONE, Sampled;
    ReadersSeeWhatIsCommitted, replication::name::READERS_SEE_WHAT_IS_COMMITTED, Each;
    ReplicaBelievesWhatItsDiskHolds, replication::name::REPLICA_BELIEVES_WHAT_ITS_DISK_HOLDS, Sampled;
}

impl Monitor {
    /// Its place in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The monitor of the property of this name, if a node evaluates it.
    #[must_use]
    pub fn of(property: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|monitor| monitor.name() == property)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_has_one_monitor_at_its_place() {
        for (at, monitor) in Monitor::ALL.iter().enumerate() {
            assert_eq!((monitor.index(), Monitor::of(monitor.name())), (at, Some(*monitor)));
        }
    }
}
