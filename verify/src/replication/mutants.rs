//! Which planted bugs must be caught, at which bounds, and by what.

use highwater_model::fault::Bug;

use super::bounds::Bounds;
use super::claims::name;
use crate::bounds::at;
use crate::world::Mutant;

const WELL_FORMED: &str = "replication/well_formed";
const QUORUM_SUPERSET: &str = "replication/quorum_superset";
const CANDIDATE: &str = "replication/candidate_completeness";
const LEADER: &str = "replication/leader_completeness";
const STRONG_ISR: &str = "replication/strong_isr";
const LOG_MATCHING: &str = "replication/log_matching";
const NO_DUPLICATE: &str = "replication/no_duplicate";
const UNCLEAN: &str = "replication/unclean_exclusion";

/// The planted bugs: source, the smallest known bounds that show it, and what it breaks.
pub(super) fn mutants() -> Vec<Mutant<Bounds>> {
    let mutant = |bug, source, bounds: &str, breaks| Mutant { bug, source, bounds: at(bounds), breaks };
    let mut mutants = of_cuts(&mutant);
    mutants.extend(of_logs(&mutant));
    mutants.extend(of_epochs(&mutant));
    mutants.extend(of_disks(&mutant));
    mutants.extend(of_answers(&mutant));
    mutants.extend(of_membership(&mutant));
    mutants.extend(of_elections(&mutant));
    mutants.extend(of_losses(&mutant));
    mutants.extend(of_promises(&mutant));
    mutants
}

type Make<'a> = &'a dyn Fn(Bug, &'static str, &str, &'static [&'static str]) -> Mutant<Bounds>;

/// Bugs of where a follower cuts, in KIP-101's two scenarios.
fn of_cuts(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::TruncateToHighWatermark,
            "KIP-101, scenario 1",
            "brokers=2 elections=1 kills=1 flush=os in-flight=1",
            &[CANDIDATE],
        ),
        mutant(
            Bug::SkipDivergenceTest,
            "KIP-101, scenario 2",
            "brokers=2 records=2 elections=1 min-isr=1 flush=os in-flight=1",
            &[CANDIDATE],
        ),
        mutant(
            Bug::SkipDivergenceTest,
            "KIP-101, scenario 2",
            "brokers=2 records=2 elections=1 min-isr=1 flush=os in-flight=1 \
             aside=leader_completeness+candidate_completeness",
            &[STRONG_ISR],
        ),
        mutant(
            Bug::SkipDivergenceTest,
            "KIP-101, scenario 2",
            "brokers=2 records=2 elections=2 min-isr=1 flush=os in-flight=1 \
             aside=leader_completeness+candidate_completeness+strong_isr+quorum_superset+acked_was_replicated+\
             watermark_covers_what_is_committed+acked_is_committed+committed_stable",
            &[LOG_MATCHING],
        ),
    ]
}

/// Bugs of logs and epochs.
fn of_logs(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::TruncateToLeaderEnd,
            "KAFKA-6361, KIP-279",
            // Each cut that is wrong leaves an epoch that the leader lacks, and says so at once (RL8): RI6 breaks only later.
            "brokers=2 records=3 elections=2 acks=one flush=os in-flight=1 writes=at-once \
             aside=cut_leaves_no_epoch_that_the_leader_lacks",
            &[LOG_MATCHING],
        ),
        mutant(
            Bug::TruncateToLeaderEnd,
            "KAFKA-6361, KIP-279",
            // A log that differs breaks what is said of leaders and candidates, and shows as its watermark is told, before it is looked
            // at by itself.
            "brokers=2 records=3 elections=2 acks=one flush=os in-flight=1 writes=at-once \
             aside=cut_leaves_no_epoch_that_the_leader_lacks+log_matching+candidate_completeness+strong_isr+\
             watermark_covers_what_is_committed",
            &["replication/committed_stable"],
        ),
        mutant(
            Bug::UnfencedFetch,
            "KAFKA-6880, KIP-320",
            "brokers=3 isr=2 elections=2 flush=os in-flight=1 writes=at-once",
            &[CANDIDATE],
        ),
        mutant(
            Bug::SparseEpochLookup,
            "KAFKA-7415, KAFKA-7897, KAFKA-7959",
            "brokers=2 records=2 elections=2 acks=one flush=os in-flight=1 writes=at-once",
            &[CANDIDATE],
        ),
        mutant(
            Bug::WatermarkFromDiverging,
            "KAFKA-14704",
            "brokers=2 records=2 elections=1 min-isr=1 flush=os in-flight=1",
            &[name::WATERMARK_IS_OF_COMMITTED],
        ),
        mutant(
            Bug::DivergingCounts,
            "CCF, NSDI 2025",
            "brokers=2 records=2 elections=1 min-isr=1 flush=os in-flight=1",
            &[CANDIDATE],
        ),
        mutant(
            Bug::ProgressOutlivesTail,
            "Highwater's own, a full disk",
            "brokers=3 records=2 elections=1 full-disks=1 flush=os in-flight=1",
            &[name::ACKED_WAS_REPLICATED],
        ),
    ]
}

