//! What was concluded, by whom, and for which reasons.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use jepsen_judge::log::Anomaly;
use jepsen_judge::verdict::{Case, Cases, Validity, Verdict};

use crate::evidence::{self, Conclusion};
use crate::store::ResultsFile;

use super::escaped::text;
use super::survey::Survey;
use super::units::{Count, Moment};

/// Cases that are shown at once; the others unfold.
const CASES_SHOWN: usize = 3;

/// The section.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerdictSection<'a> {
    /// What was found.
    pub(super) results: &'a ResultsFile,
    /// When the cited events were.
    pub(super) survey: &'a Survey,
}

impl Display for VerdictSection<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "<section><h2>Verdict of each checker</h2>")?;
        for (name, verdict) in &self.results.checkers {
            let validity = verdict.validity;
            writeln!(
                f,
                "<article><h3>{} <span class=\"badge {validity}\">{validity}</span></h3>",
                text(name)
            )?;
            verdict
                .unknown_because
                .iter()
                .try_for_each(|why| writeln!(f, "<p>Unknown: {}</p>", text(why)))?;
            self.anomalies(f, (name, &verdict.anomalies), "")?;
            self.anomalies(f, (name, &verdict.allowed), " <span class=\"badge\">allowed here</span>")?;
            counts(f, &verdict.counts)?;
            writeln!(f, "</article>")?;
        }
        writeln!(f, "</section>")
    }
}

impl VerdictSection<'_> {
    fn anomalies(
        &self,
        f: &mut Formatter<'_>,
        (checker, anomalies): (&str, &BTreeMap<String, Cases>),
        badge: &str,
    ) -> fmt::Result {
        let of = if checker == "registers" { "register" } else { "log" };
        for (name, cases) in anomalies {
            let (shown, folded) = cases.examples.split_at(CASES_SHOWN.min(cases.examples.len()));
            let what = Anomaly::by_name(name).map_or("", Anomaly::what);
            writeln!(
                f,
                "<h4><code>{}</code> × {}{badge}</h4>\n<p class=\"what\">{what}</p>\n<ul>",
                text(name),
                Count(cases.count)
            )?;
            shown.iter().try_for_each(|case| self.case(f, of, case))?;
            writeln!(f, "</ul>")?;
            if !folded.is_empty() {
                writeln!(
                    f,
                    "<details><summary>{} more of {}</summary><ul>",
                    folded.len(),
                    Count(cases.count)
                )?;
                folded.iter().try_for_each(|case| self.case(f, of, case))?;
                writeln!(f, "</ul></details>")?;
            }
        }
        Ok(())
    }

    fn case(&self, f: &mut Formatter<'_>, of: &str, case: &Case) -> fmt::Result {
        write!(f, "<li>{of} {}: {} <span class=\"events\">", case.key, text(&case.words))?;
        for (at, index) in case.events.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}event {index}")?;
            if let Some(ns) = self.survey.cited.get(index) {
                write!(f, " at {}", Moment(*ns))?;
            }
        }
        writeln!(f, "</span></li>")
    }
}

/// What a checker looked at.
fn counts(f: &mut Formatter<'_>, counts: &BTreeMap<String, u64>) -> fmt::Result {
    write!(f, "<p class=\"counts\">looked at:")?;
    for (at, (what, count)) in counts.iter().enumerate() {
        let before = if at == 0 { "" } else { "," };
        write!(f, "{before} {}&nbsp;{}", Count(*count), text(what))?;
    }
    writeln!(f, "</p>")
}

/// Why a run is not valid, each reason in a line; none if it is.
pub(super) fn reasons(results: &ResultsFile) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, verdict) in &results.checkers {
        reasons.extend(reason(name, verdict));
    }
    for (name, conclusion) in &results.evidence {
        match conclusion {
            Conclusion::Violation => reasons.push(format!("verify {name} found a violation")),
            Conclusion::Unknown => reasons.push(format!("verify {name} could not tell")),
            Conclusion::Partial if name != evidence::TRACE => {
                reasons.push(format!("verify {name} could not tell everything"));
            }
            Conclusion::Partial | Conclusion::Clean => {}
        }
    }
    if results.availability.succeeded == 0 {
        reasons.push("nothing succeeded, so that nothing was tried".to_owned());
    }
    reasons.extend(results.unknown_because.iter().cloned());
    if !results.failures.is_empty() {
        reasons.push(format!("the run did not go as it must: {}", results.failures.len()));
    }
    reasons
}

fn reason(name: &str, verdict: &Verdict) -> Option<String> {
    match verdict.validity {
        Validity::Valid => None,
        Validity::Unknown => Some(format!("checker {name} cannot tell")),
        Validity::Invalid => {
            let found =
                verdict.anomalies.iter().map(|(name, cases)| format!("{} × {name}", Count(cases.count)));
            Some(format!("checker {name} found {}", found.collect::<Vec<_>>().join(", ")))
        }
    }
}
