//! A report for people: one line a search, a counterexample step by step, a table of mutants.

use std::io::{self, Write};

use super::{Conclusion, MutantRow, Run, Sweep, Violation};

/// One line on a search, and the counterexample if it found one.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let verdict = match run.conclusion {
        Conclusion::Holds | Conclusion::Vacuous => "holds   ",
        Conclusion::OutOfBudget => "budget  ",
        Conclusion::Violated => "VIOLATED",
    };
    let ended = if run.exhausted { "exhausted" } else { "not exhausted" };
    let planted = run.planted.map(|id| format!(" planted {id}")).unwrap_or_default();
    writeln!(out, "{verdict} {}{planted}  {}", run.model, run.bounds_line())?;
    writeln!(
        out,
        "         {} states, depth {}, {} states/s, {:.2} s, {ended}",
        grouped(run.states),
        run.depth,
        grouped(run.states_per_second),
        run.seconds
    )?;
    match &run.violation {
        Some(found) => violation(out, found),
        None => Ok(()),
    }
}

fn violation(out: &mut dyn Write, found: &Violation) -> io::Result<()> {
    writeln!(out)?;
    for (at, step) in found.steps.iter().enumerate() {
        writeln!(out, "{:>4}. {}", at + 1, step.action)?;
        for change in &step.changes {
            writeln!(out, "        {change}")?;
        }
    }
    writeln!(out, "\n  broken: {} ({})", found.claim, found.rule)?;
    for line in found.values.lines() {
        writeln!(out, "          {line}")?;
    }
    writeln!(out)
}

/// The conclusion of a model's sweep, and what was never put to the test.
///
/// # Errors
/// When `out` cannot be written.
pub fn sweep(out: &mut dyn Write, sweep: &Sweep) -> io::Result<()> {
    let bounds = sweep.runs.len();
    let of =
        format!("{}: {bounds} bounds, {} states, {:.1} s", sweep.model, grouped(sweep.states), sweep.seconds);
    let claims = sweep.claims.len();
    match sweep.conclusion {
        Conclusion::Holds => writeln!(out, "{of}: exhausted, {claims} properties hold")?,
        Conclusion::Vacuous => writeln!(out, "{of}: exhausted, but what must be possible never happened")?,
        Conclusion::OutOfBudget => {
            writeln!(out, "{of}: NOT exhausted; up to there {claims} properties hold")?;
        }
        Conclusion::Violated => writeln!(out, "{of}: a property is VIOLATED")?,
    }
    for name in &sweep.never_met {
        writeln!(out, "  never happened: {name}")?;
    }
    for kind in &sweep.never_taken {
        writeln!(out, "  action never taken: {kind}")?;
    }
    writeln!(out)
}

/// The table of mutants.
///
/// # Errors
/// When `out` cannot be written.
pub fn mutants(out: &mut dyn Write, rows: &[MutantRow]) -> io::Result<()> {
    let heads = ["id", "model", "source", "violated property", "depth", "states", "time"];
    let mut table: Vec<[String; 7]> = vec![heads.map(str::to_owned)];
    table.extend(rows.iter().map(cells));
    let width = |at: usize| table.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..heads.len()).map(|at| width(at).unwrap_or(0)).collect();
    for row in &table {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            4.. => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    let caught = rows.iter().filter(|row| row.caught).count();
    writeln!(out, "\n{caught} of {} planted bugs caught", rows.len())?;
    for row in rows.iter().filter(|row| !row.caught) {
        writeln!(out, "  NOT caught: {} ({}) at {}", row.id, row.what, row.run.bounds_line())?;
        writeln!(out, "    expected one of {}", row.expected.join(", "))?;
    }
    Ok(())
}

fn cells(row: &MutantRow) -> [String; 7] {
    let found = match (&row.run.violation, row.run.exhausted) {
        (Some(found), _) => format!("{} ({})", found.claim, found.rule),
        (None, true) => "none: survives, exhausted".to_owned(),
        (None, false) => "none: out of budget".to_owned(),
    };
    let depth = row
        .run
        .violation
        .as_ref()
        .map_or_else(|| u64::from(row.run.depth), |found| found.steps.len() as u64)
        .to_string();
    let time = format!("{:.2} s", row.run.seconds);
    let model = row.run.model.to_owned();
    [row.id.to_owned(), model, row.source.to_owned(), found, depth, grouped(row.run.states), time]
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
