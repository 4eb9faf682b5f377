//! Snapshots of the metadata: taking them, so that the log does not grow for ever, serving them, and beginning from one
//! that the leader has (Q40 to Q43).
//!
//! A snapshot is what is committed below an offset, and who votes there. When one may be taken, offered or installed is
//! the core's to say; here its bytes are made, moved and read. The layout is in docs/FORMAT.md.

use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;
use highwater_model::fault::Faults;
use highwater_model::id::{NodeId, Offset, QuorumEpoch};
use highwater_model::metadata::{self, Image, Record};
use highwater_model::quorum::{BatchKind, Input, SnapshotId, VoterKey, VoterSet};
use highwater_transport::batch::{self, Batch, BatchBuilder, ControlKind};
use highwater_transport::env::Instant;
use tokio::sync::oneshot;

use super::{Ask, QuorumDriver, QuorumStopped, RecordsError, records};
use crate::disk::{Completion, Fault};
use crate::driver::issued::Issued;
use crate::log::{SnapshotName, Snapshots};
use crate::peers::Peers;
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// How much of a snapshot one answer carries; below the longest body of a frame.
const PART_BYTES: usize = 512 << 10;
/// How long one part is waited for.
const PART_WITHIN: Duration = Duration::from_secs(2);
/// A replica that has asked for no part for so long reads no more.
const READS_WITHIN: Duration = Duration::from_secs(6);
/// No snapshot is longer; whatever is said to be is not fetched.
const BYTES_MAX: u64 = 1 << 30;
/// Version of the header's and the footer's body, which is empty.
const FRAME_VERSION: u8 = 0;

/// What the driver knows of snapshots.
pub(super) struct Keeping {
    files: Snapshots,
    /// A snapshot is taken when so many bytes have been committed since the last one.
    bytes_between: u64,
    /// Whether who voted at first is not known here: then only a record of the voters says who votes at an offset.
    has_joined: bool,
    committed_bytes: u64,
    published: Issued<Completion<()>, Kept>,
    /// The snapshot that is being fetched for the core.
    wanted: Option<SnapshotId>,
    /// The snapshot that was served last.
    served: Option<Served>,
}

/// A snapshot that another replica reads.
struct Served {
    id: SnapshotId,
    bytes: Bytes,
    /// When it asked for a part last.
    at: Instant,
}

/// What a snapshot holds.
pub(super) struct Content {
    pub(super) voters: VoterSet,
    pub(super) image: Image,
}

/// A snapshot that is being published.
pub(super) enum Kept {
    /// Taken here.
    Taken(SnapshotId),
    /// Fetched from the leader.
    Fetched(SnapshotId, Box<Content>),
}

impl Keeping {
    pub(super) fn new(files: Snapshots, bytes_between: u64, has_joined: bool) -> Self {
        let published = Issued::new();
        Self { files, bytes_between, has_joined, committed_bytes: 0, published, wanted: None, served: None }
    }

    /// The next snapshot that was published, or could not be.
    pub(super) async fn published(&mut self) -> (Result<(), Fault>, Kept) {
        self.published.next().await
    }

