//! What the plots have in common: a frame with time from left to right, the faults behind it, and scales.

use std::fmt::{self, Display, Formatter};

use super::escaped::{Clipped, Escaped, text};
use super::faults::{Band, Faults};
use super::units::{Moment, Took};

/// Width of every plot, in units of its own.
pub(super) const WIDTH: f64 = 1080.0;

/// Where the plotted part begins and ends.
pub(super) const LEFT: f64 = 80.0;
pub(super) const RIGHT: f64 = WIDTH - 40.0;

/// How high the names of faults above a plot are.
pub(super) const NAMES_HEIGHT: f64 = 70.0;

/// How high the times below a plot are.
pub(super) const TIMES_HEIGHT: f64 = 34.0;

/// How far names must be apart so that one can read them.
const NAMES_APART: f64 = 13.0;

/// The most characters of whom a fault met that a tooltip shows.
const DETAIL_CHARS_MAX: usize = 200;

/// The most marks on the axis of time.
const TICKS_MAX: u64 = 12;

/// Moments from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeScale {
    /// The moment at the left.
    pub(super) from_ns: u64,
    /// The moment at the right, later than that.
    pub(super) until_ns: u64,
}

impl TimeScale {
    /// Where a moment is; one beyond an edge is at the edge.
    pub(super) fn x(self, ns: u64) -> f64 {
        let since = ns.clamp(self.from_ns, self.until_ns) - self.from_ns;
        LEFT + (RIGHT - LEFT) * since as f64 / self.span_ns() as f64
    }

    fn span_ns(self) -> u64 {
        (self.until_ns - self.from_ns).max(1)
    }

    /// Between two marks: one, two or five of a power of ten.
    fn step_ns(self) -> u64 {
        let steps = (3..19).flat_map(|power| [1, 2, 5].map(|digit| 10_u64.saturating_pow(power) * digit));
        steps.into_iter().find(|step| self.span_ns() / step <= TICKS_MAX).unwrap_or(u64::MAX)
    }

    fn ticks(self) -> impl Iterator<Item = u64> {
        let step = self.step_ns();
        let first = self.from_ns.div_ceil(step).saturating_mul(step);
        (0..=TICKS_MAX)
            .map(move |at| first.saturating_add(at.saturating_mul(step)))
            .take_while(move |at| *at <= self.until_ns)
    }
}

/// The axis of time below a plot, and a thin line through the plot at each mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeAxis {
    /// The moments.
    pub(super) scale: TimeScale,
    /// The top of the plotted part.
    pub(super) top: f64,
    /// Its bottom.
    pub(super) bottom: f64,
}

impl Display for TimeAxis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { scale, top, bottom } = *self;
        let decimals = match scale.step_ns() {
            1_000_000_000.. => 0,
            100_000_000.. => 1,
            10_000_000.. => 2,
            _ => 3,
        };
        for ns in scale.ticks() {
            let (x, seconds) = (scale.x(ns), ns as f64 / 1e9);
            write!(f, "<path class=\"grid\" d=\"M{x:.1} {top:.0}V{bottom:.0}\"/>")?;
            let y = bottom + 17.0;
            write!(f, "<text x=\"{x:.1}\" y=\"{y:.0}\" class=\"tick middle\">{seconds:.decimals$} s</text>")?;
        }
        writeln!(f, "<path class=\"axis\" d=\"M{LEFT} {bottom:.0}H{RIGHT}\"/>")
    }
}

/// The faults behind a plot, and their names above it where there is room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bands<'a> {
    /// The faults.
    pub(super) faults: &'a Faults,
    /// The moments.
    pub(super) scale: TimeScale,
    /// The top of the plotted part.
    pub(super) top: f64,
    /// Its bottom.
    pub(super) bottom: f64,
}

impl Display for Bands<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { faults, scale, top, bottom } = *self;
        let mut free_from = LEFT - NAMES_APART;
        for band in &faults.bands {
            let until_ns = band.until_ns.unwrap_or(scale.until_ns);
            if band.from_ns > scale.until_ns || until_ns < scale.from_ns {
                continue;
            }
            let (x, until) = (scale.x(band.from_ns), scale.x(until_ns));
            let (width, height) = ((until - x).max(1.0), bottom - top);
            write!(
                f,
                "<g class=\"band {}\"><rect x=\"{x:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" height=\"{height:.0}\">\
                 <title>{}</title></rect>",
                band.group(),
                Escaped(Told(band, until_ns))
            )?;
            write!(f, "<path class=\"edge\" d=\"M{x:.1} {bottom:.0}V{:.0}\"/>", top - 4.0)?;
            let middle = (x + width / 2.0).max(free_from + NAMES_APART);
            if middle <= until.max(x + NAMES_APART / 2.0) {
                free_from = middle;
                let y = top - 7.0;
                write!(
                    f,
                    "<text x=\"{middle:.1}\" y=\"{y:.0}\" transform=\"rotate(-45 {middle:.1} {y:.0})\">{}</text>",
                    text(&band.kind)
                )?;
            }
            writeln!(f, "</g>")?;
        }
        Ok(())
    }
}

