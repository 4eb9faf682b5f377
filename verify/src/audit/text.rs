//! The small text files of a log directory: checkpoints, properties, ids.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use super::segment::{Unreadable, open_plain};

/// No file that is read as a whole is longer, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The bytes of a file that is read as a whole; nothing if there is none.
pub(super) fn whole(path: &Path) -> Result<Option<Vec<u8>>, Unreadable> {
    let Some(file) = open_plain(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(Unreadable::of(path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let error = io::Error::other(format!("it is longer than {FILE_BYTES_MAX} bytes"));
        return Err(Unreadable::of(path)(error));
    }
    Ok(Some(bytes))
}

/// Shows the entries of a checkpoint, each a line of `N` words: version 0, their number, and they. Nothing where this is no such
/// checkpoint, or `entry` does not take one. No more of it is kept than `entry` keeps.
fn entries<const N: usize>(text: &[u8], mut entry: impl FnMut([&str; N]) -> Option<()>) -> Option<()> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: u64 = lines.next()?.trim().parse().ok()?;
    let mut seen = 0_u64;
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let mut taken = [""; N];
        for word in &mut taken {
            *word = words.next()?;
        }
        if words.next().is_some() {
            return None;
        }
        entry(taken)?;
        seen += 1;
    }
    (seen == count).then_some(())
}

fn offset(word: &str) -> Option<u64> {
    word.parse().ok().filter(|offset| *offset <= i64::MAX.unsigned_abs())
}

/// Recovery points, by the directory of the log; nothing where this is no such checkpoint. No log has two.
pub(super) fn recovery_points(text: &[u8]) -> Option<BTreeMap<String, u64>> {
    let mut points = BTreeMap::new();
    entries(text, |[topic, partition, point]| {
        let name = format!("{topic}-{partition}");
        log_name(&name)?;
        points.insert(name, offset(point)?).is_none().then_some(())
    })?;
    Some(points)
}

/// Epochs and where each begins, ascending in both; nothing where this is no such checkpoint.
pub(super) fn epochs(text: &[u8]) -> Option<Vec<(u32, u64)>> {
    let mut epochs: Vec<(u32, u64)> = Vec::new();
    entries(text, |[epoch, start]| {
        let next = (epoch.parse().ok()?, offset(start)?);
        let continues = epochs.last().is_none_or(|last| last.0 < next.0 && last.1 <= next.1);
        epochs.push(next);
        continues.then_some(())
    })?;
    Some(epochs)
}

/// Where a log begins; nothing where this is no such note.
pub(super) fn log_start(text: &[u8]) -> Option<u64> {
    let mut noted = None;
    entries(text, |[start]| noted.replace(offset(start)?).is_none().then_some(()))?;
    noted
}

/// `name=value` lines, with backslashes taken away as Java's properties have them; nothing where this is no text, or a name has two
/// values.
pub(super) fn properties(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut said = BTreeMap::new();
    let lines = std::str::from_utf8(text).ok()?.lines().filter(|line| !line.trim_start().starts_with('#'));
    for (name, value) in lines.filter_map(|line| line.split_once('=')) {
        if said.insert(name.trim().to_owned(), unescaped(value.trim())).is_some() {
            return None;
        }
    }
    Some(said)
}

/// How a directory is or was in use: the newest registration that a `start-up` or `clean-stop` names, 0 for none; nothing where this
/// is neither.
pub(super) fn used_under(text: &[u8]) -> Option<u64> {
    let said = properties(text)?;
    let registration = |name: &str| said.get(name).map_or(Some(0), |epoch| epoch.parse().ok());
    let used = registration("used.under")?.max(registration("broker.epoch")?);
    (said.get("version")? == "1").then_some(used)
}

/// As [`used_under`], of a `clean-stop`, which always names a registration.
pub(super) fn clean_stop(text: &[u8]) -> Option<u64> {
    let used = used_under(text)?;
    properties(text)?.contains_key("broker.epoch").then_some(used)
}

fn unescaped(value: &str) -> String {
    let mut plain = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character == '\\' { plain.extend(characters.next()) } else { plain.push(character) }
    }
    plain
}

/// An id of the form 8-4-4-4-12.
pub(super) fn unique(text: &str) -> Option<u128> {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}

/// The topic's id of a `partition.metadata`.
pub(super) fn topic_id(text: &[u8]) -> Option<u128> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let version = lines.next()?.strip_prefix("version:")?.trim();
    let id = lines.next()?.strip_prefix("topic_id:")?.trim();
    if version == "0" && lines.next().is_none() { base64(id) } else { None }
}