/// Bugs of the epochs that a log keeps, and of those that the controller counts.
fn of_epochs(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::EpochSurvivesNoopTruncation,
            "KAFKA-10706",
            "brokers=2 elections=2 min-isr=1 flush=os in-flight=1",
            &[name::CUT_SETTLES],
        ),
        mutant(
            Bug::SameLeaderEpoch,
            "rule R60",
            // That a leader follows itself, or nobody, in one leader epoch shows as it happens (RI11), before two records share
            // an offset and an epoch.
            "brokers=2 records=2 power-losses=1 isr=1 min-isr=1 in-flight=1 aside=partition_epoch_counts_every_change",
            &[LOG_MATCHING],
        ),
        mutant(
            Bug::PartitionEpochStays,
            "rule R46",
            "brokers=2 shrinks=1 min-isr=1 flush=os in-flight=1",
            &[name::CAS_LINEAR],
        ),
        mutant(
            Bug::LeaderEpochStays,
            "rule R46",
            // That the epoch stays shows as it happens (RI11), before the one who led has heard of it.
            "brokers=2 elections=1 min-isr=1 flush=os in-flight=1 aside=partition_epoch_counts_every_change",
            &["replication/one_leader_per_epoch"],
        ),
    ]
}

/// Bugs of what is on disk, and of what a start finds there.
fn of_disks(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::EpochsFromCheckpoint,
            "KAFKA-15046, KAFKA-16541",
            "brokers=2 power-losses=1 in-flight=1 writes=at-once",
            &["replication/epoch_history"],
        ),
        mutant(
            Bug::WatermarkBelowLogStart,
            "KAFKA-9491",
            "brokers=2 isr=1 min-isr=1 deletes=1 in-flight=1 writes=at-once",
            &["replication/watermark_order"],
        ),
        mutant(
            Bug::IndexOverclaims,
            "Redpanda #29849, #31470",
            "brokers=2 records=2 elections=1 kills=2 min-isr=1 acks=one in-flight=1 writes=at-once",
            &[name::DISK_IS_BELIEVED],
        ),
        mutant(
            Bug::FlushIgnoresGeneration,
            "Redpanda #2937",
            "brokers=2 records=2 elections=1 acks=one in-flight=1",
            &[name::DISK_IS_BELIEVED],
        ),
    ]
}

/// Bugs of what the controller tells, and of whom an answer is for.
fn of_answers(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::LaggingMinIsr,
            "KAFKA-16540, KAFKA-21110",
            "brokers=2 isr=1 min-isr=1 configs=1 flush=os in-flight=1 writes=at-once",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(
            Bug::StaleControllerFences,
            "KAFKA-14144, KAFKA-14154",
            "brokers=2 elections=1 deposed=1 flush=os in-flight=1 writes=at-once",
            &["replication/leader_waits_for_what_comes"],
        ),
        mutant(
            Bug::PastUntested,
            "Highwater's own, found by walks",
            "brokers=2 records=2 elections=1 deletes=1 min-isr=1 in-flight=1 writes=at-once",
            &[CANDIDATE],
        ),
        mutant(
            Bug::StaleResponse,
            "rule R13",
            "brokers=2 power-losses=1 flush=os writes=at-once",
            &[name::ANSWER_IS_TO_THIS_RUN],
        ),
    ]
}