/// A fault in a few words.
struct Told<'a>(&'a Band, u64);

impl Display for Told<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(band, until_ns) = self;
        let took = Took(until_ns.saturating_sub(band.from_ns));
        let (kind, detail) = (Clipped(&band.kind, DETAIL_CHARS_MAX), Clipped(&band.detail, DETAIL_CHARS_MAX));
        write!(f, "{kind} {detail}\n{} for {took}", Moment(band.from_ns))
    }
}

/// Times from bottom to top, each power of ten as high as the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LogScale {
    low: u32,
    high: u32,
    /// The top of the plotted part.
    pub(super) top: f64,
    /// Its bottom.
    pub(super) bottom: f64,
}

impl LogScale {
    /// A scale that has room for the shortest and the longest time.
    pub(super) fn new((shortest_ns, longest_ns): (u64, u64), top: f64, bottom: f64) -> Self {
        let low = shortest_ns.max(1).ilog10();
        let high = longest_ns.saturating_sub(1).max(1).ilog10() + 1;
        Self { low, high: high.max(low + 2), top, bottom }
    }

    /// Where a time is; one beyond an edge is at the edge.
    pub(super) fn y(&self, ns: u64) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let part = ((ns.max(1) as f64).log10() - low) / (high - low);
        self.bottom - (self.bottom - self.top) * part.clamp(0.0, 1.0)
    }
}

impl Display for LogScale {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let apart = (self.bottom - self.top) / f64::from(self.high - self.low);
        for power in self.low..=self.high {
            let ns = 10_u64.saturating_pow(power);
            let y = self.y(ns);
            write!(f, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>")?;
            if apart >= 13.0 || (power - self.low).is_multiple_of(2) {
                let (x, y) = (LEFT - 8.0, y + 4.0);
                write!(f, "<text x=\"{x}\" y=\"{y:.1}\" class=\"tick end\">{}</text>", Power(power))?;
            }
        }
        Ok(())
    }
}

/// A power of ten of nanoseconds.
struct Power(u32);

impl Display for Power {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unit = ["ns", "µs", "ms", "s"].get(self.0 as usize / 3);
        match unit {
            Some(unit) => write!(f, "{} {unit}", 10_u32.pow(self.0 % 3)),
            None => write!(f, "{} s", 10_u64.saturating_pow(self.0 - 9)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_few_and_round() {
        let scale = TimeScale { from_ns: 900_000_000, until_ns: 46_000_000_000 };
        let ticks: Vec<u64> = scale.ticks().map(|ns| ns / 1_000_000_000).collect();
        assert_eq!(ticks, [5, 10, 15, 20, 25, 30, 35, 40, 45]);

        let scale = TimeScale { from_ns: 1_000_000_000, until_ns: 1_100_000_000 };
        assert_eq!(scale.ticks().nth(1), Some(1_010_000_000));
        assert!(TimeScale { from_ns: 0, until_ns: u64::MAX }.ticks().count() > 1);
    }

    #[test]
    fn moments_beyond_the_edges_are_at_the_edges() {
        let scale = TimeScale { from_ns: 100, until_ns: 200 };
        assert_eq!(
            [0, 100, 150, 200, 300].map(|ns| scale.x(ns)),
            [LEFT, LEFT, (LEFT + RIGHT) / 2.0, RIGHT, RIGHT]
        );
    }

    #[test]
    fn each_power_of_ten_is_as_high_as_the_next() {
        let scale = LogScale::new((2_000_000, 8_000_000_000), 0.0, 100.0);
        assert_eq!(
            [1_000_000, 100_000_000, 10_000_000_000].map(|ns| scale.y(ns).round()),
            [100.0, 50.0, 0.0]
        );
        assert_eq!(LogScale::new((5, 5), 0.0, 1.0), LogScale { low: 0, high: 2, top: 0.0, bottom: 1.0 });
        assert_eq!([3, 5, 9, 11].map(|power| Power(power).to_string()), ["1 µs", "100 µs", "1 s", "100 s"]);
    }

    #[test]
    fn names_that_would_overlap_are_left_to_the_tooltip() {
        let band = |from_ns: u64| Band {
            kind: format!("kill-{from_ns}"),
            detail: "<b>".to_owned(),
            from_ns,
            until_ns: Some(from_ns + 1),
        };
        let faults = Faults { bands: vec![band(100), band(101), band(900)], left_out: 0 };
        let scale = TimeScale { from_ns: 0, until_ns: 1_000 };
        let drawn = Bands { faults: &faults, scale, top: 10.0, bottom: 20.0 }.to_string();

        assert_eq!(drawn.matches("<rect").count(), 3);
        assert_eq!(drawn.matches("<text").count(), 2);
        assert!(drawn.contains("<title>kill-101 &lt;b&gt;"), "{drawn}");
    }
}
