//! Which bounds are swept, and which planted bugs must be caught at which bounds.

use super::bounds::Bounds;
use crate::bounds::Bounds as _;
use crate::world::Mutant;

/// The sweep of a profile, smallest first.
pub(super) fn profile(name: &str) -> Vec<Bounds> {
    let lines: &[&str] = match name {
        "quick" => &["voters=1 elections=1 power-losses=1 values=1", "voters=3 elections=1 values=1"],
        _ => &[],
    };
    lines.iter().map(|line| at(line)).collect()
}

fn at(line: &str) -> Bounds {
    Bounds::default().read(line.split(' ')).expect("the bounds of a sweep are well formed")
}

/// The planted bugs.
pub(super) fn mutants() -> Vec<Mutant<Bounds>> {
    Vec::new()
}
