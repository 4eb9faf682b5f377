//! When what was broken.

use jepsen_judge::history::{Fault, FaultStep};

use crate::nemesis::Kind;

/// The most faults that are kept one by one.
pub(super) const BANDS_MAX: usize = 500;

/// A fault from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Band {
    /// Its kind.
    pub(super) kind: String,
    /// What exactly.
    pub(super) detail: String,
    /// When it began.
    pub(super) from_ns: u64,
    /// When it ended; none while it lasts.
    pub(super) until_ns: Option<u64>,
}

/// The faults of a run, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Those that are kept.
    pub(super) bands: Vec<Band>,
    /// How many are not.
    pub(super) left_out: u64,
}

impl Faults {
    /// Takes the next step of a fault.
    pub(super) fn take(&mut self, fault: &Fault, at_ns: u64) {
        match fault.step {
            FaultStep::Start if self.bands.len() >= BANDS_MAX => self.left_out += 1,
            FaultStep::Start => self.bands.push(Band {
                kind: fault.kind.clone(),
                detail: fault.detail.clone(),
                from_ns: at_ns,
                until_ns: None,
            }),
            FaultStep::Stop => {
                let is_it = |band: &&mut Band| band.until_ns.is_none() && band.kind == fault.kind;
                if let Some(band) = self.bands.iter_mut().rev().find(is_it) {
                    band.until_ns = Some(at_ns);
                }
            }
            FaultStep::HealAll => self.end(at_ns),
        }
    }

    /// Ends what still lasts.
    pub(super) fn end(&mut self, at_ns: u64) {
        for band in &mut self.bands {
            band.until_ns = band.until_ns.or(Some(at_ns));
        }
    }
}

impl Band {
    /// The name of the group that it is of, which decides its colour.
    pub(super) fn group(&self) -> &'static str {
        group(&self.kind)
    }
}

/// The name of the group of a kind; `other` of one that this program does not know.
pub(super) fn group(kind: &str) -> &'static str {
    known(kind).map_or("other", |kind| kind.group().name())
}

/// The kind of this name.
pub(super) fn known(kind: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|known| known.name() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(steps: &[(&str, FaultStep, u64)]) -> Faults {
        let mut faults = Faults::default();
        for (kind, step, at_ns) in steps {
            let fault = Fault { kind: (*kind).to_owned(), step: *step, detail: String::new() };
            faults.take(&fault, *at_ns);
        }
        faults
    }

    #[test]
    fn a_fault_lasts_until_one_of_its_kind_stops_or_all_is_mended() {
        use FaultStep::{HealAll, Start, Stop};
        let faults = taken(&[
            ("kill", Start, 1),
            ("loss", Start, 2),
            ("kill", Stop, 3),
            ("kill", Start, 4),
            ("delay", Stop, 5),
            ("all", HealAll, 6),
        ]);

        let bands: Vec<_> =
            faults.bands.iter().map(|band| (band.kind.as_str(), band.from_ns, band.until_ns)).collect();
        assert_eq!(bands, [("kill", 1, Some(3)), ("loss", 2, Some(6)), ("kill", 4, Some(6))]);
    }

    #[test]
    fn more_faults_than_fit_are_counted() {
        let faults = taken(&[("kill", FaultStep::Start, 1); BANDS_MAX + 3]);
        assert_eq!((faults.bands.len(), faults.left_out), (BANDS_MAX, 3));
    }
}
