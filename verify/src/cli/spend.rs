//! What a command may spend, and how times and sizes are written.

use std::time::Duration;

use clap::Args;

use crate::engine::Limits;

/// More threads than that gain nothing, and each of them has room in the table of states.
const THREADS_MAX: i64 = 256;

/// What a command may spend, on the command line.
#[derive(Debug, Args)]
pub(super) struct Spend {
    /// Worker threads, at most 256; by default one per core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX))]
    pub(super) threads: Option<u16>,
    /// Stops after this time: 90, 90s, 10m or 2h, or 500ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,
    /// Stops a search when its process holds more than this: 8G, 500M
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) memory: Option<u64>,
    /// Stops a search after so many unique states
    #[arg(long, value_name = "N", hide = true)]
    pub(super) states: Option<u64>,
}

impl Spend {
    /// As limits of a search.
    pub(super) fn limits(&self) -> Limits {
        let Self { threads, timeout, memory, states } = *self;
        let usual = Limits { timeout, memory, states, ..Limits::default() };
        Limits { threads: threads.map_or(usual.threads, usize::from), ..usual }
    }
}

/// Reads a time: seconds, or a number with `ms`, `s`, `m` or `h`.
fn duration(text: &str) -> Result<Duration, String> {
    if let Some(Ok(milliseconds)) = text.strip_suffix("ms").map(str::parse) {
        return Ok(Duration::from_millis(milliseconds));
    }
    let (number, scale) = match text.char_indices().last() {
        Some((at, 's')) => (text.get(..at), 1),
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        _ => (Some(text), 1),
    };
    let seconds = number.and_then(|number| number.parse::<u64>().ok()).and_then(|n| n.checked_mul(scale));
    seconds.map(Duration::from_secs).ok_or_else(|| format!("`{text}` is no time such as 90s, 10m or 2h"))
}

/// Reads a size: bytes, or a number with `K`, `M` or `G`.
fn size(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.char_indices().last() {
        Some((at, 'K')) => (text.get(..at), 10),
        Some((at, 'M')) => (text.get(..at), 20),
        Some((at, 'G')) => (text.get(..at), 30),
        _ => (Some(text), 0),
    };
    let bytes = number.and_then(|number| number.parse::<u64>().ok()).and_then(|n| n.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("`{text}` is no size such as 500M or 8G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_its_unit() {
        assert_eq!(size("500"), Ok(500));
        assert_eq!(size("8G"), Ok(8 << 30));
        assert!(size("lots").is_err() && size("99999999999G").is_err());
    }

    #[test]
    fn a_time_is_read_with_its_unit() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(duration("ms").is_err() && duration("-1ms").is_err());
        assert!(duration("soon").is_err());
    }
}