    /// A batch of so many bytes was committed.
    pub(super) fn note_committed(&mut self, bytes: usize) {
        self.committed_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Whether another replica is reading this snapshot: it would have to begin again if that went.
    fn is_read(&self, id: SnapshotId, now: Instant) -> bool {
        self.served.as_ref().is_some_and(|served| served.id == id && now < served.at + READS_WITHIN)
    }

    /// The snapshot that is fetched is wanted no longer.
    pub(super) fn abandon(&mut self) {
        self.wanted = None;
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// Takes a snapshot of what is committed, when enough has been since the last one and it is durable here (Q40).
    pub(super) fn take_snapshot_if_due(&mut self) -> Result<(), QuorumStopped> {
        let (image, log) = (self.controller.committed(), self.core.log());
        let end = image.end();
        let is_due = self.snapshots.committed_bytes >= self.snapshots.bytes_between;
        if !is_due || self.is_older_read() || end > log.flushed() || !self.knows_voters_at(end) {
            return Ok(());
        }
        let Some(quorum_epoch) = end.before().and_then(|last| log.epoch_at(last)) else { return Ok(()) };
        let id = SnapshotId { end, quorum_epoch };
        let content = encode(self.core.voters().at(end), image, self.env.wall_ms())?;
        tracing::info!(%end, bytes = content.len(), "takes a snapshot of the metadata");
        self.snapshots.committed_bytes = 0;
        let published = self.snapshots.files.publish(name(id), content);
        self.snapshots.published.push(published, Kept::Taken(id));
        Ok(())
    }

    /// Whether the snapshot that goes when the next one is taken is being read.
    fn is_older_read(&self) -> bool {
        let older = self.core.oldest_snapshot().filter(|oldest| Some(*oldest) != self.core.snapshot());
        older.is_some_and(|older| self.snapshots.is_read(older, self.env.now()))
    }

    /// Whether the voters at `end`, exclusive, are known: since the quorum began, from a snapshot, or from a record.
    fn knows_voters_at(&self, end: Offset) -> bool {
        let mut records = self.core.voters().records().iter();
        !self.snapshots.has_joined
            || self.core.snapshot().is_some()
            || records.any(|record| record.offset < end)
    }

    pub(super) fn on_published(
        &mut self,
        kept: Kept,
        published: Result<(), Fault>,
    ) -> Result<(), QuorumStopped> {
        match (kept, published) {
            (Kept::Taken(id), Ok(())) => {
                self.step(Input::SnapshotTaken { id })?;
                self.remove_older();
                Ok(())
            }
            (Kept::Taken(id), Err(fault)) => {
                // The log goes on growing until the next one.
                tracing::warn!(end = %id.end, %fault, "cannot keep a snapshot of the metadata");
                Ok(())
            }
            // Something newer than it has come meanwhile.
            (Kept::Fetched(id, _), _) if self.snapshots.wanted != Some(id) => Ok(()),
            (Kept::Fetched(id, content), Ok(())) => self.install(id, *content),
            (Kept::Fetched(id, _), Err(fault)) => self.not_fetched(id, &fault.to_string()),
        }
    }

    /// The snapshot is the log's beginning from here on, and what it holds is committed (Q43).
    fn install(&mut self, id: SnapshotId, content: Content) -> Result<(), QuorumStopped> {
        self.snapshots.wanted = None;
        self.step(Input::SnapshotInstalled { id, voters: content.voters })?;
        if self.core.snapshot() != Some(id) {
            return Ok(());
        }
        tracing::info!(end = %id.end, "begins from a snapshot of the metadata");
        if self.controller.committed().end() < id.end {
            let records = vec![Record::Snapshot(Box::new(content.image))];
            let quorum_epoch = self.core.quorum_epoch();
            self.decisions.push_back(metadata::Input::Committed { end: id.end, quorum_epoch, records });
        }
        self.snapshots.committed_bytes = 0;
        self.tell_voters();
        self.remove_older();
        Ok(())
    }

    fn not_fetched(&mut self, id: SnapshotId, why: &str) -> Result<(), QuorumStopped> {
        tracing::warn!(end = %id.end, why, "cannot begin from the leader's snapshot yet");
        self.snapshots.wanted = None;
        self.step(Input::SnapshotFailed { id })
    }

    /// Removes the snapshots that the core needs no longer, aside.
    fn remove_older(&mut self) {
        let Some(oldest) = self.core.oldest_snapshot() else { return };
        self.snapshots.served.take_if(|served| served.id.end < oldest.end);
        let files = self.snapshots.files.clone();
        let removing = async move {
            if let Err(fault) = files.remove_below(oldest.end).await {
                tracing::warn!(%fault, "cannot remove older snapshots of the metadata");
            }
        };
        drop(self.env.spawn("remove snapshots", removing));
    }

    /// Fetches the leader's snapshot, aside.
    pub(super) fn fetch_snapshot(&mut self, from: NodeId, id: SnapshotId) {
        self.snapshots.wanted = Some(id);
        let (peers, replica, own) = (self.peers.clone(), self.tenure.key, self.own.clone());
        let fetching = async move {
            let fetched = fetch(&peers, from, replica, id).await;
            if let Some(own) = own.upgrade() {
                drop(own.send(Ask::SnapshotFetched { id, fetched }).await);
            }
        };
        drop(self.env.spawn("fetch a snapshot", fetching));
    }

    pub(super) fn on_snapshot_fetched(
        &mut self,
        id: SnapshotId,
        fetched: Result<Bytes, String>,
    ) -> Result<(), QuorumStopped> {
        if self.snapshots.wanted != Some(id) {
            return Ok(());
        }
        let read = fetched.and_then(|bytes| decode(&bytes).map(|content| (bytes, content)));
        match read {
            Ok((bytes, content)) if content.image.end() == id.end => {
                let published = self.snapshots.files.publish(name(id), bytes);
                self.snapshots.published.push(published, Kept::Fetched(id, Box::new(content)));
                Ok(())
            }
            Ok((_, content)) => {
                self.not_fetched(id, &format!("it ends at {}, not at {}", content.image.end(), id.end))
            }
            Err(what) => self.not_fetched(id, &what),
        }
    }

    /// Serves a part of a snapshot to a replica, which shows that the replica lives (Q7).
    pub(super) fn serve_snapshot(
        &mut self,
        to: VoterKey,
        (id, position): (SnapshotId, u64),
        reply: oneshot::Sender<ControllerAnswer>,
    ) -> Result<(), QuorumStopped> {
        let part = self.part(id, position).map_err(|fault| {
            let message = format!("the snapshot up to {} cannot be read here: {fault}", id.end);
            ControllerAnswer::Refused(ApiError::new(ErrorCode::KafkaStorageError, message))
        });
        drop(reply.send(part.unwrap_or_else(|refused| refused)));
        self.step(Input::SnapshotServed { to })
    }

    fn part(&mut self, id: SnapshotId, position: u64) -> Result<ControllerAnswer, Fault> {
        let bytes = match &self.snapshots.served {
            Some(served) if served.id == id => served.bytes.clone(),
            _ => self.snapshots.files.read(name(id))?,
        };
        self.snapshots.served = Some(Served { id, bytes: bytes.clone(), at: self.env.now() });
        let from = usize::try_from(position).unwrap_or(usize::MAX).min(bytes.len());
        let to = from.saturating_add(PART_BYTES).min(bytes.len());
        let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(ControllerAnswer::SnapshotPart { total, bytes: bytes.slice(from..to).to_vec() })
    }
}

/// The whole snapshot, part by part.
async fn fetch(peers: &Peers, from: NodeId, replica: VoterKey, id: SnapshotId) -> Result<Bytes, String> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let position = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let call = ControllerCall::FetchSnapshot { replica, id, position };
        match peers.call(from, &call, PART_WITHIN).await {
            Ok(ControllerAnswer::SnapshotPart { total, bytes: part }) => {
                bytes.extend_from_slice(&part);
                if u64::try_from(bytes.len()).is_ok_and(|have| have == total) {
                    return Ok(bytes.into());
                }
                if part.is_empty() || total > BYTES_MAX || position >= total {
                    return Err(format!("it is said to be {total} bytes long and ends after {position}"));
                }
            }
            Ok(ControllerAnswer::Refused(error)) => return Err(error.message),
            Ok(_) => return Err(format!("node {from} does not lead any more")),
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn name(id: SnapshotId) -> SnapshotName {
    SnapshotName { end: id.end, epoch: id.quorum_epoch.0 }
}

fn id(name: SnapshotName) -> SnapshotId {
    SnapshotId { end: name.end, quorum_epoch: QuorumEpoch(name.epoch) }
}

/// What a start finds.
pub(super) struct Found {
    /// The newest snapshot that can be read.
    pub(super) id: SnapshotId,
    /// What is in it.
    pub(super) content: Content,
    /// The one before it.
    pub(super) older: Option<SnapshotId>,
    /// What of the log lies before this may have been trimmed in part, and goes: nothing, if no snapshot ever went.
    pub(super) needed_from: Offset,
}

/// The newest snapshot that can be read, and the one before it.
pub(super) fn newest(files: &Snapshots) -> Result<Option<Found>, Fault> {
    let names = files.list()?;
    let mut left = names.iter().copied().rev();
    while let Some(name) = left.next() {
        match decode(&files.read(name)?) {
            Ok(content) if content.image.end() == name.end => {
                let older = left.next().map(id);
                let alone = if names.len() > 1 { name.end } else { Offset::ZERO };
                let needed_from = older.map_or(alone, |older| older.end);
                return Ok(Some(Found { id: id(name), content, older, needed_from }));
            }
            Ok(_) => tracing::error!(end = %name.end, "a snapshot of the metadata has another one's name"),
            Err(what) => tracing::error!(end = %name.end, what, "a snapshot of the metadata cannot be read"),
        }
    }
    Ok(None)
}

/// The bytes of a snapshot: header, voters, image, footer.
fn encode(voters: &VoterSet, image: &Image, wall_ms: u64) -> Result<Bytes, RecordsError> {
    let timestamp_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let frame = |kind| -> Result<Bytes, RecordsError> {
        Ok(BatchBuilder::control(kind, timestamp_ms, &[FRAME_VERSION])?.build()?)
    };
    let voters = records::encode_control(&BatchKind::Voters(voters.clone()), wall_ms)?.unwrap_or_default();
    let image = records::encode_decision(&[Record::Snapshot(Box::new(image.clone()))], wall_ms)?;
    let parts = [frame(ControlKind::SnapshotHeader)?, voters, image, frame(ControlKind::SnapshotFooter)?];
    Ok(parts.concat().into())
}

/// What the bytes of a snapshot hold, if they are one, whole.
fn decode(bytes: &Bytes) -> Result<Content, String> {
    let batches = batch::split(bytes.clone()).map_err(|error| error.to_string())?;
    let [header, voters, image, footer] = batches.as_slice() else {
        return Err(format!("it has {} batches, not four", batches.len()));
    };
    if let Some(error) = batches.iter().find_map(|batch| batch.check_crc().err()) {
        return Err(error.to_string());
    }
    let is = |batch: &Batch, kind| matches!(batch.control_kind(), Ok(Some(found)) if found == kind);
    if !is(header, ControlKind::SnapshotHeader) || !is(footer, ControlKind::SnapshotFooter) {
        return Err("it does not go from a header to a footer".to_owned());
    }
    let BatchKind::Voters(voters) = records::summary(voters).map_err(|error| error.to_string())?.kind else {
        return Err("it does not name the voters".to_owned());
    };
    let records = records::decode_decision(image).map_err(|error| error.to_string())?;
    match records.into_iter().next() {
        Some(Record::Snapshot(image)) => Ok(Content { voters, image: *image }),
        _ => Err("it holds no image".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::DirectoryId;

    fn content() -> (VoterSet, Image) {
        let key = VoterKey { id: NodeId(1), directory: DirectoryId(9) };
        let mut image = Image::default();
        image.apply(Offset(40), &[]);
        (VoterSet::new([key]).unwrap(), image)
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written_and_not_in_part() {
        let (voters, image) = content();
        let bytes = encode(&voters, &image, 5).unwrap();

        let read = decode(&bytes).unwrap();
        assert_eq!((read.voters, read.image), (voters, image));
        for length in 0..bytes.len() {
            assert!(decode(&bytes.slice(..length)).is_err(), "{length}");
        }
    }

    #[test]
    fn a_snapshot_is_read_until_no_part_has_been_asked_for_in_a_while() {
        let disk = crate::disk::SimDisk::new("sim", 1).mount(None);
        let mut keeping = Keeping::new(Snapshots::new(disk, "log"), 1, false);
        let [one, other] = [4, 5].map(|end| SnapshotId { end: Offset(end), quorum_epoch: QuorumEpoch(1) });
        keeping.served = Some(Served { id: one, bytes: Bytes::new(), at: Instant::default() });

        let soon = Instant::default() + PART_WITHIN;
        assert_eq!((keeping.is_read(one, soon), keeping.is_read(other, soon)), (true, false));
        assert!(!keeping.is_read(one, Instant::default() + READS_WITHIN));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let (voters, image) = content();
        let bytes = encode(&voters, &image, 5).unwrap();

        for at in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1;
            // Offset and epoch of a batch lie outside its checksum, and mean nothing here.
            let read = decode(&flipped.into());
            assert!(
                read.is_err() || read.is_ok_and(|read| read.image == image && read.voters == voters),
                "{at}"
            );
        }
    }
}
