//! Names of files and directories, as Kafka has them.

use highwater_model::id::{Offset, PartitionIndex};

/// The kinds of file that make up a segment.
pub(super) const SEGMENT_SUFFIXES: [&str; 3] = [".log", ".index", ".timeindex"];
/// What the file of a segment ends with that is to be the first of a log, and is not yet.
pub(super) const NAMELESS: &str = ".log.tmp";
/// What the file of a segment ends with that is to be the only one of a log: whatever else there is goes.
pub(super) const NEXT: &str = ".log.next";
/// First offset of a log of which records have been deleted.
pub(super) const LOG_START: &str = "log-start-checkpoint";
pub(super) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(super) const PARTITION_METADATA: &str = "partition.metadata";
/// What the directory of a log that is being deleted ends with.
pub(super) const DELETED: &str = "-delete";

/// What the directory of a log that is another one's older copy ends with.
const STRAY: &str = "-stray";

/// The directory of a partition's log: `<topic>-<partition>`.
#[must_use]
pub fn directory_of(topic: &str, partition: PartitionIndex) -> String {
    format!("{topic}-{partition}")
}

/// What a copy of the log in `directory` is called once it is set aside; `unique` tells it from others of the same log.
#[must_use]
pub fn stray_of(directory: &str, unique: u128) -> String {
    format!("{directory}.{unique:032x}{STRAY}")
}

/// Topic and partition of a log's directory.
#[must_use]
pub fn parse_directory(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let digits = !partition.is_empty() && partition.bytes().all(|byte| byte.is_ascii_digit());
    let partition = partition.parse().ok().filter(|_| digits)?;
    (!topic.is_empty()).then_some((topic, PartitionIndex(partition)))
}

/// A file of the segment that begins at `base`.
pub(super) fn segment_file(directory: &str, base: Offset, suffix: &str) -> String {
    format!("{directory}/{:020}{suffix}", base.0)
}

/// Base offset of a segment's `.log` file.
pub(super) fn parse_log_file(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).map(Offset)
}

/// Whether a file was to be a log's first segment, and never was.
pub(super) fn is_nameless(name: &str) -> bool {
    name.strip_suffix(".tmp").and_then(parse_log_file).is_some()
}

/// Where a log is to begin, of a file that is its next.
pub(super) fn parse_next(name: &str) -> Option<Offset> {
    name.strip_suffix(".next").and_then(parse_log_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_have_dashes_and_digits() {
        assert_eq!(parse_directory("a-1-22"), Some(("a-1", PartitionIndex(22))));
        assert_eq!(parse_directory(&directory_of("t", PartitionIndex(0))), Some(("t", PartitionIndex(0))));
        for other in ["a", "-0", "a-", "a-x", "a-0.1f-delete", "a-+1", &stray_of("a-0", 31)] {
            assert_eq!(parse_directory(other), None, "{other}");
        }
    }

    #[test]
    fn a_segment_is_named_by_its_first_offset() {
        assert_eq!(segment_file("t-0", Offset(42), ".log"), "t-0/00000000000000000042.log");
        assert_eq!(parse_log_file("00000000000000000042.log"), Some(Offset(42)));
        assert_eq!(parse_log_file("42.log"), None);
        assert!(is_nameless(&segment_file("t-0", Offset(42), NAMELESS)["t-0/".len()..]));
        assert!(!is_nameless("00000000000000000042.log") && !is_nameless("leader-epoch-checkpoint.tmp"));
    }
}
