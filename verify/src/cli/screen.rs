//! Progress on standard error: live on a terminal, else a line every ten seconds; each search's result on standard output.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::engine::Progress;
use crate::registry::Screen;
use crate::report::{Run, text};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows what runs.
pub(super) struct Terminal {
    results: bool,
    verbose: bool,
    live: bool,
    bar: Option<ProgressBar>,
    title: String,
    told: Duration,
}

impl Terminal {
    /// Writes each search's result to standard output if `results`; if `verbose`, with what is in flight in each step of a
    /// counterexample.
    pub(super) fn new(results: bool, verbose: bool) -> Self {
        let live = io::stderr().is_terminal();
        Self { results, verbose, live, bar: None, title: String::new(), told: Duration::ZERO }
    }

    /// What moves on a terminal.
    fn bar(&mut self) -> Option<&ProgressBar> {
        if self.live && self.bar.is_none() {
            let style =
                ProgressStyle::with_template("{spinner} {msg}").expect("a template that is a constant");
            self.bar = Some(ProgressBar::new_spinner().with_style(style));
        }
        self.bar.as_ref()
    }
}

fn standing(at: Progress) -> String {
    if let Some(walks) = at.walks {
        let steps = text::grouped(at.generated);
        return format!("{steps} steps in {} walks, {:.0} s", text::grouped(walks), at.elapsed.as_secs_f64());
    }
    let states = text::grouped(at.unique);
    format!("{states} states, depth {}, {:.0} s", at.depth, at.elapsed.as_secs_f64())
}

impl Screen for Terminal {
    fn begin(&mut self, model: &str, bounds: &str) {
        self.title = format!("{model} {bounds}");
        self.told = Duration::ZERO;
        if let Some(bar) = self.bar() {
            bar.set_message(format!("{model} {bounds}"));
        }
    }

    fn progress(&mut self, at: Progress) {
        let line = format!("{}: {}", self.title, standing(at));
        if let Some(bar) = self.bar() {
            bar.set_message(line);
            bar.tick();
        } else if at.elapsed >= self.told + LINE_EVERY {
            self.told = at.elapsed;
            // Progress that nobody can read is no reason to end a check.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn said(&mut self, line: &str) {
        if let Some(bar) = self.bar() {
            bar.set_message(line.to_owned());
            bar.tick();
        } else {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    fn end(&mut self, run: &Run) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if self.results {
            let _ = text::run(&mut io::stdout().lock(), run, self.verbose);
        }
    }
}
