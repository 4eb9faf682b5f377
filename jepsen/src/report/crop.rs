//! Which part of a run is looked at closely: where it first went wrong, or else where it was hardest.

use std::collections::BTreeSet;

use jepsen_judge::verdict::Case;

use super::survey::Survey;
use crate::store::ResultsFile;

/// How many operations a closer look may show.
const OPERATIONS_MAX: u64 = 1_200;

/// What is shown before and after, in nanoseconds.
const BEFORE_NS: u64 = 700_000_000;
const AFTER_NS: u64 = 1_500_000_000;

/// A gap that is worth a look.
const GAP_MIN_NS: u64 = 500_000_000;

/// Beyond this an anomaly is shown where it began alone.
const ANOMALY_MAX_NS: u64 = 3_000_000_000;

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    /// The first case of an anomaly that breaks a promise, by the anomaly's name.
    Anomaly(String, Case),
    /// The longest time without a success.
    Gap,
    /// The first fault, of this kind.
    Fault(String),
    /// There is nothing else.
    Beginning,
}

/// The part that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crop {
    /// For what.
    pub(super) focus: Focus,
    /// When that begins.
    pub(super) at_ns: u64,
    /// When that ends.
    pub(super) to_ns: u64,
    /// From when on things are shown.
    pub(super) from_ns: u64,
    /// Until when.
    pub(super) until_ns: u64,
    /// Events that show an anomaly.
    pub(super) cited: BTreeSet<u64>,
}

impl Crop {
    /// Chooses for what was found.
    pub(super) fn choose(results: &ResultsFile, survey: &Survey) -> Self {
        let (focus, at_ns, to_ns) = focus(results, survey);
        let from_ns = at_ns.saturating_sub(BEFORE_NS);
        let until_ns = to_ns.saturating_add(AFTER_NS).min(survey.ended_ns).max(from_ns + 1);
        let (from_ns, until_ns) = narrowed(survey, at_ns, (from_ns, until_ns));
        Self { focus, at_ns, to_ns, from_ns, until_ns, cited: cited(results) }
    }
}

/// Indexes of the events that show an anomaly which breaks a promise.
fn cited(results: &ResultsFile) -> BTreeSet<u64> {
    broken(results).flat_map(|(_, case)| case.events.iter().copied()).collect()
}

fn broken(results: &ResultsFile) -> impl Iterator<Item = (&String, &Case)> {
    let anomalies = results.checkers.values().flat_map(|verdict| &verdict.anomalies);
    anomalies.flat_map(|(name, cases)| cases.examples.iter().map(move |case| (name, case)))
}

fn focus(results: &ResultsFile, survey: &Survey) -> (Focus, u64, u64) {
    let times = |case: &Case| -> Option<(u64, u64)> {
        let known: Vec<u64> =
            case.events.iter().filter_map(|event| survey.cited.get(event)).copied().collect();
        Some((*known.iter().min()?, *known.iter().max()?))
    };
    // Of those that began at once the one that is told soonest is easiest to see.
    let timed = broken(results).filter_map(|(name, case)| times(case).map(|times| (times, name, case)));
    if let Some(((at_ns, to_ns), name, case)) = timed.min_by_key(|(times, _, _)| *times) {
        let to_ns = if to_ns - at_ns > ANOMALY_MAX_NS { at_ns } else { to_ns };
        return (Focus::Anomaly(name.clone(), case.clone()), at_ns, to_ns);
    }
    let gap = results.availability;
    let gap_to_ns = gap.longest_gap_from_ns.saturating_add(gap.longest_gap_ns);
    if gap.longest_gap_ns >= GAP_MIN_NS {
        return (Focus::Gap, gap.longest_gap_from_ns, gap_to_ns);
    }
    match survey.faults.bands.first() {
        Some(band) => {
            let to_ns = band.until_ns.unwrap_or(band.from_ns).min(band.from_ns + ANOMALY_MAX_NS);
            (Focus::Fault(band.kind.clone()), band.from_ns, to_ns)
        }
        None => (Focus::Beginning, 0, 0),
    }
}

/// Halves what lies around a moment until no more happened in it than can be shown.
fn narrowed(survey: &Survey, at_ns: u64, (mut from_ns, mut until_ns): (u64, u64)) -> (u64, u64) {
    while survey.begun_between(from_ns, until_ns) > OPERATIONS_MAX && until_ns - from_ns > 1 {
        from_ns = at_ns - at_ns.saturating_sub(from_ns) / 2;
        until_ns = at_ns.max(from_ns) + (until_ns.saturating_sub(at_ns) / 2).max(1);
    }
    (from_ns, until_ns)
}

