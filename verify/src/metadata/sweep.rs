//! Which bounds are swept, and which planted bugs must be caught at which bounds.

use highwater_model::fault::Bug;
use highwater_model::invariant::metadata as invariant;

use super::bounds::Bounds;
use super::claims::name;
use crate::bounds::at;
use crate::registry::WALK;
use crate::world::Mutant;

/// The sweep of a profile, smallest first. Each takes in the one before it, and so all that it puts to the test.
pub(super) fn profile(name: &str) -> Vec<Bounds> {
    let parts: &[&[&str]] = match name {
        "small" => &[SMALL],
        "quick" => &[QUICK],
        "standard" => &[QUICK, STANDARD],
        "deep" => &[QUICK, STANDARD, DEEP],
        WALK => &[WALKS],
        _ => &[],
    };
    parts.iter().copied().flatten().map(|line| at(line)).collect()
}

/// Where messages are under way, one or two perturbations at a time; all of them in every order where each exchange is
/// one step.
const QUICK: &[&str] = &[
    "brokers=1 min-isr=1 kills=2 in-flight=1 heal=true",
    "brokers=1 min-isr=1 kills=1 power-losses=1 shutdowns=1 failovers=1 flush=os in-flight=1 heal=true",
    "brokers=1 min-isr=1 kills=1 re-elections=1 in-flight=1",
    "kills=1 heal=true",
    "brokers=2 kills=1 in-flight=1 keep-dead=true",
    "brokers=1 min-isr=1 kills=1 fences=1 keep-dead=true",
    "brokers=2 kills=1 fences=1 in-flight=1",
    "brokers=2 power-losses=1 proposals=2 flush=os in-flight=1",
    "brokers=2 shutdowns=1",
    "kills=1 failovers=1",
    "proposals=2 fences=1 in-flight=1",
    "changes=3 failovers=1 in-flight=1 lag=0",
    "fences=1 kills=1 in-flight=1",
    "kills=1 shutdowns=1 in-flight=1 lag=0",
    "brokers=2 kills=1 losses=1 repeats=1 failovers=1 in-flight=1 lag=0",
    "fresh=true losses=1 repeats=1 in-flight=1 lag=0",
    "fences=2 power-losses=1 flush=os in-flight=0 lag=0 uncommitted=0",
    "fences=1 kills=1 shutdowns=1 failovers=1 in-flight=0 lag=0",
    "brokers=2 changes=2 kills=1 power-losses=1 flush=os in-flight=0",
];

/// What a mechanical mutation is judged by (`verify/mutation`): a few seconds on one thread.
const SMALL: &[&str] = &[
    "brokers=1 min-isr=1 kills=2 in-flight=1 heal=true",
    "brokers=1 min-isr=1 kills=1 power-losses=1 failovers=1 flush=os in-flight=1 heal=true",
    "brokers=1 min-isr=1 kills=1 shutdowns=1 flush=os in-flight=1 heal=true",
    "brokers=1 min-isr=1 kills=1 re-elections=1 in-flight=1",
    "kills=1 heal=true",
    "brokers=2 kills=1 fences=1 in-flight=1",
    "brokers=2 power-losses=1 proposals=2 flush=os in-flight=1",
    "brokers=2 shutdowns=1",
    "kills=1 failovers=1",
    "proposals=2 fences=1 in-flight=1",
    "changes=3 failovers=1 in-flight=1 lag=0",
    "fences=1 kills=1 in-flight=1",
    "kills=1 shutdowns=1 in-flight=1 lag=0",
    "brokers=2 kills=1 losses=1 repeats=1 failovers=1 in-flight=1 lag=0",
    "fresh=true losses=1 in-flight=1 lag=0",
    "fences=2 power-losses=1 flush=os in-flight=0 lag=0 uncommitted=0",
    "brokers=2 changes=2 kills=1 power-losses=1 flush=os in-flight=0",
];

