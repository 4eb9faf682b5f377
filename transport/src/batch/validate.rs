//! What untrusted bytes must fulfil before they are appended or believed.

use thiserror::Error;

use super::{Batch, Compression};

/// Why bytes are not a valid record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// There are fewer bytes than the format needs here.
    #[error("needs {needs} bytes, has {has}")]
    Truncated {
        /// Bytes needed.
        needs: usize,
        /// Bytes there.
        has: usize,
    },
    /// Not version 2 of the format.
    #[error("magic {found}, expected 2")]
    Magic {
        /// The version found.
        found: u8,
    },
    /// The checksum does not belong to the bytes.
    #[error("checksum {stored:08x} stored, {computed:08x} computed")]
    Crc {
        /// In the header.
        stored: u32,
        /// Over the bytes.
        computed: u32,
    },
    /// A number is negative, or larger than can be.
    #[error("{field} is {value}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// Its value.
        value: i64,
    },
    /// The number of records does not fit the offsets.
    #[error("{counted} records counted, last offset delta {offsets}")]
    Count {
        /// The records counted.
        counted: u32,
        /// The last offset delta.
        offsets: u32,
    },
    /// The batch is larger than its topic takes (`max.message.bytes`).
    #[error("{size} bytes, at most {size_max}")]
    TooLarge {
        /// Its length.
        size: usize,
        /// The most allowed.
        size_max: usize,
    },
    /// A compression codec that Kafka has not assigned.
    #[error("compression codec {number} is unknown")]
    Codec {
        /// Its number.
        number: u16,
    },
    /// The records would have to be decompressed first.
    #[error("records are compressed ({0:?}), which is not supported yet")]
    Compressed(Compression),
    /// A variable-length integer is too long or out of range.
    #[error("malformed variable-length integer")]
    Varint,
    /// A record's offset is not where it must be.
    #[error("record {index} has offset delta {delta}")]
    RecordOffset {
        /// Which record, from 0.
        index: u32,
        /// Its offset delta.
        delta: i32,
    },
    /// Bytes are left over after the last record, or within a record.
    #[error("{count} bytes are left over")]
    Trailing {
        /// How many.
        count: usize,
    },
    /// A control batch without a control record's key.
    #[error("malformed control record")]
    Control,
    /// A client sent what only brokers write.
    #[error("a client may not send {what}")]
    NotForClients {
        /// What it sent.
        what: &'static str,
    },
}

/// Who sent the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A producer: one record per offset, sequences if idempotent, no control batch.
    Client,
    /// A broker or the own disk: what has been appended once, perhaps compacted since.
    Log,
}

/// Bounds for [`Batch::validate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Longest batch allowed, header included.
    pub size_bytes_max: usize,
    /// Who sent it.
    pub source: Source,
}

/// A record cannot be shorter: length, attributes, two deltas, two lengths, header count, one byte each.
const RECORD_BYTES_MIN: usize = 7;

pub(super) fn validate(batch: &Batch, limits: &Limits) -> Result<(), BatchError> {
    let header = batch.header();
    if batch.len_bytes() > limits.size_bytes_max {
        return Err(BatchError::TooLarge { size: batch.len_bytes(), size_max: limits.size_bytes_max });
    }
    batch.check_crc()?;
    let compression = header.attributes.compression()?;
    if limits.source == Source::Client {
        validate_of_client(batch)?;
    }
    if compression != Compression::None {
        // What a client sends must be checked record by record, and no codec is built in that could.
        let is_of_client = limits.source == Source::Client;
        return if is_of_client { Err(BatchError::Compressed(compression)) } else { Ok(()) };
    }
    let fit = batch.record_bytes().len() / RECORD_BYTES_MIN;
    if usize::try_from(header.records_count).is_ok_and(|count| count > fit) {
        return Err(BatchError::Count { counted: header.records_count, offsets: header.last_offset_delta });
    }
    validate_records(batch, limits.source)?;
    batch.control_kind().map(drop)
}

fn validate_of_client(batch: &Batch) -> Result<(), BatchError> {
    let header = batch.header();
    if header.attributes.is_control() {
        return Err(BatchError::NotForClients { what: "a control batch" });
    }
    if header.records_count.checked_sub(1) != Some(header.last_offset_delta) {
        return Err(BatchError::Count { counted: header.records_count, offsets: header.last_offset_delta });
    }
    if header.producer.is_some_and(|producer| producer.base_sequence.is_none()) {
        return Err(BatchError::NotForClients { what: "a producer id without a sequence" });
    }
    Ok(())
}

/// Offsets ascend within the batch; a client's have no gaps.
fn validate_records(batch: &Batch, source: Source) -> Result<(), BatchError> {
    let header = batch.header();
    let mut next = header.base_offset;
    for (index, record) in (0_u32..).zip(batch.records()?) {
        let record = record?;
        let dense = source == Source::Log || record.offset == next;
        if record.offset < next || record.offset > header.last_offset() || !dense {
            let delta = i32::try_from(record.offset.since(header.base_offset)).unwrap_or(i32::MAX);
            return Err(BatchError::RecordOffset { index, delta });
        }
        next = record.offset.after(1);
    }
    Ok(())
}