/// 128 bits in base 64, URL-safe alphabet, no padding: 22 characters, whose last 4 bits are none.
fn base64(text: &str) -> Option<u128> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if text.len() != 22 {
        return None;
    }
    let mut values = Vec::with_capacity(22);
    for byte in text.bytes() {
        values.push(u128::try_from(ALPHABET.iter().position(|known| *known == byte)?).ok()?);
    }
    let (last, first) = values.split_last()?;
    if last & 0b1111 != 0 {
        return None;
    }
    Some(first.iter().fold(0, |id, value| (id << 6) | value) << 2 | (last >> 4))
}

/// Topic and partition of a log's directory. A partition has one name: no zeros before its number.
pub(super) fn log_name(name: &str) -> Option<(&str, u32)> {
    let (topic, digits) = name.rsplit_once('-')?;
    let partition: u32 = digits.parse().ok()?;
    let is_plain = !topic.is_empty() && partition.to_string() == digits;
    is_plain.then_some((topic, partition))
}

/// The offset that a file of a log is named by, if it ends so.
pub(super) fn named_offset(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix)?;
    let is_plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    offset(digits).filter(|_| is_plain)
}

/// End and epoch of a snapshot, by its name.
pub(super) fn snapshot_name(name: &str) -> Option<(u64, u32)> {
    let (end, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    let is_plain =
        |digits: &str, count| digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_digit());
    let epoch = epoch.parse().ok().filter(|_| is_plain(epoch, 10))?;
    offset(end).filter(|_| is_plain(end, 20)).map(|end| (end, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_read_and_what_is_none_says_nothing() {
        assert_eq!(
            recovery_points(b"0\n2\na-1 0 7\nb 12 0\n"),
            Some(BTreeMap::from([("a-1-0".to_owned(), 7), ("b-12".to_owned(), 0)]))
        );
        assert_eq!(epochs(b"0\n2\n0 0\n3 17\n"), Some(vec![(0, 0), (3, 17)]));
        assert_eq!(log_start(b"0\n1\n500\n"), Some(500));
        for bad in ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\nx 0\n", "0\n1\n0\nb", "\u{fffd}", "0\n0\n0 0\n"] {
            assert_eq!(epochs(bad.as_bytes()), None, "{bad:?}");
        }
        // Neither falls, and no log has two entries.
        for bad in ["0\n2\n3 0\n3 1\n", "0\n2\n3 1\n4 0\n"] {
            assert_eq!(epochs(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(recovery_points(b"0\n2\na 0 7\na 0 8\n"), None);
        assert_eq!(recovery_points(b"0\n1\na 00 7\n"), None);
        assert_eq!(log_start(b"0\n2\n1\n2\n"), None);
        assert_eq!(log_start(b"0\n0\n"), None);
        assert_eq!(log_start(b"0\n1\n9223372036854775808\n"), None);
    }

    #[test]
    fn names_are_taken_apart_from_their_ends() {
        assert_eq!(log_name("a-1-22"), Some(("a-1", 22)));
        assert_eq!(log_name("a-0-delete"), None);
        assert_eq!(log_name("a-+1"), None);
        assert_eq!(log_name("a-01"), None);
        assert_eq!(named_offset("18446744073709551615.log", ".log"), None);
        assert_eq!(named_offset("00000000000000000042.log", ".log"), Some(42));
        assert_eq!(named_offset("42.log", ".log"), None);
        assert_eq!(snapshot_name("00000000000000000042-0000000003.checkpoint"), Some((42, 3)));
    }

    #[test]
    fn ids_are_read_in_both_forms() {
        let id = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;

        assert_eq!(unique("01234567-89ab-cdef-0123-456789abcdef"), Some(id));
        assert_eq!(topic_id(b"version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7w\n"), Some(id));
        assert_eq!(topic_id(b"version: 0\ntopic_id: ASNFZ4mrze8BI0VniavN7x\n"), None);
        assert_eq!(topic_id(b"version: 0\ntopic_id: ASNF\n"), None);
    }

    #[test]
    fn properties_lose_comments_and_backslashes() {
        let read = properties(b"# said\nversion=1\nname=a\\:b\\\\c\n").unwrap();

        assert_eq!(read.get("name").map(String::as_str), Some("a:b\\c"));
        assert_eq!(read.len(), 2);
        assert_eq!(properties(b"a=1\na=2\n"), None);
        assert_eq!(properties(b"a=\xff\n"), None);
    }

    #[test]
    fn the_newest_registration_counts() {
        assert_eq!(used_under(b"version=1\nboot.id=b\nbroker.epoch=3\nused.under=2\n"), Some(3));
        assert_eq!(used_under(b"version=1\nboot.id=b\n"), Some(0));
        assert_eq!(used_under(b"version=1\nused.under=x\n"), None);
        assert_eq!(used_under(b""), None);
        assert_eq!(clean_stop(b"version=1\nbroker.epoch=5\n"), Some(5));
        assert_eq!(clean_stop(b"version=1\n"), None);
    }
}
