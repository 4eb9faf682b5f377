//! The progress display: a line per phase, a bar where something is counted. Only on standard error, bars only on a
//! terminal.

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::Output;

/// Shows where a run is.
#[derive(Debug)]
pub(super) struct Progress {
    output: Output,
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new(output: &Output) -> Self {
        Self { output: output.clone(), bar: ProgressBar::hidden() }
    }

    /// Tells of a step.
    pub(super) fn step(&self, line: impl AsRef<str>) {
        let line = format!("  {}", line.as_ref());
        if self.output.draws_progress() {
            self.bar.suspend(|| self.output.note(line));
        } else {
            self.output.note(line);
        }
    }

    /// Begins to count up to `total`.
    pub(super) fn count(&mut self, what: &'static str, total: u64) {
        self.bar.finish_and_clear();
        if !self.output.draws_progress() {
            self.bar = ProgressBar::hidden();
            return;
        }
        self.bar = ProgressBar::new(total);
        let style =
            ProgressStyle::with_template("  {msg:<12} {bar:40} {human_pos}/{human_len}  {per_sec}  {eta}");
        if let Ok(style) = style {
            self.bar.set_style(style);
        }
        self.bar.set_message(what);
    }

    /// How far it is.
    pub(super) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// Ends the count.
    pub(super) fn done(&mut self) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
    }
}
