//! Kafka's record batch, version 2: what is stored, replicated and served, byte for byte as the producer sent it.
//!
//! Responsible for the 61-byte header, the checksum, the checks that untrusted bytes must pass, the three fields that a
//! broker may write (base offset, partition leader epoch, log-append time), and for reading and building records.
//! Leaves to others what the numbers mean: nothing here compares an epoch or decides whether a batch is accepted.
//! docs/FORMAT.md has the layout.

mod builder;
mod header;
mod record;
mod validate;
mod varint;

pub use builder::{BatchBuilder, BuildError, NewRecord};
pub use header::{Attributes, BatchHeader, BatchProducer, Compression, HEADER_BYTES, TimestampType};
pub use record::{ControlKind, Record, RecordHeader, Records};
pub use validate::{BatchError, Limits, Source};

use bytes::{Bytes, BytesMut};
use highwater_model::id::Offset;

/// One batch: its decoded header and its bytes, shared and never copied.
///
/// The header's bytes and the records' bytes are kept apart, so that stamping copies 61 bytes and not the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    head: Bytes,
    records: Bytes,
}

impl Batch {
    /// Takes one whole batch from the front of `bytes`, which then holds what follows it. Checks the header's shape
    /// only ([`BatchHeader::parse`]); the checksum is checked by [`Self::check_crc`], everything by [`Self::validate`].
    ///
    /// # Errors
    /// As [`BatchHeader::parse`], and [`BatchError::Truncated`] when the batch is longer than `bytes`. `bytes` is then
    /// as it was.
    pub fn split_first(bytes: &mut Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(bytes)?;
        let size = header.size_bytes();
        if bytes.len() < size {
            return Err(BatchError::Truncated { needs: size, has: bytes.len() });
        }
        let mut head = bytes.split_to(size);
        let records = head.split_off(HEADER_BYTES);
        Ok(Self { header, head, records })
    }

    /// The decoded header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Length in bytes, header included.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.head.len() + self.records.len()
    }

    /// The bytes to write or send, in order: the header's 61, then the records.
    #[must_use]
    pub fn chunks(&self) -> [Bytes; 2] {
        [self.head.clone(), self.records.clone()]
    }

    /// The batch as one run of bytes: a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(self.len_bytes());
        whole.extend_from_slice(&self.head);
        whole.extend_from_slice(&self.records);
        whole.freeze()
    }

    /// The bytes after the header, compressed if the header says so.
    #[must_use]
    pub fn record_bytes(&self) -> &Bytes {
        &self.records
    }

    /// Compares the stored checksum (CRC-32C of everything from the attributes on) with the bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when they differ.
    pub fn check_crc(&self) -> Result<(), BatchError> {
        header::check_crc(&self.header, &self.head, &self.records)
    }

    /// Checks everything that bytes from `limits.source` must fulfil: sizes, checksum, counts and offsets, and, unless
    /// compressed, every record.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn validate(&self, limits: &Limits) -> Result<(), BatchError> {
        validate::validate(self, limits)
    }

    /// The batch as its log holds it: with its base offset, the epoch of the leader that appended it, and, under
    /// `message.timestamp.type=LogAppendTime`, the time of the append in milliseconds. Offset and epoch lie outside the
    /// checksum; only an append time costs a pass over the bytes.
    #[must_use]
    pub fn stamped(&self, base_offset: Offset, leader_epoch: u32, append_time_ms: Option<i64>) -> Self {
        let mut head = BytesMut::from(self.head.as_ref());
        let header = header::stamp(&mut head, &self.records, base_offset, leader_epoch, append_time_ms);
        Self { header, head: head.freeze(), records: self.records.clone() }
    }

    /// Reads the records.
    ///
    /// # Errors
    /// [`BatchError::Compressed`] when they must be decompressed first; then each record's own error.
    pub fn records(&self) -> Result<Records, BatchError> {
        Records::of(&self.header, &self.records)
    }

    /// What kind of control batch this is; `None` for a batch of data.
    ///
    /// # Errors
    /// When the control record does not have a control record's key.
    pub fn control_kind(&self) -> Result<Option<ControlKind>, BatchError> {
        record::control_kind(&self.header, &self.records)
    }
}

/// Takes a run of bytes apart into its batches.
///
/// # Errors
/// That of the first batch whose header is malformed or that is cut short.
pub fn split(mut bytes: Bytes) -> Result<Vec<Batch>, BatchError> {
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        batches.push(Batch::split_first(&mut bytes)?);
    }
    Ok(batches)
}

/// Writes base offset and partition leader epoch (and a log-append time in milliseconds) into a batch in place, and gives
/// its header back.
///
/// # Errors
/// As [`BatchHeader::parse`], and [`BatchError::Truncated`] when the batch is longer than `bytes`.
pub fn stamp_in_place(
    bytes: &mut [u8],
    base_offset: Offset,
    leader_epoch: u32,
    append_time_ms: Option<i64>,
) -> Result<BatchHeader, BatchError> {
    let size = BatchHeader::parse(bytes)?.size_bytes();
    let has = bytes.len();
    let truncated = BatchError::Truncated { needs: size, has };
    let whole = bytes.get_mut(..size).ok_or(truncated)?;
    let (head, records) = whole.split_at_mut(HEADER_BYTES);
    Ok(header::stamp(head, records, base_offset, leader_epoch, append_time_ms))
}

/// CRC-32C of bytes that do not lie in one piece.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    u32::try_from(digest.finalize()).expect("a 32-bit checksum fits 32 bits")
}

#[cfg(test)]
mod tests;