/// Bugs of the ISR and of who may join it.
fn of_membership(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::JoinAtStaleHighWatermark,
            "KAFKA-7128",
            // To be caught up is to have reached that start, but for a member of before whose next run fetches before its leader
            // hears of the registration.
            "brokers=3 elections=1 power-losses=1 flush=os in-flight=1 writes=at-once",
            &[CANDIDATE],
        ),
        mutant(Bug::CommittedIsrOnly, "KIP-497", "brokers=3 isr=2 flush=os in-flight=1", &[QUORUM_SUPERSET]),
        mutant(Bug::EagerShrink, "KIP-497", "brokers=2 shrinks=1 flush=os in-flight=1", &[QUORUM_SUPERSET]),
        mutant(
            Bug::FencedReadmitted,
            "KAFKA-13916, KIP-841",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[WELL_FORMED],
        ),
        mutant(
            Bug::StaleBrokerEpoch,
            "KAFKA-14139, KIP-903",
            "brokers=3 isr=2 power-losses=1 flush=os",
            &[CANDIDATE],
        ),
        mutant(
            Bug::NoPartitionEpoch,
            "KAFKA-14154",
            "brokers=3 shrinks=1 elections=1 flush=os in-flight=1",
            &[QUORUM_SUPERSET],
        ),
        mutant(
            Bug::RevertOnTimeout,
            "KAFKA-12686",
            "brokers=3 isr=2 timeouts=1 flush=os in-flight=1",
            &[QUORUM_SUPERSET],
        ),
    ]
}

/// Bugs of eligible leaders and elections.
fn of_elections(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::NoEligibleLeaders,
            "KIP-966",
            // Without eligible leaders the last member stays in the ISR though it is fenced (R54), and though it has lost its
            // tail: RI12 and RI13 are of a controller that has them, and break before a committed record is gone.
            "brokers=2 elections=1 power-losses=1 flush=os in-flight=1 aside=well_formed+unclean_exclusion",
            &[CANDIDATE],
        ),
        mutant(
            Bug::NoWatermarkGate,
            "KAFKA-15583",
            "brokers=2 elections=1 flush=os in-flight=1",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(
            Bug::NoWatermarkGate,
            "KAFKA-15583",
            "brokers=2 elections=1 flush=os in-flight=1 aside=acked_was_replicated",
            &[CANDIDATE],
        ),
        mutant(
            Bug::GateOnMaximalIsr,
            "KAFKA-15583",
            "brokers=3 isr=2 elections=2 flush=os in-flight=1",
            // The gate opens with the proposal, when the watermark was looked at already: that shows as soon as a loss.
            &[CANDIDATE],
        ),
        mutant(
            Bug::EligibleNotCleared,
            "KIP-966",
            // Who may be elected beside an ISR that is large enough shows as it happens (RI12), and then as somebody whom no
            // leader waits for (RI4), before that one lacks a record.
            "brokers=3 elections=2 flush=os in-flight=1 writes=at-once known-views-wait=false \
             aside=well_formed+quorum_superset",
            &[CANDIDATE],
        ),
        mutant(
            Bug::UncleanStaysEligible,
            "KIP-966",
            "brokers=2 elections=1 power-losses=1 flush=os in-flight=1",
            &[UNCLEAN],
        ),
        mutant(
            Bug::DeadCandidate,
            "KAFKA-19522",
            "brokers=2 kills=1 elections=1 flush=os in-flight=1",
            &[WELL_FORMED],
        ),
        mutant(
            Bug::UnnoticedBounce,
            "KIP-380",
            // A new registration is fenced, and still in the ISR: that shows first, and also of one that lost nothing.
            "brokers=2 power-losses=1 flush=os in-flight=1 aside=well_formed",
            &[UNCLEAN],
        ),
        mutant(
            Bug::AnyStopVouches,
            "Kafka before KIP-966",
            "brokers=2 elections=1 shutdowns=1 restores=1 flush=os in-flight=1 writes=at-once",
            &[UNCLEAN],
        ),
        mutant(
            Bug::WatermarkNotReevaluated,
            "KAFKA-13091",
            "brokers=2 shrinks=1 min-isr=1 flush=os in-flight=1",
            &[name::NOTHING_UNDONE],
        ),
    ]
}

