//! Where a log begins once records have been deleted (R80): noted in the log's own directory before any of them goes, so that
//! what comes back of them, in whatever order, is known to be deleted.

use bytes::Bytes;
use highwater_model::id::Offset;

use super::names::LOG_START;
use crate::disk::{Disk, Fault};

/// What is noted; 0 when nothing is, or nothing that can be read: then the log begins with its first segment.
pub(super) fn read(disk: &dyn Disk, directory: &str) -> Result<Offset, Fault> {
    match disk.read_whole(&path(directory)) {
        Ok(text) => Ok(parse(&text).unwrap_or_else(|| {
            let path = path(directory);
            tracing::warn!(
                path,
                "this is no note of where a log begins: what was deleted of its first segment is there again"
            );
            Offset::ZERO
        })),
        Err(fault) if fault.is_missing() => Ok(Offset::ZERO),
        Err(fault) => Err(fault),
    }
}

/// Notes it, durably.
pub(super) fn write(disk: &dyn Disk, directory: &str, start: Offset) -> Result<(), Fault> {
    disk.replace_now(&path(directory), Bytes::from(format!("0\n1\n{start}\n")))
}

/// Removes the note, durably.
pub(super) fn remove(disk: &dyn Disk, directory: &str) -> Result<(), Fault> {
    disk.cut(&[path(directory)], None)
}

fn path(directory: &str) -> String {
    format!("{directory}/{LOG_START}")
}

fn parse(text: &[u8]) -> Option<Offset> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let is_known = lines.next()? == "0" && lines.next()? == "1";
    let start = lines.next()?.parse().ok().filter(|start| *start <= i64::MAX.unsigned_abs());
    start.filter(|_| is_known && lines.next().is_none()).map(Offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_note_says_nothing() {
        assert_eq!(parse(b"0\n1\n500\n"), Some(Offset(500)));
        for bad in ["", "0\n1\n", "0\n1\n-1\n", "1\n1\n5\n", "0\n1\n5\n6\n", "0\n1\n9223372036854775808\n"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