#[cfg(test)]
mod tests {
    use jepsen_judge::availability::Availability;
    use jepsen_judge::history::{Actor, Fault, FaultStep, Operation, Phase, Register, What};
    use jepsen_judge::verdict::{Cases, Validity, Verdict};

    use super::*;
    use crate::store::SCHEMA;

    const MS: u64 = 1_000_000;

    fn results(cases: &[(&str, &[u64])], gap_from_ms: u64, gap_ms: u64) -> ResultsFile {
        let case = |events: &[u64]| Case { key: 0, words: "record 1".to_owned(), events: events.to_vec() };
        let anomalies = cases
            .iter()
            .map(|(name, events)| ((*name).to_owned(), Cases { count: 1, examples: vec![case(events)] }));
        let verdict = Verdict::of(anomalies.collect(), [].into(), None, [].into());
        ResultsFile {
            schema: SCHEMA.to_owned(),
            validity: Validity::Invalid,
            checkers: [("log".to_owned(), verdict)].into(),
            availability: Availability {
                longest_gap_ns: gap_ms * MS,
                longest_gap_from_ns: gap_from_ms * MS,
                ..Availability::default()
            },
            failures: Vec::new(),
            unknown_because: Vec::new(),
            evidence: [].into(),
        }
    }

    /// A write in each millisecond, whose events have its numbers, and one fault.
    fn survey(ms: u64, results: &ResultsFile) -> Survey {
        let mut survey = Survey::default();
        let mut take = |actor, at_ms: u64, what| {
            let operation = Operation {
                actor,
                invoked: 2 * at_ms,
                completed: 2 * at_ms + 1,
                invoked_ns: at_ms * MS,
                completed_ns: at_ms * MS,
                outcome: Phase::Ok,
                what,
                error: None,
            };
            survey.take(&operation, &cited(results));
        };
        for at_ms in 0..ms {
            take(Actor::Process(0), at_ms, What::Write(Register { key: 0, value: None }));
        }
        for (step, at_ms) in [(FaultStep::Start, 1_000), (FaultStep::Stop, 1_200)] {
            let fault = Fault { kind: "kill".to_owned(), step, detail: String::new() };
            take(Actor::Nemesis, at_ms, What::Fault(fault));
        }
        survey.finish();
        survey
    }

    fn chosen(results: &ResultsFile) -> Crop {
        Crop::choose(results, &survey(20_000, results))
    }

    #[test]
    fn the_anomaly_that_began_first_is_shown_and_of_two_the_shorter() {
        let crop = chosen(&results(
            &[
                ("poll-skip", &[9_000, 9_100]),
                ("inconsistent-offsets", &[6_000, 6_050, 9_000]),
                ("lost-write", &[6_000, 6_050]),
            ],
            0,
            4_000,
        ));

        assert!(matches!(&crop.focus, Focus::Anomaly(name, _) if name == "lost-write"), "{:?}", crop.focus);
        assert_eq!((crop.at_ns, crop.to_ns), (3_000 * MS, 3_025 * MS));
        assert!((crop.from_ns..crop.until_ns).contains(&crop.at_ns));
        assert_eq!(crop.cited, [6_000, 6_050, 9_000, 9_100].into());
    }

    #[test]
    fn a_closer_look_is_bounded_however_much_happened() {
        let results = results(&[("lost-write", &[20_000, 20_100])], 0, 0);
        let crop = chosen(&results);
        let survey = survey(20_000, &results);

        assert!(survey.begun_between(crop.from_ns, crop.until_ns) <= OPERATIONS_MAX);
        assert!(crop.until_ns - crop.from_ns > 500 * MS, "{crop:?}");
    }

    #[test]
    fn a_valid_run_shows_its_longest_gap_or_else_its_first_fault() {
        let gap = chosen(&results(&[], 5_000, 800));
        assert_eq!((gap.focus, gap.at_ns, gap.to_ns), (Focus::Gap, 5_000 * MS, 5_800 * MS));

        let fault = chosen(&results(&[], 5_000, 30));
        assert_eq!(fault.focus, Focus::Fault("kill".to_owned()));
        assert_eq!((fault.at_ns, fault.to_ns), (1_000 * MS, 1_200 * MS));
    }

    #[test]
    fn an_empty_history_has_a_beginning() {
        let results = results(&[], 0, 0);
        let crop = Crop::choose(&results, &Survey::default());
        assert_eq!((crop.focus, crop.from_ns, crop.until_ns), (Focus::Beginning, 0, 1));
    }
}
