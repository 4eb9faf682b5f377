//! How much took effect, failed or is unknown in each second.

use std::fmt::{self, Display, Formatter};

use super::chart::{Bands, LEFT, NAMES_HEIGHT, RIGHT, TIMES_HEIGHT, TimeAxis, TimeScale, WIDTH};
use super::survey::{Activity, Survey};
use super::units::Count;

/// How high the title of a panel is.
const TITLE_HEIGHT: f64 = 24.0;

/// A panel: its name, its class, its height, and what it counts.
type Panel = (&'static str, &'static str, f64, fn(&Activity) -> u64);

const PANELS: [Panel; 3] = [
    ("ok per second", "ok", 120.0, |activity| activity.ok),
    ("failed per second", "failed", 40.0, |activity| activity.failed),
    ("unknown per second", "unknown", 40.0, |activity| activity.unknown),
];

/// The plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateChart<'a>(pub(super) &'a Survey);

impl Display for RateChart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scale = TimeScale { from_ns: 0, until_ns: self.0.ended_ns.max(1) };
        let bottom = NAMES_HEIGHT + PANELS.iter().map(|(_, _, height, _)| TITLE_HEIGHT + height).sum::<f64>();
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Operations per second over time\">",
            bottom + TIMES_HEIGHT
        )?;
        write!(f, "{}", Bands { faults: &self.0.faults, scale, top: NAMES_HEIGHT, bottom })?;
        write!(f, "{}", TimeAxis { scale, top: NAMES_HEIGHT, bottom })?;
        let mut top = NAMES_HEIGHT;
        for panel in PANELS {
            top += TITLE_HEIGHT;
            self.panel(f, panel, (scale, top))?;
            top += panel.2;
        }
        writeln!(f, "</svg>")
    }
}

impl RateChart<'_> {
    /// Steps as high as what happened in each bucket.
    fn panel(&self, f: &mut Formatter<'_>, panel: Panel, (scale, top): (TimeScale, f64)) -> fmt::Result {
        let ((name, class, height, count), bottom) = (panel, top + panel.2);
        let width_ns = self.0.buckets.width_ns();
        let rate = |count: u64| count as f64 * 1e9 / width_ns as f64;
        let most =
            round_up(self.0.buckets.each().map(|(_, activity)| rate(count(activity))).fold(0.0, f64::max));
        let total: u64 = self.0.buckets.each().map(|(_, activity)| count(activity)).sum();
        write!(
            f,
            "<text x=\"{LEFT}\" y=\"{:.0}\" class=\"panel\">{name} <tspan class=\"tick\">{} in all</tspan></text>\
             <path class=\"grid\" d=\"M{LEFT} {top:.0}H{RIGHT}M{LEFT} {bottom:.0}H{RIGHT}\"/>\
             <text x=\"{x}\" y=\"{:.0}\" class=\"tick end\">{most}</text>\
             <text x=\"{x}\" y=\"{bottom:.0}\" class=\"tick end\">0</text>",
            top - 7.0,
            Count(total),
            top + 8.0,
            x = LEFT - 8.0,
        )?;
        write!(f, "<path class=\"area {class}\" d=\"")?;
        for (from_ns, activity) in self.0.buckets.each().filter(|(_, activity)| count(activity) > 0) {
            let (x, until) = (scale.x(from_ns), scale.x(from_ns.saturating_add(width_ns)));
            let y = bottom - height * rate(count(activity)) / most;
            write!(f, "M{x:.1} {bottom:.0}V{y:.1}H{:.1}V{bottom:.0}z", until.max(x + 1.0))?;
        }
        writeln!(f, "\"/>")
    }
}

/// The next number of one digit and zeros; at least one.
fn round_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(1.0).log10().floor());
    (number / power).ceil().max(1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number() {
        assert_eq!([0.0, 0.3, 1.0, 9.5, 287.0, 300.0].map(round_up), [1.0, 1.0, 1.0, 10.0, 300.0, 300.0]);
    }
}
