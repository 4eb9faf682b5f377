//! From which bounds recovery runs are made, and which planted bugs they must catch.

use highwater_model::fault::Bug;

use super::ends::name;
use crate::recovery::Table;

/// The recovery runs of this world.
pub(super) const RECOVERIES: Table = Table {
    quick: &[
        "brokers=1 min-isr=1 kills=2 in-flight=1",
        "brokers=1 min-isr=1 kills=1 power-losses=1 failovers=1 flush=os in-flight=1 lag=0",
        "kills=1",
        "brokers=2 kills=1 fences=1 in-flight=1",
        "brokers=2 shutdowns=1",
        "brokers=2 kills=1 losses=1 repeats=1 failovers=1 in-flight=1 lag=0",
        "fresh=true losses=1 repeats=1 in-flight=1 lag=0 sample=8",
    ],
    standard: &[
        "brokers=1 min-isr=1 kills=1 power-losses=1 shutdowns=1 failovers=1 flush=os in-flight=1",
        "kills=1 failovers=1",
        "fences=1 kills=1 in-flight=1 sample=8",
        "fences=1 kills=1 shutdowns=1 failovers=1 in-flight=0 lag=0 sample=64",
    ],
    mutants: &[
        (
            Bug::NeverKept,
            "Kafka 4.0: every restart is unclean",
            // That power may be lost, too, is no excuse for a kill.
            "brokers=1 min-isr=1 kills=1 power-losses=1 flush=os",
            &[name::IS_LED],
        ),
        (
            Bug::SessionNotForgotten,
            "KAFKA-19047",
            "brokers=1 min-isr=1 kills=1",
            &[name::EVERY_BROKER_IS_ACTIVE],
        ),
        (
            Bug::DismissedUnanswered,
            "the twin of L-16",
            "brokers=1 min-isr=1 kills=1 failovers=1 in-flight=1",
            &[name::ALL_IS_ANSWERED],
        ),
        (Bug::UnfencedLeadsNothing, "KIP-966", "brokers=1 min-isr=1 kills=1", &[name::IS_LED]),
    ],
};