/// What only random walks get through: every kind of perturbation comes several times, and nothing is in step.
const WALKS: &[&str] = &[
    "brokers=3 fences=3 kills=3 power-losses=3 shutdowns=2 failovers=4 proposals=8 changes=6 losses=4 repeats=4 \
     beats=8 in-flight=3 uncommitted=4 lag=4 keep-dead=true",
    "brokers=5 fences=6 kills=6 power-losses=4 shutdowns=4 failovers=8 proposals=20 changes=12 losses=8 repeats=8 \
     beats=20 in-flight=4 uncommitted=6 lag=6 min-isr=3 keep-dead=true",
    "brokers=5 fences=6 kills=6 power-losses=4 shutdowns=4 failovers=8 proposals=20 changes=8 losses=8 repeats=8 \
     beats=20 in-flight=4 uncommitted=6 lag=6 flush=os keep-dead=true",
    "brokers=4 fences=4 kills=4 shutdowns=2 failovers=6 proposals=8 changes=8 losses=6 repeats=6 beats=12 \
     in-flight=4 uncommitted=4 lag=4 fresh=true keep-dead=true",
    "brokers=3 fences=3 kills=2 failovers=2 re-elections=1 proposals=6 changes=3 in-flight=3 lag=3 keep-dead=true",
];

/// As the quick sweep, with the controller failing over inside every decision: between any two of its steps, with any part of
/// what it had appended lost.
const STANDARD: &[&str] = &[
    "brokers=2 min-isr=1 changes=2 kills=1 fences=1 power-losses=1 flush=os in-flight=1 lag=0",
    "kills=1 failovers=2 in-flight=1",
    "changes=3 failovers=2 in-flight=1",
    "kills=1 failovers=1",
    "brokers=2 power-losses=1 proposals=2 failovers=1 flush=os in-flight=1",
    "proposals=2 fences=1 failovers=1 in-flight=1",
    "brokers=2 changes=2 kills=1 power-losses=1 failovers=1 flush=os in-flight=0 lag=0",
    "fences=1 kills=1 failovers=1 in-flight=1",
    "fences=1 kills=1 shutdowns=1 failovers=1 in-flight=0 lag=0",
    "kills=1 shutdowns=1 failovers=1 in-flight=1 lag=0",
];

/// What takes hours.
const DEEP: &[&str] = &[
    "fences=1 kills=1 failovers=1",
    "fences=1 kills=1 shutdowns=1 failovers=1 in-flight=1 lag=0",
    "kills=1 power-losses=1 proposals=2 failovers=1 flush=os in-flight=1",
];

/// A planted bug, where it comes from, the bounds that show it, and what it breaks.
type Row = (Bug, &'static str, &'static str, &'static [&'static str]);

