//! Times and counts as people read them.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Keeps a number and its unit on one line.
const NEXT_TO: char = '\u{a0}';

/// A moment of a run, in nanoseconds since it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment(pub(super) u64);

/// How long something took, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took(pub(super) u64);

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) u64);

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}{NEXT_TO}s", Duration::from_nanos(self.0).as_secs_f64())
    }
}

impl Display for Took {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (unit, scale) = match self.0 {
            0..1_000 => return write!(f, "{}{NEXT_TO}ns", self.0),
            1_000..1_000_000 => ("µs", 1e6),
            1_000_000..1_000_000_000 => ("ms", 1e3),
            _ => ("s", 1.0),
        };
        let value = Duration::from_nanos(self.0).as_secs_f64() * scale;
        let decimals = usize::from(value < 9.95);
        write!(f, "{value:.decimals$}{NEXT_TO}{unit}")
    }
}

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            // Thin, and no line breaks there.
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_keeps_them_short() {
        let shown = [999, 1_500, 42_000_000, 999_960_000, 2_294_207_424]
            .map(|ns| Took(ns).to_string().replace(NEXT_TO, " "));
        assert_eq!(shown, ["999 ns", "1.5 µs", "42 ms", "1000 ms", "2.3 s"]);
        assert_eq!(Moment(1_663_249_648).to_string(), "1.663\u{a0}s");
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [7, 4_306, 1_000_000].map(|count| Count(count).to_string().replace('\u{202f}', " "));
        assert_eq!(shown, ["7", "4 306", "1 000 000"]);
    }
}
