//! Building uncompressed batches: for the producer, the quorum log and tests.

use bytes::Bytes;
use highwater_model::id::Offset;
use thiserror::Error;

use super::{Attributes, BatchProducer, ControlKind, HEADER_BYTES, crc32c, varint};

/// What a batch's length field does not count: the base offset and itself.
const UNCOUNTED_BYTES: usize = 12;

/// Why a record does not fit a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Lengths and counts are 32-bit in the format.
    #[error("the batch would exceed {} bytes", i32::MAX)]
    TooLarge,
    /// A batch has at least one record.
    #[error("a batch needs a record")]
    Empty,
}

/// A record to be put into a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order; keys may repeat.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Collects records into one batch. What is built has base offset 0 and no leader epoch: the leader stamps it.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    attributes: Attributes,
    producer: Option<BatchProducer>,
    base_timestamp_ms: Option<i64>,
    max_timestamp_ms: i64,
    count: u32,
    records: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch of no producer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A control batch with its one record (Kafka's `ControlRecordType`).
    ///
    /// # Errors
    /// [`BuildError::TooLarge`] when the value is.
    pub fn control(kind: ControlKind, timestamp_ms: i64, value: &[u8]) -> Result<Self, BuildError> {
        let mut builder = Self::default();
        builder.attributes = builder.attributes.with_control();
        let key = kind.key();
        builder.push(&NewRecord { timestamp_ms, key: Some(&key), value: Some(value), headers: &[] })?;
        Ok(builder)
    }

    /// Names the idempotent producer.
    #[must_use]
    pub fn producer(mut self, producer: BatchProducer) -> Self {
        self.producer = Some(producer);
        self
    }

    /// Sets attribute bits; the records are not compressed by this.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Number of records so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Length of the batch so far in bytes, header included.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        HEADER_BYTES + self.records.len()
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`BuildError::TooLarge`]; the batch is then as it was.
    pub fn push(&mut self, record: &NewRecord<'_>) -> Result<(), BuildError> {
        let base = *self.base_timestamp_ms.get_or_insert(record.timestamp_ms);
        let time_delta = record.timestamp_ms.wrapping_sub(base);
        let length = encoded_bytes(record, time_delta, self.count).ok_or(BuildError::TooLarge)?;
        if i32::try_from(self.len_bytes().saturating_add(length).saturating_add(5)).is_err() {
            return Err(BuildError::TooLarge);
        }
        varint::write(&mut self.records, i64::try_from(length).map_err(|_| BuildError::TooLarge)?);
        encode(&mut self.records, record, time_delta, self.count)?;
        self.max_timestamp_ms = if self.count == 0 {
            record.timestamp_ms
        } else {
            self.max_timestamp_ms.max(record.timestamp_ms)
        };
        self.count += 1;
        Ok(())
    }

    /// The finished batch, base offset 0.
    ///
    /// # Errors
    /// [`BuildError::Empty`] without a record.
    pub fn build(&self) -> Result<Bytes, BuildError> {
        self.build_at(Offset::ZERO, None)
    }

    /// The finished batch as a log holds it.
    ///
    /// # Errors
    /// [`BuildError::Empty`] without a record.
    pub fn build_at(&self, base_offset: Offset, leader_epoch: Option<u32>) -> Result<Bytes, BuildError> {
        let delta = self.count.checked_sub(1).ok_or(BuildError::Empty)?;
        let counted = u32::try_from(self.len_bytes() - UNCOUNTED_BYTES).map_err(|_| BuildError::TooLarge)?;
        let checksummed = self.checksummed(delta);
        let mut out = Vec::with_capacity(self.len_bytes());
        out.extend_from_slice(&base_offset.0.to_be_bytes());
        out.extend_from_slice(&counted.to_be_bytes());
        out.extend_from_slice(&leader_epoch.unwrap_or(u32::MAX).to_be_bytes());
        out.push(2);
        out.extend_from_slice(&crc32c(&[&checksummed, &self.records]).to_be_bytes());
        out.extend_from_slice(&checksummed);
        out.extend_from_slice(&self.records);
        Ok(Bytes::from(out))
    }

    /// The header from the attributes on.
    fn checksummed(&self, last_offset_delta: u32) -> Vec<u8> {
        let id = self.producer.map_or(-1, |producer| producer.id.0.cast_signed());
        let producer_epoch = self.producer.map_or(-1, |producer| producer.epoch.0.cast_signed());
        let sequence = self.producer.and_then(|producer| producer.base_sequence);
        let sequence = sequence.map_or(-1, |sequence| sequence.0.cast_signed());
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&self.attributes.0.to_be_bytes());
        out.extend_from_slice(&last_offset_delta.to_be_bytes());
        out.extend_from_slice(&self.base_timestamp_ms.unwrap_or(-1).to_be_bytes());
        out.extend_from_slice(&self.max_timestamp_ms.to_be_bytes());
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&producer_epoch.to_be_bytes());
        out.extend_from_slice(&sequence.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out
    }
}

/// The length of what [`encode`] writes; nothing if a part has no length in the format.
fn encoded_bytes(record: &NewRecord<'_>, time_delta: i64, offset_delta: u32) -> Option<usize> {
    let nullable = |bytes: Option<&[u8]>| match bytes {
        None => Some(varint::length(-1)),
        Some(bytes) => Some(varint::length(i64::from(i32::try_from(bytes.len()).ok()?)) + bytes.len()),
    };
    let count = i32::try_from(record.headers.len()).ok()?;
    let fixed = 1 + varint::length(time_delta) + varint::length(i64::from(offset_delta));
    let fixed = fixed + varint::length(i64::from(count));
    let mut whole = fixed.checked_add(nullable(record.key)?)?.checked_add(nullable(record.value)?)?;
    for (key, value) in record.headers {
        whole = whole.checked_add(nullable(Some(key))?)?.checked_add(nullable(*value)?)?;
    }
    Some(whole)
}

fn encode(
    out: &mut Vec<u8>,
    record: &NewRecord<'_>,
    time_delta: i64,
    offset_delta: u32,
) -> Result<(), BuildError> {
    out.push(0);
    varint::write(out, time_delta);
    varint::write(out, i64::from(offset_delta));
    nullable(out, record.key)?;
    nullable(out, record.value)?;
    let count = i32::try_from(record.headers.len()).map_err(|_| BuildError::TooLarge)?;
    varint::write(out, i64::from(count));
    for (key, value) in record.headers {
        nullable(out, Some(key))?;
        nullable(out, *value)?;
    }
    Ok(())
}

fn nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), BuildError> {
    let Some(bytes) = bytes else {
        varint::write(out, -1);
        return Ok(());
    };
    let length = i32::try_from(bytes.len()).map_err(|_| BuildError::TooLarge)?;
    varint::write(out, i64::from(length));
    out.extend_from_slice(bytes);
    Ok(())
}
