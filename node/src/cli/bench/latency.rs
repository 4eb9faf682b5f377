//! How long things took, as quantiles.
//!
//! A high dynamic range histogram holds them: three significant digits from a microsecond to an hour in a bounded amount
//! of memory, where a list of every value would itself disturb what is measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest that is told apart; what took longer counts as this.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Durations, counted.
#[derive(Clone, Debug)]
pub(super) struct Latencies(Histogram<u64>);

/// Quantiles in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// How many there were.
    pub(super) count: u64,
    /// Half of them took at most so long.
    pub(super) p50_ms: f64,
    /// 99 of 100.
    pub(super) p99_ms: f64,
    /// 999 of 1000.
    pub(super) p99_9_ms: f64,
    /// All of them.
    pub(super) max_ms: f64,
}

impl Latencies {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, micros(LONGEST), 3).expect("the bounds are in order"))
    }

    /// Counts one.
    pub(super) fn note(&mut self, took: Duration) {
        self.0.saturating_record(micros(took).max(1));
    }

    /// The quantiles, if there was any.
    pub(super) fn quantiles(&self) -> Option<Quantiles> {
        let ms = |micros: u64| micros as f64 / 1000.0;
        let at = |quantile: f64| ms(self.0.value_at_quantile(quantile));
        (!self.0.is_empty()).then(|| Quantiles {
            count: self.0.len(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            max_ms: ms(self.0.max()),
        })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_noted_to_three_digits() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantiles(), None);

        (1..=1000).for_each(|ms| latencies.note(Duration::from_millis(ms)));

        let quantiles = latencies.quantiles().expect("a thousand were noted");
        let near = |found: f64, wanted: f64| (found - wanted).abs() <= wanted / 500.0;
        assert_eq!(quantiles.count, 1000);
        assert!(near(quantiles.p50_ms, 500.0), "{quantiles:?}");
        assert!(near(quantiles.p99_ms, 990.0), "{quantiles:?}");
        assert!(near(quantiles.p99_9_ms, 999.0), "{quantiles:?}");
        assert!(near(quantiles.max_ms, 1000.0), "{quantiles:?}");
    }

    #[test]
    fn what_takes_longer_than_any_bound_is_counted_all_the_same() {
        let mut latencies = Latencies::new();

        latencies.note(Duration::from_secs(1_000_000));
        latencies.note(Duration::ZERO);

        assert_eq!(latencies.quantiles().map(|quantiles| quantiles.count), Some(2));
    }
}
