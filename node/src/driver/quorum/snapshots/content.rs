//! What is in a snapshot, and its bytes: header, voters, image, footer. Whoever may not be held up calls this aside.

use bytes::Bytes;
use highwater_model::metadata::{Image, Record};
use highwater_model::quorum::{BatchKind, VoterSet};
use highwater_transport::batch::{self, Batch, BatchBuilder, ControlKind};

use crate::driver::quorum::{RecordsError, records};

/// Version of the header's and the footer's body, which is empty.
const FRAME_VERSION: u8 = 0;

/// What a snapshot holds.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) voters: VoterSet,
    pub(crate) image: Image,
}

/// The bytes of a snapshot: header, voters, image, footer.
pub(super) fn encode(voters: &VoterSet, image: &Image, wall_ms: u64) -> Result<Bytes, RecordsError> {
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
pub(super) fn decode(bytes: &Bytes) -> Result<Content, String> {
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
    use highwater_model::id::{DirectoryId, NodeId, Offset};
    use highwater_model::quorum::VoterKey;

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
