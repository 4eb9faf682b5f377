//! The page: everything in the order in which one asks for it.

use std::fmt::{self, Display, Formatter};

use jepsen_judge::verdict::Validity;

use crate::store::{ResultsFile, RunFile};

use super::crop::{Crop, Focus};
use super::escaped::{Escaped, command, text};
use super::evidence::{EvidenceSection, root, within};
use super::faults_section::{FaultsSection, Legend};
use super::lanes::Lanes;
use super::latency_chart::{LatencyChart, LatencyTable};
use super::rate_chart::RateChart;
use super::records::Records;
use super::records_table::RecordsSection;
use super::survey::Survey;
use super::timeline_chart::TimelineChart;
use super::units::{Count, Moment, Took};
use super::verdict::{VerdictSection, reasons};

/// What the page looks like.
const STYLE: &str = include_str!("page.css");

/// The most failures that are shown.
const FAILURES_MAX: usize = 50;

/// Everything that is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// What was run.
    pub(super) run: &'a RunFile,
    /// What was found.
    pub(super) results: &'a ResultsFile,
    /// What happened when.
    pub(super) survey: &'a Survey,
    /// The records in question.
    pub(super) records: &'a Records,
    /// Which part is looked at closely.
    pub(super) crop: &'a Crop,
    /// What happened in it.
    pub(super) lanes: &'a Lanes,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let validity = self.results.validity;
        writeln!(
            f,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}: {} run of seed {}</title>\n<style>\n{STYLE}</style></head><body><main>",
            validity.to_string().to_uppercase(),
            text(&self.run.workload),
            self.run.seed
        )?;
        self.header(f)?;
        write!(f, "{}", VerdictSection { results: self.results, survey: self.survey })?;
        self.timeline(f)?;
        write!(f, "{}", RecordsSection(self.records))?;
        self.plots(f)?;
        write!(f, "{}", FaultsSection { run: self.run, faults: &self.survey.faults })?;
        write!(f, "{}", EvidenceSection(&self.run.evidence))?;
        writeln!(f, "</main></body></html>")
    }
}

impl Page<'_> {
    fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (run, validity) = (self.run, self.results.validity);
        writeln!(
            f,
            "<header><p class=\"kicker\">jepsen report</p>\n<h1>Seed {} <span class=\"badge {validity}\">{}</span></h1>",
            run.seed,
            validity.to_string().to_uppercase()
        )?;
        match validity {
            Validity::Valid => writeln!(f, "<p>Everything that clients were told is as promised.</p>")?,
            Validity::Unknown | Validity::Invalid => {
                writeln!(f, "<ul class=\"reasons\">")?;
                reasons(self.results).iter().try_for_each(|why| writeln!(f, "<li>{}</li>", text(why)))?;
                writeln!(f, "</ul>")?;
            }
        }
        self.failures(f)?;
        self.facts(f)?;
        writeln!(f, "</header>")
    }

    fn failures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let root = root(&self.run.evidence);
        for failure in self.results.failures.iter().take(FAILURES_MAX) {
            writeln!(f, "<p class=\"failure\">{}</p>", text(&within(root, failure)))?;
        }
        match self.results.failures.len().saturating_sub(FAILURES_MAX) {
            0 => Ok(()),
            more => writeln!(f, "<p>and {more} more</p>"),
        }
    }

    fn facts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (run, available) = (self.run, self.results.availability);
        let (ok, failed, unknown) = self.survey.outcomes();
        let recovered = match available.recovered_after_ns {
            Some(ns) => format!("{} after everything was mended", Took(ns)),
            None => "never after everything was mended, or nothing was".to_owned(),
        };
        let gap = match available.longest_gap_ns {
            0 => "none".to_owned(),
            ns => format!("{}, from {} on", Took(ns), Moment(available.longest_gap_from_ns)),
        };
        writeln!(
            f,
            "<dl>\n<dt>Run again</dt><dd><code>{}</code></dd>\n<dt>Workload</dt><dd>{} on {}</dd>\n\
             <dt>History</dt><dd>{}: operations {} ok, {} failed, {} unknown</dd>\n\
             <dt>Longest without success</dt><dd>{}</dd>\n<dt>Recovered</dt><dd>{}</dd>\n\
             <dt>Faults</dt><dd>{}</dd>\n</dl>",
            command(&run.rerun),
            text(&run.workload),
            text(&run.on),
            Took(self.survey.ended_ns),
            Count(ok),
            Count(failed),
            Count(unknown),
            Escaped(gap),
            Escaped(recovered),
            Escaped(self.broken())
        )
    }

    fn broken(&self) -> String {
        let RunFile { faults, skipped, .. } = self.run;
        let injected = format!("{}, of {} kinds", Count(faults.values().sum()), faults.len());
        match skipped.len() {
            0 => injected,
            kinds => format!("{injected}; {kinds} kinds more were asked for and are not possible here"),
        }
    }

    fn timeline(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (crop, lanes) = (self.crop, self.lanes);
        let why = match &crop.focus {
            Focus::Anomaly(name, case) => {
                format!("Around the first anomaly, {name}: {}.", case.words)
            }
            Focus::Gap => "Around the longest time without a success.".to_owned(),
            Focus::Fault(kind) => format!("Around the first fault, {kind}."),
            Focus::Beginning => "The beginning of the run.".to_owned(),
        };
        writeln!(
            f,
            "<section><h2>Timeline</h2>\n<p>{} Each bar is an operation of a process; those that only read are pale.</p>\n\
             <p class=\"legend\"><span class=\"key ok\">ok</span><span class=\"key failed\">failed</span>\
             <span class=\"key unknown\">unknown</span>{}</p>",
            text(&why),
            match &crop.focus {
                Focus::Anomaly(..) => "<span class=\"key cited\">shows an anomaly</span>",
                Focus::Gap | Focus::Fault(_) | Focus::Beginning => "",
            }
        )?;
        let chart = TimelineChart { faults: &self.survey.faults, crop, lanes };
        writeln!(f, "<div class=\"plot\">{chart}</div>")?;
        if lanes.left_out > 0 {
            writeln!(f, "<p>{} operations more are not drawn.</p>", Count(lanes.left_out as u64))?;
        }
        writeln!(f, "</section>")
    }

    fn plots(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = Took(self.survey.buckets.width_ns());
        let legend = Legend(&self.survey.faults);
        writeln!(
            f,
            "<section><h2>Rate</h2>\n<p>Operations by when they ended, in stretches of {width}.</p>\n{legend}<div class=\"plot\">{}</div></section>",
            RateChart(self.survey)
        )?;
        writeln!(
            f,
            "<section><h2>Latency</h2>\n<p>How long operations took, by when they began, in stretches of {width}; scales are logarithmic.</p>\n\
             <p class=\"legend\"><span class=\"key median\">median</span><span class=\"key slow\">p99</span>\
             <span class=\"key longest\">longest</span><span class=\"key failed\">failed ✕</span>\
             <span class=\"key unknown\">unknown ◇</span></p>\n{legend}<div class=\"plot\">{}</div>{}</section>",
            LatencyChart(self.survey),
            LatencyTable(self.survey)
        )
    }
}