/// Elections from outside of the ISR, and who joins it too soon.
fn of_losses(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::UncleanElection,
            "Kafka 0.8, Jepsen 2013",
            "brokers=2 shrinks=1 kills=1 min-isr=1 flush=os in-flight=1",
            &[LEADER],
        ),
        // What a leader from outside of the ISR comes to for those who were told that their record is held, and who read it.
        mutant(
            Bug::UncleanElection,
            "Kafka 0.8, Jepsen 2013",
            "brokers=2 shrinks=1 kills=1 min-isr=1 flush=os in-flight=1 \
             aside=leader_completeness+candidate_completeness",
            &["replication/acked_not_lost"],
        ),
        mutant(
            Bug::UncleanElection,
            "Kafka 0.8, Jepsen 2013",
            "brokers=2 shrinks=1 kills=1 min-isr=1 flush=os in-flight=1 \
             aside=leader_completeness+candidate_completeness+acked_not_lost",
            &["replication/consistent_read"],
        ),
        mutant(Bug::StaleRequestProgress, "KAFKA-15221", "brokers=3 power-losses=1 flush=os", &[CANDIDATE]),
        mutant(
            Bug::NoWatermarkTestOnJoin,
            "rule R42",
            "brokers=3 isr=2 elections=1 flush=os in-flight=1",
            &[CANDIDATE],
        ),
    ]
}

/// Bugs of what clients and operators are told.
fn of_promises(mutant: Make<'_>) -> Vec<Mutant<Bounds>> {
    vec![
        mutant(
            Bug::DuplicateAckedEarly,
            "Redpanda #3039",
            "brokers=2 retries=1 flush=os in-flight=1",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(
            Bug::DuplicateAckedEarly,
            "Redpanda #3039",
            "brokers=2 retries=1 flush=os in-flight=1 aside=acked_was_replicated",
            &[name::ACKED_IS_COMMITTED],
        ),
        mutant(
            Bug::ProducersNotReplicated,
            "librdkafka #4953",
            "brokers=2 retries=1 elections=1 min-isr=1 flush=os in-flight=1",
            &[NO_DUPLICATE],
        ),
        mutant(
            Bug::NoProducerWindow,
            "Redpanda #3039",
            "brokers=2 retries=1 flush=os in-flight=1",
            &[NO_DUPLICATE],
        ),
        mutant(
            Bug::ProducersNotTruncated,
            "rule R35",
            "brokers=2 records=2 elections=2 retries=1 min-isr=1 flush=os in-flight=1 writes=at-once",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(
            Bug::FollowerCountsUnsynced,
            "data-log twin of B-34",
            "brokers=2 power-losses=1 in-flight=1",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(
            Bug::LeaderCountsOwnUnsynced,
            "data-log twin of B-35",
            "brokers=2 power-losses=1 in-flight=1",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(Bug::NeverKept, "rule R60", "brokers=1 kills=1", &[name::LED_AGAIN]),
        mutant(
            Bug::NoRoomForAnybody,
            "a full disk",
            "brokers=2 records=2 full-disks=1 min-isr=1 flush=os in-flight=1",
            &["replication/no_ghost_ack"],
        ),
        mutant(
            Bug::WatermarkFollowsBack,
            "rule R22",
            "brokers=2 elections=1 min-isr=1 flush=os in-flight=1",
            &[name::WATERMARK_MONOTONIC],
        ),
        mutant(
            Bug::OneLossStrikesAll,
            "rule R60",
            "brokers=2 kills=1 power-losses=1 flush=os in-flight=1 writes=at-once",
            &[name::LED_AGAIN],
        ),
        mutant(
            Bug::AckAtLeaderAppend,
            "acks=1 under another name",
            "brokers=2 flush=os",
            &[name::ACKED_WAS_REPLICATED],
        ),
        mutant(Bug::ReadBeyondWatermark, "rule R5", "brokers=2 flush=os", &[name::READ_IS_COMMITTED]),
    ]
}
