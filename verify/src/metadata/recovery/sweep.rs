//! From which bounds recovery runs are made, and which planted bugs they must catch.

use highwater_model::fault::Bug;

use super::super::bounds::Bounds;
use super::recovers;
use crate::recovery::{self, Aim};
use crate::world::Mutant;

/// The sweep of a profile, smallest first.
pub(super) fn profile(name: &str) -> Vec<Aim<Bounds>> {
    let lines: &[&str] = match name {
        "quick" => QUICK,
        "standard" => STANDARD,
        _ => &[],
    };
    lines.iter().map(|line| recovery::at(line)).collect()
}

/// A planted bug, where it comes from, the bounds that show it, and what never comes to hold.
type Row = (Bug, &'static str, &'static str, &'static [&'static str]);

/// The planted bugs.
pub(super) fn mutants() -> Vec<Mutant<Aim<Bounds>>> {
    let mutant = |(bug, source, bounds, breaks): &Row| Mutant {
        bug: *bug,
        source,
        bounds: recovery::at(bounds),
        breaks,
    };
    MUTANTS.iter().map(mutant).collect()
}

/// What every change is checked against, within some ten seconds.
const QUICK: &[&str] = &[
    "brokers=1 min-isr=1 kills=2 in-flight=1",
    "brokers=1 min-isr=1 kills=1 power-losses=1 failovers=1 flush=os in-flight=1 lag=0",
    "kills=1",
    "brokers=2 kills=1 fences=1 in-flight=1",
    "brokers=2 shutdowns=1",
    "brokers=2 kills=1 losses=1 repeats=1 failovers=1 in-flight=1 lag=0",
    "fresh=true losses=1 repeats=1 in-flight=1 lag=0 sample=8",
];

/// Larger ones, sampled.
const STANDARD: &[&str] = &[
    "brokers=1 min-isr=1 kills=1 power-losses=1 shutdowns=1 failovers=1 flush=os in-flight=1",
    "kills=1 failovers=1",
    "fences=1 kills=1 in-flight=1 sample=8",
    "fences=1 kills=1 shutdowns=1 failovers=1 in-flight=0 lag=0 sample=64",
];

const MUTANTS: &[Row] = &[
    (
        Bug::NeverKept,
        "Kafka 4.0: every restart is unclean",
        "brokers=1 min-isr=1 kills=1",
        &[recovers::IS_LED],
    ),
    (Bug::UnfencedLeadsNothing, "KIP-966", "brokers=1 min-isr=1 kills=1", &[recovers::IS_LED]),
];

#[cfg(test)]
mod tests {
    use super::super::super::World;
    use crate::recovery::Recovering;
    use crate::world::misdeclared;

    #[test]
    fn claims_and_mutants_name_each_other_rightly() {
        assert_eq!(misdeclared::<Recovering<World>>(), Vec::<String>::new());
    }
}
