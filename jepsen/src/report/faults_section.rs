//! What was broken, how often, and what could not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use crate::store::RunFile;

use super::escaped::text;
use super::faults::{Faults, group, known};
use super::units::{Count, Moment, Took};

/// The section.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultsSection<'a> {
    /// What was run.
    pub(super) run: &'a RunFile,
    /// What was broken when.
    pub(super) faults: &'a Faults,
}

impl Display for FaultsSection<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "<section><h2>Faults</h2>")?;
        self.injected(f)?;
        self.one_by_one(f)?;
        skipped(f, &self.run.skipped)?;
        writeln!(f, "</section>")
    }
}

impl FaultsSection<'_> {
    fn injected(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.run.faults.is_empty() {
            return writeln!(f, "<p>Nothing was broken.</p>");
        }
        writeln!(
            f,
            "<div class=\"wide\"><table><thead><tr><th>kind</th><th>times</th><th>what happens</th></tr></thead><tbody>"
        )?;
        for (kind, count) in &self.run.faults {
            writeln!(
                f,
                "<tr><td><span class=\"swatch {}\"></span>{}</td><td class=\"number\">{}</td><td>{}</td></tr>",
                group(kind),
                text(kind),
                Count(*count),
                known(kind).map_or("", |kind| kind.what())
            )?;
        }
        writeln!(f, "</tbody></table></div>")
    }

    fn one_by_one(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.faults.bands.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "<details><summary>One by one</summary><div class=\"wide\"><table><thead><tr><th>from</th><th>for</th>\
             <th>kind</th><th>whom, or which links</th></tr></thead><tbody>"
        )?;
        for band in &self.faults.bands {
            let lasted_ns = band.until_ns.unwrap_or(band.from_ns).saturating_sub(band.from_ns);
            writeln!(
                f,
                "<tr><td class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
                Moment(band.from_ns),
                Took(lasted_ns),
                text(&band.kind),
                text(&band.detail)
            )?;
        }
        writeln!(f, "</tbody></table></div>")?;
        if self.faults.left_out > 0 {
            writeln!(f, "<p>and {} more</p>", Count(self.faults.left_out))?;
        }
        writeln!(f, "</details>")
    }
}

fn skipped(f: &mut Formatter<'_>, skipped: &BTreeMap<String, String>) -> fmt::Result {
    if skipped.is_empty() {
        return Ok(());
    }
    writeln!(f, "<h3>Asked for and not possible here</h3>\n<ul>")?;
    for (kind, why) in skipped {
        writeln!(f, "<li>{}: {}</li>", text(kind), text(why))?;
    }
    writeln!(f, "</ul>")
}

/// The colours of the groups of faults that there were.
#[derive(Clone, Copy, Debug)]
pub(super) struct Legend<'a>(pub(super) &'a Faults);

impl Display for Legend<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let groups: BTreeSet<&str> = self.0.bands.iter().map(|band| band.group()).collect();
        if groups.is_empty() {
            return Ok(());
        }
        write!(f, "<p class=\"legend\">faults:")?;
        for group in groups {
            write!(f, " <span class=\"item\"><span class=\"swatch {group}\"></span>{group}</span>")?;
        }
        writeln!(f, "</p>")
    }
}
