//! `partition.metadata`: which topic a log belongs to, by id (R82).

use bytes::Bytes;
use highwater_model::id::TopicId;

use super::names::PARTITION_METADATA;
use super::uuid;
use crate::disk::{Disk, Fault};

/// The topic id that a log's directory names; `None` without the file.
///
/// # Errors
/// [`Fault::Malformed`] when the file is there and is not one; storage faults.
pub fn topic_id_of(disk: &dyn Disk, directory: &str) -> Result<Option<TopicId>, Fault> {
    let path = format!("{directory}/{PARTITION_METADATA}");
    match disk.read_whole(&path) {
        Ok(text) => match parse(&text) {
            Some(topic) => Ok(Some(topic)),
            None => Err(Fault::Malformed { path, what: "names no topic id".to_owned() }),
        },
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn check_or_write(
    disk: &dyn Disk,
    directory: &str,
    topic_id: Option<TopicId>,
) -> Result<(), Fault> {
    let Some(wanted) = topic_id else { return Ok(()) };
    let path = format!("{directory}/{PARTITION_METADATA}");
    match topic_id_of(disk, directory)? {
        Some(found) if found == wanted => Ok(()),
        Some(found) => {
            Err(Fault::Malformed { path, what: format!("belongs to topic id {found}, expected {wanted}") })
        }
        None => disk.replace(&path, to_text(wanted)).await,
    }
}

fn to_text(id: TopicId) -> Bytes {
    Bytes::from(format!("version: 0\ntopic_id: {}\n", uuid::to_text(id.0)))
}

fn parse(text: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(text).ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("topic_id: "))?;
    uuid::parse(id.trim()).map(TopicId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_id_comes_back() {
        let id = TopicId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

        assert_eq!(parse(&to_text(id)), Some(id));
        assert_eq!(parse(b"version: 0\n"), None);
    }
}
