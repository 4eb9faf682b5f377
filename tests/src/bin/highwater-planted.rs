//! `highwater` with a known bug in the cores of its brokers, or a mistake in their drivers, named by `HIGHWATER_PLANT`. For tests alone: it shows that a
//! check finds the bug that it is for. `none` plants nothing, for the control.

use std::process::ExitCode;

use highwater_model::fault::{Bug, Planted, Slip, Slipping};

fn main() -> ExitCode {
    let named = std::env::var("HIGHWATER_PLANT").unwrap_or_default();
    if named == "none" {
        return highwater_node::cli::main(Planted(None));
    }
    if let Some(slip) = Slip::by_id(&named) {
        return highwater_node::cli::main(Slipping(Some(slip)));
    }
    let Some(bug) = Bug::by_id(&named) else {
        let slips = Slip::ALL.iter().map(|slip| slip.id());
        let ids: Vec<&str> = Bug::ALL.iter().map(|bug| bug.id()).chain(slips).collect();
        eprintln!(
            "error: HIGHWATER_PLANT is {named:?}, not the id of a bug\nhint: none, or one of {}",
            ids.join(", ")
        );
        return ExitCode::from(2);
    };
    highwater_node::cli::main(Planted(Some(bug)))
}
