//! Each operation around one moment: a lane for each process, a bar for each operation.

use std::fmt::{self, Display, Formatter};

use jepsen_judge::history::Phase;

use super::chart::{Bands, LEFT, NAMES_HEIGHT, RIGHT, TIMES_HEIGHT, TimeAxis, TimeScale, WIDTH};
use super::crop::{Crop, Focus};
use super::escaped::Escaped;
use super::faults::Faults;
use super::lanes::{Bar, Lanes};

/// How high a lane is, and a bar in it.
const LANE_HEIGHT: f64 = 20.0;
const BAR_HEIGHT: f64 = 12.0;

/// The narrowest bar.
const BAR_WIDTH_MIN: f64 = 2.0;

/// How high what is said of the moment is.
const FOCUS_HEIGHT: f64 = 18.0;

/// The most characters of a tooltip.
const WORDS_CHARS_MAX: usize = 600;

/// The plot.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimelineChart<'a> {
    /// What was broken.
    pub(super) faults: &'a Faults,
    /// Which part of the run.
    pub(super) crop: &'a Crop,
    /// The operations in it.
    pub(super) lanes: &'a Lanes,
}

impl Display for TimelineChart<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scale = TimeScale { from_ns: self.crop.from_ns, until_ns: self.crop.until_ns };
        let top = NAMES_HEIGHT;
        let lanes_height = self.lanes.by_process.values().map(|_| LANE_HEIGHT).sum::<f64>();
        let bottom = top + FOCUS_HEIGHT + lanes_height + 4.0;
        writeln!(
            f,
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Operations of each process\">",
            bottom + TIMES_HEIGHT
        )?;
        write!(f, "{}", Bands { faults: self.faults, scale, top, bottom })?;
        write!(f, "{}", TimeAxis { scale, top, bottom })?;
        self.focus(f, scale, (top, bottom))?;
        let mut y = top + FOCUS_HEIGHT;
        for (process, bars) in &self.lanes.by_process {
            self.lane(f, (*process, bars), (scale, y))?;
            y += LANE_HEIGHT;
        }
        writeln!(f, "</svg>")
    }
}

impl TimelineChart<'_> {
    /// The moment itself.
    fn focus(&self, f: &mut Formatter<'_>, scale: TimeScale, (top, bottom): (f64, f64)) -> fmt::Result {
        let (x, to) = (scale.x(self.crop.at_ns), scale.x(self.crop.to_ns));
        let words = match &self.crop.focus {
            Focus::Anomaly(name, case) => format!("{name}: log {}", case.key),
            Focus::Gap => "nothing succeeds".to_owned(),
            Focus::Fault(_) | Focus::Beginning => return Ok(()),
        };
        let class = if self.crop.focus == Focus::Gap { "gap" } else { "case" };
        // In the right half there is no room to the right.
        let (anchor, words_x) = if x > WIDTH / 2.0 { ("end", x - 5.0) } else { ("start", x + 5.0) };
        let is_ended = self.crop.to_ns <= self.crop.until_ns;
        let end = if is_ended { format!("M{to:.1} {top:.0}V{bottom:.0}") } else { String::new() };
        writeln!(
            f,
            "<g class=\"focus {class}\"><rect x=\"{x:.1}\" y=\"{top:.0}\" width=\"{:.1}\" height=\"{:.0}\"/>\
             <path d=\"M{x:.1} {top:.0}V{bottom:.0}{end}\"/>\
             <text x=\"{words_x:.1}\" y=\"{:.0}\" class=\"{anchor}\">{}</text></g>",
            to - x,
            bottom - top,
            top + 13.0,
            Escaped(words)
        )
    }

    fn lane(
        &self,
        f: &mut Formatter<'_>,
        (process, bars): (u32, &[Bar]),
        (scale, y): (TimeScale, f64),
    ) -> fmt::Result {
        let (label_x, label_y) = (LEFT - 8.0, y + 14.0);
        write!(f, "<text x=\"{label_x}\" y=\"{label_y:.0}\" class=\"tick end\">process {process}</text>")?;
        let bar_y = y + (LANE_HEIGHT - BAR_HEIGHT) / 2.0;
        // Those that are cited lie above the others.
        let (cited, others): (Vec<&Bar>, Vec<&Bar>) = bars.iter().partition(|bar| bar.is_cited);
        for bar in others.into_iter().chain(cited) {
            let (x, until) = (scale.x(bar.from_ns).min(RIGHT - BAR_WIDTH_MIN), scale.x(bar.until_ns));
            write!(
                f,
                "<rect class=\"bar {}{}{}\" x=\"{x:.1}\" y=\"{bar_y:.0}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\"><title>{}</title></rect>",
                class(bar.outcome),
                if bar.action.is_read() { " reads" } else { "" },
                if bar.is_cited { " cited" } else { "" },
                (until - x).max(BAR_WIDTH_MIN),
                Escaped(super::escaped::Clipped(&bar.words, WORDS_CHARS_MAX))
            )?;
        }
        writeln!(f)
    }
}

fn class(outcome: Phase) -> &'static str {
    match outcome {
        Phase::Ok => "ok",
        Phase::Fail => "failed",
        Phase::Info | Phase::Invoke => "unknown",
    }
}
