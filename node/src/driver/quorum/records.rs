//! How the records of the quorum log lie on disk: (type, version, body) in the values of Kafka record batches.
//!
//! A decision is one batch; a control record (the start of a leader, a set of voters) is a control batch of its own. Type
//! and body of the cluster's records are [`Record`]'s; docs/FORMAT.md has the layout. Nothing here compares an epoch.

use bytes::Bytes;
use highwater_model::id::Offset;
use highwater_model::metadata::Record;
use highwater_model::quorum::{Batch as Summary, BatchKind, VoterSet};
use highwater_transport::batch::{Batch, BatchBuilder, BatchError, BuildError, ControlKind, NewRecord};

/// Version of the body of a control record of voters.
const VOTERS_VERSION: u8 = 0;
/// Version of the body, which is empty, of a control record of a new leader.
const LEADER_CHANGE_VERSION: u8 = 0;
/// Bytes of type and version before a body.
const ENVELOPE_BYTES: usize = 3;

/// Why bytes of the quorum log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The batch is not a record batch.
    #[error("quorum log: {0}")]
    Batch(#[from] BatchError),
    /// The decision does not fit a batch.
    #[error("quorum log: {0}")]
    Build(#[from] BuildError),
    /// A record has no value, or one that is shorter than type and version.
    #[error("quorum log: the record at {offset} has no type")]
    Envelope {
        /// The record.
        offset: Offset,
    },
    /// A record that this build does not know: written by a later version.
    #[error(
        "quorum log: the record at {offset} has type {type_id} and version {version}, unknown to this build"
    )]
    Unknown {
        /// The record.
        offset: Offset,
        /// Its type.
        type_id: u16,
        /// Its version.
        version: u8,
    },
    /// A body that is not of its type.
    #[error("quorum log: the body of the record at {offset}: {source}")]
    Body {
        /// The record.
        offset: Offset,
        /// What is wrong.
        source: postcard::Error,
    },
    /// A control batch of a kind that the quorum log does not have.
    #[error("quorum log: control record of kind {kind:?}")]
    Control {
        /// Its kind.
        kind: ControlKind,
    },
}

/// The bytes of one decision, not yet stamped with offset and epoch.
///
/// # Errors
/// When the decision is larger than a batch can be.
pub(crate) fn encode_decision(records: &[Record], wall_ms: u64) -> Result<Bytes, RecordsError> {
    let mut builder = BatchBuilder::new();
    for record in records {
        let value = encode(record)?;
        let timestamp_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        builder.push(&NewRecord { timestamp_ms, value: Some(&value), ..NewRecord::default() })?;
    }
    Ok(builder.build()?)
}

/// The bytes of a control batch; `None` for a batch of data, whose bytes are its proposer's.
///
/// # Errors
/// When the voters do not fit a batch, which 32 do.
pub(crate) fn encode_control(kind: &BatchKind, wall_ms: u64) -> Result<Option<Bytes>, RecordsError> {
    let timestamp_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let (control, value) = match kind {
        BatchKind::Data => return Ok(None),
        BatchKind::LeaderChange => (ControlKind::LeaderChange, vec![LEADER_CHANGE_VERSION]),
        BatchKind::Voters(voters) => {
            let value = vec![VOTERS_VERSION];
            let body = postcard::to_extend(voters, value)
                .map_err(|source| RecordsError::Body { offset: Offset::ZERO, source })?;
            (ControlKind::KraftVoters, body)
        }
    };
    Ok(Some(BatchBuilder::control(control, timestamp_ms, &value)?.build()?))
}

/// What the core needs to know of a batch.
///
/// # Errors
/// When a control batch is malformed or of a kind that the quorum log does not have.
pub(crate) fn summary(batch: &Batch) -> Result<Summary, RecordsError> {
    let header = batch.header();
    Ok(Summary {
        base_offset: header.base_offset,
        count: header.last_offset_delta.saturating_add(1),
        quorum_epoch: highwater_model::id::QuorumEpoch(header.leader_epoch.unwrap_or(0)),
        kind: kind(batch)?,
    })
}

fn kind(batch: &Batch) -> Result<BatchKind, RecordsError> {
    match batch.control_kind()? {
        None => Ok(BatchKind::Data),
        Some(ControlKind::LeaderChange) => Ok(BatchKind::LeaderChange),
        Some(ControlKind::KraftVoters) => voters(batch).map(BatchKind::Voters),
        Some(kind) => Err(RecordsError::Control { kind }),
    }
}