const MUTANTS: &[Row] = &[
    (
        Bug::FencedReadmitted,
        "KAFKA-13916, KIP-841",
        "proposals=2 fences=1",
        &[invariant::FENCED_BROKER_LEADS_NOTHING],
    ),
    (
        Bug::StaleBrokerEpoch,
        "KAFKA-14139, KAFKA-14617, KIP-903",
        "proposals=2 power-losses=1 flush=os in-flight=1 lag=0 uncommitted=0",
        &[invariant::LOST_REPLICA_IS_EXCLUDED],
    ),
    (Bug::NoPartitionEpoch, "KAFKA-14154", "proposals=2", &[invariant::ACCEPTED_CHANGE_IS_THE_NEXT_ONE]),
    (
        Bug::NoEligibleLeaders,
        "KIP-966, last replica standing",
        "brokers=1 min-isr=1 kills=1",
        &[invariant::FENCED_BROKER_LEADS_NOTHING],
    ),
    (
        Bug::EligibleNotCleared,
        "KAFKA-15583",
        "proposals=3 in-flight=1",
        &[invariant::PARTITION_SETS_ARE_WELL_FORMED],
    ),
    (
        Bug::UncleanStaysEligible,
        "KAFKA-15583, KIP-966",
        "brokers=1 min-isr=1 power-losses=1 flush=os",
        &[invariant::LOST_REPLICA_IS_EXCLUDED],
    ),
    (
        Bug::ImageWithoutMinIsr,
        "KAFKA-16540, KAFKA-21110",
        "brokers=2 changes=1",
        &[invariant::MIN_ISR_FOLLOWS_THE_CONFIGURATION],
    ),
    (
        Bug::DeadCandidate,
        "KAFKA-19522",
        "brokers=1 min-isr=1 kills=1",
        &[invariant::FENCED_BROKER_LEADS_NOTHING],
    ),
    (Bug::UnnoticedBounce, "KIP-380", "brokers=2 kills=1 failovers=1", &[invariant::ONE_LEADER_PER_EPOCH]),
    (
        Bug::UncleanElection,
        "Jepsen: Kafka 0.8 (2013)",
        "brokers=2 min-isr=1 proposals=1 kills=1",
        &[invariant::LEADER_COMES_FROM_THE_ELIGIBLE],
    ),
    (
        Bug::NeverKept,
        "Kafka 4.0: every restart is unclean",
        "brokers=1 min-isr=1 kills=1",
        &[invariant::KEPT_REPLICA_STAYS_ELIGIBLE],
    ),
    (
        Bug::CommitTrustedAtOnce,
        "R60, X13a",
        "brokers=1 min-isr=1 changes=1 power-losses=1 flush=os",
        &[invariant::LOST_REPLICA_IS_EXCLUDED],
    ),
    (Bug::SameLeaderEpoch, "R60", "brokers=1 min-isr=1 kills=1", &[invariant::EPOCHS_ONLY_GROW]),
    (Bug::UnfencedLeadsNothing, "KIP-966", "brokers=1 min-isr=1 kills=1", &[invariant::ALIVE_MEMBER_LEADS]),
    (Bug::SessionNotForgotten, "KAFKA-19047", "brokers=1 min-isr=1 kills=1 heal=true", &[name::HEALS]),
    (
        Bug::DismissedUnanswered,
        "the twin of L-16",
        "brokers=1 min-isr=1 kills=1 failovers=1 in-flight=1",
        &[name::OFFICE_IS_ENDED],
    ),
    (
        Bug::ElectedOverOffice,
        "rule Q57",
        "brokers=1 min-isr=1 kills=1 re-elections=1 in-flight=1",
        &[name::OFFICE_IS_ENDED],
    ),
    (Bug::NewOfficeWatchesNobody, "KAFKA-18138", "brokers=1 min-isr=1 failovers=1", &[name::IS_WATCHED]),
    (Bug::LetGoUnknown, "rule Q56", "brokers=2 shutdowns=1 beats=1", &[name::STOP_IS_KNOWN]),
    (Bug::AnsweredAtOnce, "rule X5", "brokers=1 min-isr=1 kills=1", &[name::ANSWER_IS_COMMITTED]),
    (
        Bug::HalfApplied,
        "KIP-868, at the reader",
        "brokers=1 min-isr=1 kills=1",
        &[invariant::EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG],
    ),
    (
        Bug::SpareIsAnyBroker,
        "rule R83",
        "brokers=2 kills=1 changes=1",
        &[invariant::REPLICAS_ARE_DISTINCT_BROKERS],
    ),
    (Bug::PartitionEpochStays, "rule R46", "brokers=2 proposals=1", &[invariant::EPOCHS_ONLY_GROW]),
    (Bug::LeaderEpochStays, "rule R46", "brokers=2 min-isr=1 kills=1", &[invariant::EPOCHS_ONLY_GROW]),
    (
        Bug::HalfDecision,
        "KIP-868",
        "brokers=2 changes=1 uncommitted=8",
        &[invariant::MIN_ISR_FOLLOWS_THE_CONFIGURATION],
    ),
    (
        Bug::HalfDecision,
        "KIP-868",
        "brokers=1 min-isr=1 kills=1 changes=1 uncommitted=8",
        &[invariant::DECISION_IS_WHOLE],
    ),
];

/// The planted bugs.
pub(super) fn mutants() -> Vec<Mutant<Bounds>> {
    let mutant =
        |(bug, source, bounds, breaks): &Row| Mutant { bug: *bug, source, bounds: at(bounds), breaks };
    MUTANTS.iter().map(mutant).collect()
}

#[cfg(test)]
mod tests {
    use super::super::World;
    use crate::world::misdeclared;

    #[test]
    fn claims_and_mutants_name_each_other_rightly() {
        assert_eq!(misdeclared::<World>(), Vec::<String>::new());
    }
}
