//! How long operations took: a panel for each kind, above one axis of time.

use std::fmt::{self, Display, Formatter};

use super::action::Action;
use super::chart::{Bands, LEFT, LogScale, NAMES_HEIGHT, TIMES_HEIGHT, TimeAxis, TimeScale, WIDTH};
use super::escaped::Escaped;
use super::histogram::Histogram;
use super::survey::{Survey, Tally};
use super::units::{Count, Moment, Took};

/// How high a panel is, and its title above it.
const PANEL_HEIGHT: f64 = 112.0;
const TITLE_HEIGHT: f64 = 38.0;

/// Buckets that may be empty before a line breaks off.
const EMPTY_MAX: u64 = 2;

/// The plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct LatencyChart<'a>(pub(super) &'a Survey);

impl LatencyChart<'_> {
    /// Kinds of operation that have a panel.
    fn actions(&self) -> Vec<Action> {
        self.0.totals.keys().copied().filter(|action| action.asks_the_cluster()).collect()
    }
}

impl Display for LatencyChart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let actions = self.actions();
        let scale = TimeScale { from_ns: 0, until_ns: self.0.ended_ns.max(1) };
        let panels_height = actions.iter().map(|_| TITLE_HEIGHT + PANEL_HEIGHT).sum::<f64>();
        let bottom = NAMES_HEIGHT + panels_height;
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Latency of operations over time\">",
            bottom + TIMES_HEIGHT
        )?;
        write!(f, "{}", Bands { faults: &self.0.faults, scale, top: NAMES_HEIGHT, bottom })?;
        write!(f, "{}", TimeAxis { scale, top: NAMES_HEIGHT, bottom })?;
        let mut top = NAMES_HEIGHT + TITLE_HEIGHT;
        for action in actions {
            write!(f, "{}", Panel { survey: self.0, action, scale, top })?;
            top += TITLE_HEIGHT + PANEL_HEIGHT;
        }
        writeln!(f, "</svg>")
    }
}

/// What the plot shows, in numbers over the whole run.
#[derive(Clone, Copy, Debug)]
pub(super) struct LatencyTable<'a>(pub(super) &'a Survey);

impl Display for LatencyTable<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<div class=\"wide\"><table><thead><tr><th>operation</th><th>ok</th><th>failed</th><th>unknown</th>\
             <th>median</th><th>p99</th><th>longest</th></tr></thead><tbody>"
        )?;
        for (action, tally) in &self.0.totals {
            let counts = [&tally.ok, &tally.failed, &tally.unknown].map(|of| Count(of.count));
            write!(f, "<tr><td>{action}</td>")?;
            counts.iter().try_for_each(|count| write!(f, "<td class=\"number\">{count}</td>"))?;
            for percent in [50, 99, 100] {
                match tally.ok.quantile(percent) {
                    Some(ns) => write!(f, "<td class=\"number\">{}</td>", Took(ns))?,
                    None => write!(f, "<td>–</td>")?,
                }
            }
            writeln!(f, "</tr>")?;
        }
        writeln!(f, "</tbody></table></div>")
    }
}

/// One kind of operation.
struct Panel<'a> {
    survey: &'a Survey,
    action: Action,
    scale: TimeScale,
    top: f64,
}

