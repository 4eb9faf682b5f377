//! Where counterexamples are kept: places are tried before a search begins, and written when something was found.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::report::{MutantRow, Sweep, html};
use crate::story::Story;
use crate::story::file::Place;

/// Where a check keeps what it finds.
#[derive(Debug, Args)]
pub(super) struct Keep {
    /// Writes the counterexample, if there is one, to this file: JSON, for `verify replay`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Writes the counterexample, if there is one, as one page of HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Places that take a counterexample.
#[derive(Debug)]
pub(super) struct Places {
    out: Option<Place>,
    html: Option<Place>,
}

fn place(path: &Path) -> anyhow::Result<Place> {
    Place::at(path).with_context(|| format!("{} cannot be written", path.display()))
}

impl Keep {
    /// Tries the places.
    pub(super) fn places(&self) -> anyhow::Result<Places> {
        let tried = |path: &Option<PathBuf>| path.as_deref().map(place).transpose();
        Ok(Places { out: tried(&self.out)?, html: tried(&self.html)? })
    }
}

impl Places {
    /// Where a page alone is kept, if it is.
    pub(super) fn page(path: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self { out: None, html: path.map(place).transpose()? })
    }

    /// Writes the first counterexample of `sweeps`, and says so.
    pub(super) fn keep_first(&self, sweeps: &[Sweep]) -> anyhow::Result<()> {
        if self.out.is_none() && self.html.is_none() {
            return Ok(());
        }
        let runs = sweeps.iter().flat_map(|sweep| &sweep.runs);
        let mut found = runs.filter_map(|run| run.violation.as_ref());
        let Some(first) = found.next() else {
            writeln!(io::stderr(), "no counterexample, so none was written")?;
            return Ok(());
        };
        self.keep(&first.story)?;
        if found.next().is_some() {
            writeln!(io::stderr(), "more than one was found; the first one was written")?;
        }
        Ok(())
    }

    /// Writes a counterexample.
    pub(super) fn keep(&self, story: &Story) -> anyhow::Result<()> {
        if let Some(place) = &self.out {
            let mut json = serde_json::to_vec_pretty(story)?;
            json.push(b'\n');
            write(place, &json)?;
            writeln!(io::stderr(), "counterexample: verify replay {}", place.path().display())?;
        }
        if let Some(place) = &self.html {
            write(place, html::page(story).as_bytes())?;
            writeln!(io::stderr(), "page: {}", place.path().display())?;
        }
        Ok(())
    }
}

fn write(place: &Place, bytes: &[u8]) -> anyhow::Result<()> {
    place.write(bytes).with_context(|| format!("{} cannot be written", place.path().display()))
}

/// Tries whether a folder takes files, before anything is searched for them.
pub(super) fn folder(path: &Path) -> anyhow::Result<()> {
    place(&path.join("counterexample.json")).map(drop)
}

/// Writes what was found of each mutant into a folder: `MODEL-ID.json` and `MODEL-ID.html`; of a bug that is shown at several
/// bounds the next ones as `MODEL-ID-2` and so on.
pub(super) fn keep_all(folder: &Path, rows: &[MutantRow]) -> anyhow::Result<()> {
    let names = names(rows.iter().map(|row| (row.run.model, row.id)));
    for (row, name) in rows.iter().zip(names) {
        let Some(found) = &row.run.violation else { continue };
        let at = |kind: &str| place(&folder.join(format!("{name}.{kind}")));
        Places { out: Some(at("json")?), html: Some(at("html")?) }.keep(&found.story)?;
    }
    Ok(())
}

/// A name for each row, of its model and its bug.
fn names<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut count: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let name = |(model, id)| {
        let count = count.entry((model, id)).or_default();
        *count += 1;
        if *count == 1 { format!("{model}-{id}") } else { format!("{model}-{id}-{count}") }
    };
    rows.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_counterexample_is_written_over_another() {
        let rows = [("quorum", "P-07"), ("quorum", "P-07"), ("replication", "P-07"), ("quorum", "P-07")];

        assert_eq!(
            names(rows.into_iter()),
            ["quorum-P-07", "quorum-P-07-2", "replication-P-07", "quorum-P-07-3"]
        );
    }
}
