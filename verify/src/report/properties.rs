//! The page of properties: what each says, where it comes from, how it is evaluated, and which planted bugs break it.
//!
//! docs/PROPERTIES.md is this page; a test holds them together.

use std::fmt::Write as _;

use highwater_model::invariant::{Monitor, When};

use crate::registry::{Claim, World, recoveries, worlds};
use crate::story::statement;

const HEAD: &str = "# Properties

What must hold, everywhere and always, or in the end. `verify properties` writes this page from the code, and a test fails when they differ.

- **evaluated**: in every *state* that a search, a walk or a replay visits; at every *step*, since what is wrong for a moment within a step
  leaves no state behind; or at the *end* of every recovery run, once faults have stopped (`--liveness`).
- **in brokers**: whether every broker evaluates it, over itself alone, while it runs (docs/OPERATIONS.md): *each time* that what it
  speaks of happens, or *sampled*.
- **put to the test by**: an event that must have been seen in a profile's sweep, else the property held of nothing and the check fails.
- **broken by**: the planted bugs (`verify list` says what each is) for which this is a property that they are expected to break first.
  `verify mutants` plants each one and fails unless one of its expected properties is found broken.

The ids are those of the protocol's rules: QI and Q for the quorum, MI for metadata, RI and R for replication, QL and RL for what must
happen in the end, X for what cuts across.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    worlds().iter().chain(&recoveries()).for_each(|world| section(&mut page, &**world));
    page
}

fn section(page: &mut String, world: &dyn World) {
    let line = format!(
        "\n## {}\n\n| property | id | what it says | evaluated | in brokers | put to the test by | broken by |\n|---|---|---|---|---|---|---|\n",
        world.name()
    );
    page.push_str(&line);
    let expected = world.expected();
    for claim in world.claims() {
        let breaks = expected.iter().filter(|(_, breaks)| breaks.contains(&claim.name));
        let mut breaks: Vec<&str> = breaks.map(|(bug, _)| bug.id()).collect();
        breaks.dedup();
        let Claim { name, rule, evaluated, exercised_by } = claim;
        let in_brokers = in_brokers(name);
        let (name, exercised_by) = (in_model(name), in_model(exercised_by));
        let row = format!(
            "| `{name}` | {rule} | {} | {evaluated} | {in_brokers} | {exercised_by} | {} |",
            statement(claim.name),
            breaks.join(", ")
        );
        writeln!(page, "{row}").expect("writing to a string never fails");
    }
}

/// When a broker evaluates the property, if it does.
fn in_brokers(property: &str) -> &'static str {
    match Monitor::of(property).map(Monitor::when) {
        Some(When::Each) => "each time",
        Some(When::Sampled) => "sampled",
        None => "",
    }
}

/// The name without its model.
fn in_model(name: &str) -> String {
    name.split_once('/').map_or(name, |(_, name)| name).replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_page_in_docs_is_that_of_this_code() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROPERTIES.md");
        let written = std::fs::read_to_string(file).expect("docs/PROPERTIES.md is in the repository");

        assert!(
            written == page(),
            "docs/PROPERTIES.md is not that of this code: write it with \
             `cargo run --release --bin verify -- properties > docs/PROPERTIES.md`"
        );
    }

    #[test]
    fn every_monitor_is_of_a_property() {
        let claims: Vec<&str> =
            worlds().iter().flat_map(|world| world.claims()).map(|claim| claim.name).collect();

        let unknown: Vec<&Monitor> =
            Monitor::ALL.iter().filter(|monitor| !claims.contains(&monitor.name())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn every_property_has_a_row() {
        let page = page();

        for world in worlds() {
            assert!(
                world.claims().iter().all(|claim| page.contains(&format!("| `{}` |", in_model(claim.name))))
            );
        }
    }
}
