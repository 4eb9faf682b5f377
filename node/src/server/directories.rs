//! Taking the log directories of a node, and whether they can be used together.

use std::sync::Arc;

use highwater_model::id::NodeId;

use super::StartError;
use crate::disk::Disk;
use crate::driver::quorum::LOG_DIRECTORY;
use crate::kept::{DirectoryError, LogDirectory};

/// Takes every directory for this node.
pub(super) async fn take(disks: Vec<Arc<dyn Disk>>, node: NodeId) -> Result<Vec<LogDirectory>, StartError> {
    let mut directories = Vec::with_capacity(disks.len());
    for disk in disks {
        directories.push(LogDirectory::take(disk, node).await?);
    }
    Ok(directories)
}

/// Each directory is one of its own, and the metadata of this node is in the first of them, if it is anywhere.
pub(super) fn check(directories: &[LogDirectory], node: NodeId) -> Result<(), StartError> {
    let Some((first, others)) = directories.split_first() else { return Ok(()) };
    let name = |directory: &LogDirectory| directory.disk.name().to_owned();
    let voters = &first.formatted.voters;
    let has_log = |directory: &LogDirectory| -> Result<bool, StartError> {
        let entries = directory.disk.list("").map_err(DirectoryError::from)?;
        Ok(entries.iter().any(|entry| entry.name == LOG_DIRECTORY))
    };
    for (at, other) in (1..).zip(others) {
        let same = directories.iter().take(at).find(|before| before.id() == other.id());
        if let Some(same) = same {
            let (id, first, second) = (other.id(), name(same), name(other));
            return Err(StartError::SameDirectory { id, first, second });
        }
        let votes = voters.iter().any(|voter| voter.node == node && voter.directory == other.id());
        if votes || (has_log(other)? && !has_log(first)?) {
            return Err(StartError::MetadataElsewhere { first: name(first), found: name(other) });
        }
    }
    Ok(())
}