fn voters(batch: &Batch) -> Result<VoterSet, RecordsError> {
    let offset = batch.header().base_offset;
    let record = batch.records()?.next().ok_or(RecordsError::Envelope { offset })??;
    let value = record.value.ok_or(RecordsError::Envelope { offset })?;
    match value.split_first() {
        Some((&VOTERS_VERSION, body)) => {
            postcard::from_bytes(body).map_err(|source| RecordsError::Body { offset, source })
        }
        Some((&version, _)) => {
            Err(RecordsError::Unknown { offset, type_id: ControlKind::KraftVoters.number(), version })
        }
        None => Err(RecordsError::Envelope { offset }),
    }
}

/// The cluster's records in a batch; none in a control batch.
///
/// # Errors
/// When a record is malformed or unknown to this build.
pub(crate) fn decode_decision(batch: &Batch) -> Result<Vec<Record>, RecordsError> {
    if batch.control_kind()?.is_some() {
        return Ok(Vec::new());
    }
    let mut decoded = Vec::new();
    for record in batch.records()? {
        let record = record?;
        let value = record.value.ok_or(RecordsError::Envelope { offset: record.offset })?;
        decoded.push(decode(record.offset, &value)?);
    }
    Ok(decoded)
}

fn encode(record: &Record) -> Result<Vec<u8>, RecordsError> {
    let mut value = record.type_id().to_be_bytes().to_vec();
    value.push(record.version());
    let mut serializer = postcard::Serializer { output: postcard::ser_flavors::ExtendFlavor::new(value) };
    record
        .serialize_body(&mut serializer)
        .map_err(|source| RecordsError::Body { offset: Offset::ZERO, source })?;
    postcard::ser_flavors::Flavor::finalize(serializer.output)
        .map_err(|source| RecordsError::Body { offset: Offset::ZERO, source })
}

fn decode(offset: Offset, value: &[u8]) -> Result<Record, RecordsError> {
    let (envelope, body) = value.split_at_checked(ENVELOPE_BYTES).ok_or(RecordsError::Envelope { offset })?;
    let [high, low, version] = *envelope else { return Err(RecordsError::Envelope { offset }) };
    let type_id = u16::from_be_bytes([high, low]);
    let mut from = postcard::Deserializer::from_bytes(body);
    let record = Record::deserialize_body(type_id, version, &mut from).map_err(|unknown| {
        RecordsError::Unknown { offset, type_id: unknown.type_id, version: unknown.version }
    })?;
    record.map_err(|source| RecordsError::Body { offset, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{BrokerEpoch, DirectoryId, NodeId, QuorumEpoch};
    use highwater_model::metadata::BrokerChanged;
    use highwater_model::quorum::VoterKey;

    fn batch(mut bytes: Bytes) -> Batch {
        Batch::split_first(&mut bytes).expect("an encoded batch is one")
    }

    fn fenced(node: u32) -> Record {
        Record::BrokerFenced(BrokerChanged { node: NodeId(node), broker_epoch: BrokerEpoch(300) })
    }

    #[test]
    fn a_record_keeps_its_bytes() {
        let golden = [0, 2, 0, 1, 172, 2];

        assert_eq!(encode(&fenced(1)).expect("a record can be encoded"), golden);
        assert_eq!(decode(Offset(0), &golden).expect("the bytes are a record"), fenced(1));
    }

    #[test]
    fn a_decision_is_one_batch_with_its_place() {
        let records = [fenced(1), fenced(2)];
        let bytes = encode_decision(&records, 5).expect("a decision can be encoded");
        let placed = batch(bytes).stamped(Offset(40), 7, None);

        let expected = Summary {
            base_offset: Offset(40),
            count: 2,
            quorum_epoch: QuorumEpoch(7),
            kind: BatchKind::Data,
        };
        assert_eq!(summary(&placed).expect("a stamped decision has a summary"), expected);
        assert_eq!(decode_decision(&placed).expect("a decision can be read"), records);
    }

    #[test]
    fn control_records_come_back_as_they_were() {
        let key = VoterKey { id: NodeId(3), directory: DirectoryId(9) };
        let voters = VoterSet::new([key]).expect("one voter is a set");

        for kind in [BatchKind::LeaderChange, BatchKind::Voters(voters)] {
            let bytes = encode_control(&kind, 5).expect("it can be encoded").expect("it is a control record");
            let read = batch(bytes);
            assert_eq!(summary(&read).expect("it has a summary").kind, kind);
            assert_eq!(decode_decision(&read).expect("it can be read"), []);
        }
    }

    #[test]
    fn what_a_later_version_wrote_is_named_and_refused() {
        let unknown = decode(Offset(4), &[0xff, 0, 0]).expect_err("there is no such type");
        let short = decode(Offset(4), &[0]).expect_err("a type takes two bytes");

        assert!(unknown.to_string().contains("type 65280 and version 0"), "{unknown}");
        assert!(matches!(short, RecordsError::Envelope { offset: Offset(4) }));
    }
}
