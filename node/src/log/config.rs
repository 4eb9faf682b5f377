//! What a log is told when it is opened.

use highwater_model::id::Offset;

/// Sizes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is closed before it would exceed so many bytes (`segment.bytes`).
    pub segment_bytes_max: u64,
    /// One index entry at most for so many bytes of records (`index.interval.bytes`).
    pub index_interval_bytes: u64,
    /// No batch is longer; whatever claims to be is taken for damage (`max.message.bytes` with room for its header).
    pub batch_bytes_max: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes_max: 1 << 30, index_interval_bytes: 4096, batch_bytes_max: 64 << 20 }
    }
}

/// How the process that last used the log ended, as far as is known (R60).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stop {
    /// It left a synced clean-stop marker: nothing may be missing.
    Clean,
    /// The kernel has run on since (equal boot id): at most the last append may be torn (X10).
    Killed,
    /// Anything unsynced may be missing or scrambled (X11).
    #[default]
    Unknown,
}

/// What checkpoints say of a log. All of it may be stale or absent (X6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Everything below was synced once (exclusive): a bad batch below is damage.
    pub recovery_point: Offset,
    /// First offset wanted, inclusive: records below have been trimmed. Where an empty log begins.
    pub log_start: Offset,
    /// Segments wholly below are not wanted (exclusive), though the log need not begin there: what is left of them, in
    /// whatever order a power loss brought them back, is removed.
    pub unneeded_below: Offset,
    /// How the last process ended.
    pub stop: Stop,
}

impl Hints {
    /// With what the log's own directory says: what is trimmed had been synced, so that a log which ends below is damaged.
    pub(super) fn with_noted_start(self, start: Offset) -> Self {
        let (log_start, recovery_point) = (self.log_start.max(start), self.recovery_point.max(start));
        Self { log_start, recovery_point, ..self }
    }

    /// A recovery point that no log reaches: whatever is found is less than what was counted, until a registration has
    /// said so. Nothing is known of what was synced.
    pub const NEVER_REACHED: Offset = Offset(i64::MAX.unsigned_abs());
}
