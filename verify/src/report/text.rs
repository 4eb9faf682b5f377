//! A report for people: one line a search, a counterexample step by step, a table of mutants.

use std::io::{self, Write};

use super::{Conclusion, MutantRow, Run, Sweep, Walks};
use crate::catalogue::NOT_APPLICABLE;
use crate::story::Story;
use crate::world::Picture;

/// One line on a search, and the counterexample if it found one; `verbose` with what is in flight after each step.
///
/// # Errors
/// When `out` cannot be written.
pub fn run(out: &mut dyn Write, run: &Run, verbose: bool) -> io::Result<()> {
    let verdict = match run.conclusion {
        Conclusion::Holds | Conclusion::Vacuous => "holds   ",
        Conclusion::OutOfBudget => "budget  ",
        Conclusion::Failed => "FAILED  ",
        Conclusion::Violated => "VIOLATED",
    };
    if let Some(walks) = &run.walks {
        return walked(out, run, walks, verdict, verbose);
    }
    let ended = if run.exhausted { "exhausted" } else { "not exhausted" };
    let planted = run.planted.map(|id| format!(" planted {id}")).unwrap_or_default();
    writeln!(out, "{verdict} {}{planted}  {}", run.model, run.bounds_line())?;
    let in_all =
        run.peak_rss.map(|bytes| format!(" ({} MiB in all)", grouped(bytes >> 20))).unwrap_or_default();
    writeln!(
        out,
        "         {} states, depth {}, {} states/s, {} steps/s, {} B/state{in_all}, {:.2} s, {ended}",
        grouped(run.states),
        run.depth,
        grouped(run.states_per_second),
        grouped(run.steps_per_second),
        run.bytes_per_state,
        run.seconds
    )?;
    failure(out, run)?;
    match &run.violation {
        Some(found) => {
            writeln!(out)?;
            steps(out, &found.story, verbose)?;
            broken(out, &found.story)?;
            writeln!(out)
        }
        None => Ok(()),
    }
}

fn walked(out: &mut dyn Write, run: &Run, walks: &Walks, verdict: &str, verbose: bool) -> io::Result<()> {
    let planted = run.planted.map(|id| format!(" planted {id}")).unwrap_or_default();
    writeln!(out, "{verdict} {}{planted}  {}", run.model, run.bounds_line())?;
    writeln!(
        out,
        "         {} steps in {} walks of seed {}, at most {} long, {} steps/s, {:.2} s",
        grouped(run.steps_taken),
        grouped(walks.walks),
        walks.seed,
        grouped(u64::from(run.depth)),
        grouped(run.steps_per_second),
        run.seconds
    )?;
    failure(out, run)?;
    let Some(found) = &run.violation else { return Ok(()) };
    if let (Some(walk), Some(length), Some(again)) = (walks.walk, walks.length, &walks.again) {
        let shortened = found.story.steps.len();
        writeln!(out, "         walk {walk}, {length} steps long, shortened to {shortened}")?;
        writeln!(out, "         again: {again}")?;
    }
    writeln!(out)?;
    steps(out, &found.story, verbose)?;
    broken(out, &found.story)?;
    writeln!(out)
}

/// Why a run came to no end of its own, if it did not.
fn failure(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    run.failure
        .iter()
        .flat_map(|failure| failure.lines())
        .try_for_each(|line| writeln!(out, "         {line}"))
}

/// The steps of a counterexample; `verbose` with what is in flight after each.
///
/// # Errors
/// When `out` cannot be written.
pub fn steps(out: &mut dyn Write, story: &Story, verbose: bool) -> io::Result<()> {
    if verbose {
        in_flight(out, &story.start)?;
    }
    for step in story.steps.iter().chain(&story.aftermath) {
        let follows = if step.action.is_none() { "(follows) " } else { "" };
        writeln!(out, "{:>4}. {follows}{}", step.step, step.words)?;
        for change in &step.changes {
            writeln!(out, "        {change}")?;
        }
        if let Some(after) = step.after.as_ref().filter(|_| verbose) {
            in_flight(out, after)?;
        }
    }
    writeln!(out)
}

fn in_flight(out: &mut dyn Write, picture: &Picture) -> io::Result<()> {
    for message in &picture.in_flight {
        writeln!(out, "          in flight, {} -> {}: {}", message.from, message.to, message.says)?;
    }
    Ok(())
}

/// The broken claim of a counterexample, what it says, and the values that break it.
///
/// # Errors
/// When `out` cannot be written.
pub fn broken(out: &mut dyn Write, story: &Story) -> io::Result<()> {
    let claim = &story.claim;
    writeln!(out, "  broken: {} ({})", claim.name, claim.rule)?;
    writeln!(out, "          {}", claim.statement)?;
    for line in claim.values.lines() {
        writeln!(out, "        ! {line}")?;
    }
    Ok(())
}

/// The conclusion of a model's sweep, and what was never put to the test.
///
/// # Errors
/// When `out` cannot be written.
pub fn sweep(out: &mut dyn Write, sweep: &Sweep) -> io::Result<()> {
    let bounds = sweep.runs.len();
    let claims = sweep.claims.len();
    let walks = sweep.runs.iter().any(|run| run.walks.is_some());
    let visited = if walks {
        format!("{} steps", grouped(sweep.runs.iter().map(|run| run.steps_taken).sum()))
    } else {
        format!("{} states", grouped(sweep.states))
    };
    let of = format!("{}: {bounds} bounds, {visited}, {:.1} s", sweep.model, sweep.seconds);
    match sweep.conclusion {
        Conclusion::Failed => writeln!(out, "{of}: a part of it FAILED, so nothing is concluded")?,
        Conclusion::Holds if walks => writeln!(out, "{of}: walked at random, {claims} properties held")?,
        Conclusion::Vacuous if walks => {
            writeln!(out, "{of}: walked, but what must be possible never happened")?
        }
        Conclusion::OutOfBudget if walks => {
            writeln!(out, "{of}: NOT all steps walked; {claims} properties held")?
        }
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
        let how = match row.conclusion {
            Conclusion::OutOfBudget | Conclusion::Failed => "NOT KNOWN",
            Conclusion::Holds | Conclusion::Vacuous | Conclusion::Violated => "NOT caught",
        };
        writeln!(out, "  {how}: {} ({}) at {}", row.id, row.what, row.run.bounds_line())?;
        row.run.failure.iter().try_for_each(|why| writeln!(out, "    {why}"))?;
        writeln!(out, "    expected one of {}", row.expected.join(", "))?;
    }
    Ok(())
}

/// The entries of the catalogue that have no mutant, with the reasons.
///
/// # Errors
/// When `out` cannot be written.
pub fn not_applicable(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nnot applicable")?;
    for entry in NOT_APPLICABLE {
        writeln!(out, "  {}  {}: {}", entry.id, entry.what, entry.reason)?;
    }
    Ok(())
}

fn cells(row: &MutantRow) -> [String; 7] {
    let found = match (&row.run.violation, row.run.conclusion) {
        (Some(found), _) => format!("{} ({})", found.claim, found.rule),
        (None, Conclusion::OutOfBudget) => "not known: out of budget".to_owned(),
        (None, Conclusion::Failed) => "not known: the search failed".to_owned(),
        (None, Conclusion::Holds | Conclusion::Vacuous) => "none: survives, exhausted".to_owned(),
        (None, Conclusion::Violated) => "some, see below".to_owned(),
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