impl Panel<'_> {
    /// When each bucket begins that has such operations, and what came of them.
    fn tallies(&self) -> impl Iterator<Item = (u64, &Tally)> {
        let each = self.survey.buckets.each();
        each.filter_map(|(from_ns, activity)| Some((from_ns, activity.begun.get(&self.action)?)))
    }

    /// The middle of a bucket.
    fn x(&self, from_ns: u64) -> f64 {
        self.scale.x(from_ns.saturating_add(self.survey.buckets.width_ns() / 2))
    }

    /// Room for what is drawn.
    fn levels(&self) -> LogScale {
        let shortest = self.tallies().flat_map(|(_, tally)| {
            let longest =
                [&tally.failed, &tally.unknown].map(|other| (other.count > 0).then_some(other.max_ns));
            longest.into_iter().flatten().chain(tally.ok.quantile(50))
        });
        let longest = self
            .tallies()
            .flat_map(|(_, tally)| [&tally.ok, &tally.failed, &tally.unknown].map(|of| of.max_ns));
        let range = (shortest.min().unwrap_or(1), longest.max().unwrap_or(1));
        LogScale::new(range, self.top, self.top + PANEL_HEIGHT)
    }

    /// A line through a quantile of each bucket, broken where nothing took effect for a while.
    fn line(&self, f: &mut Formatter<'_>, levels: &LogScale, (class, percent): (&str, u64)) -> fmt::Result {
        write!(f, "<path class=\"{class}\" d=\"")?;
        let mut last: Option<u64> = None;
        for (from_ns, tally) in self.tallies() {
            let Some(ns) = tally.ok.quantile(percent) else { continue };
            let (x, y) = (self.x(from_ns), levels.y(ns));
            let bridged_ns = self.survey.buckets.width_ns().saturating_mul(EMPTY_MAX + 1);
            match last.replace(from_ns) {
                Some(last) if from_ns - last <= bridged_ns => write!(f, "L{x:.1} {y:.1}")?,
                // A point by itself shows as a dash.
                _ => write!(f, "M{:.1} {y:.1}h4M{x:.1} {y:.1}", x - 2.0)?,
            }
        }
        writeln!(f, "\"/>")
    }

    /// A mark for each bucket with operations that failed, or of which nobody knows, at the longest of them.
    fn marks(&self, f: &mut Formatter<'_>, levels: &LogScale) -> fmt::Result {
        for (from_ns, tally) in self.tallies() {
            let x = self.x(from_ns);
            if tally.failed.count > 0 {
                let y = levels.y(tally.failed.max_ns);
                write!(f, "<path class=\"mark failed\" d=\"M{x:.1} {y:.1}m-4 -4l8 8m0 -8l-8 8\"/>")?;
            }
            if tally.unknown.count > 0 {
                let y = levels.y(tally.unknown.max_ns);
                write!(f, "<path class=\"mark unknown\" d=\"M{x:.1} {y:.1}m0 -5l5 5l-5 5l-5 -5z\"/>")?;
            }
        }
        Ok(())
    }

    /// What a bucket holds, shown where the pointer is.
    fn tips(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width_ns = self.survey.buckets.width_ns();
        for (from_ns, tally) in self.tallies() {
            let (x, until) = (self.scale.x(from_ns), self.scale.x(from_ns.saturating_add(width_ns)));
            write!(
                f,
                "<rect class=\"tip\" x=\"{x:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"{PANEL_HEIGHT}\"><title>{}</title></rect>",
                self.top,
                (until - x).max(0.5),
                Escaped(Tip { from_ns, tally })
            )?;
        }
        writeln!(f)
    }
}

impl Display for Panel<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let levels = self.levels();
        let ok = self.survey.totals.get(&self.action).map_or(0, |tally| tally.ok.count);
        let title_y = self.top - 9.0;
        writeln!(
            f,
            "<text x=\"{LEFT}\" y=\"{title_y:.0}\" class=\"panel\">{} <tspan class=\"tick\">{} ok</tspan></text>",
            self.action,
            Count(ok)
        )?;
        write!(f, "{levels}")?;
        for line in [("line longest", 100), ("line slow", 99), ("line median", 50)] {
            self.line(f, &levels, line)?;
        }
        self.marks(f, &levels)?;
        self.tips(f)
    }
}

/// A bucket in words.
struct Tip<'a> {
    from_ns: u64,
    tally: &'a Tally,
}

impl Display for Tip<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { from_ns, tally } = self;
        write!(f, "from {}: {} ok", Moment(*from_ns), tally.ok.count)?;
        if let (Some(median), Some(slow)) = (tally.ok.quantile(50), tally.ok.quantile(99)) {
            write!(f, "\nmedian {}, p99 {}, longest {}", Took(median), Took(slow), Took(tally.ok.max_ns))?;
        }
        let others: [(&str, &Histogram); 2] = [("failed", &tally.failed), ("unknown", &tally.unknown)];
        for (word, of) in others.into_iter().filter(|(_, of)| of.count > 0) {
            write!(f, "\n{} {word}, longest {}", of.count, Took(of.max_ns))?;
        }
        Ok(())
    }
}
