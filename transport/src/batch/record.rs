//! Reading the records of an uncompressed batch.

use bytes::Bytes;
use highwater_model::id::Offset;

use super::varint::Cursor;
use super::{BatchError, BatchHeader, Compression, TimestampType};

/// One header of a record. Keys may repeat; nothing may be made of that but a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Its key; UTF-8 by convention, not checked.
    pub key: Bytes,
    /// Its value, which may be null.
    pub value: Option<Bytes>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: Offset,
    /// Its time in milliseconds since 1970: the producer's or, under log-append time, the batch's.
    pub timestamp_ms: i64,
    /// Its key, which may be null.
    pub key: Option<Bytes>,
    /// Its value; null is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers, in order, repeated keys included.
    pub headers: Vec<RecordHeader>,
}

/// Goes through the records of one batch. After an error it ends.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    bytes: Bytes,
    left: u32,
}

impl Records {
    pub(super) fn of(header: &BatchHeader, bytes: &Bytes) -> Result<Self, BatchError> {
        match header.attributes.compression()? {
            Compression::None => {
                Ok(Self { header: *header, bytes: bytes.clone(), left: header.records_count })
            }
            compressed @ (Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd) => {
                Err(BatchError::Compressed(compressed))
            }
        }
    }

    fn read(&mut self) -> Result<Record, BatchError> {
        let (length, prefix) = {
            let mut cursor = Cursor::new(&self.bytes);
            (length(cursor.int()?, "record length")?, cursor.position())
        };
        let has = self.bytes.len() - prefix;
        if length > has {
            return Err(BatchError::Truncated { needs: length, has });
        }
        drop(self.bytes.split_to(prefix));
        let body = self.bytes.split_to(length);
        self.decode(&body)
    }

    fn decode(&self, body: &Bytes) -> Result<Record, BatchError> {
        let mut cursor = Cursor::new(body);
        cursor.byte()?;
        let timestamp_delta = cursor.long()?;
        let offset_delta = cursor.int()?;
        let key = slice(body, &mut cursor)?;
        let value = slice(body, &mut cursor)?;
        let headers = headers(body, &mut cursor)?;
        if cursor.left() > 0 {
            return Err(BatchError::Trailing { count: cursor.left() });
        }
        let index = self.header.records_count - self.left;
        let out_of_place = BatchError::RecordOffset { index, delta: offset_delta };
        let delta = u32::try_from(offset_delta).map_err(|_| out_of_place)?;
        if delta > self.header.last_offset_delta {
            return Err(out_of_place);
        }
        let timestamp_ms = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp_ms.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp_ms,
        };
        Ok(Record {
            offset: self.header.base_offset.after(u64::from(delta)),
            timestamp_ms,
            key,
            value,
            headers,
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let count = self.bytes.len();
            self.bytes.clear();
            return (count > 0).then_some(Err(BatchError::Trailing { count }));
        }
        let read = self.read();
        self.left -= 1;
        if read.is_err() {
            self.left = 0;
            self.bytes.clear();
        }
        Some(read)
    }
}

fn length(value: i32, field: &'static str) -> Result<usize, BatchError> {
    usize::try_from(value).map_err(|_| BatchError::OutOfRange { field, value: i64::from(value) })
}

/// A length and so many bytes; -1 is null.
fn slice(body: &Bytes, cursor: &mut Cursor<'_>) -> Result<Option<Bytes>, BatchError> {
    let counted = cursor.int()?;
    if counted == -1 {
        return Ok(None);
    }
    let counted = length(counted, "length")?;
    let from = cursor.position();
    cursor.take(counted)?;
    Ok(Some(body.slice(from..from + counted)))
}

fn headers(body: &Bytes, cursor: &mut Cursor<'_>) -> Result<Vec<RecordHeader>, BatchError> {
    let count = length(cursor.int()?, "header count")?;
    // A header takes two bytes at least, so that no count can ask for more memory than the bytes are worth.
    if count > cursor.left() / 2 {
        return Err(BatchError::Truncated { needs: count.saturating_mul(2), has: cursor.left() });
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let null = BatchError::OutOfRange { field: "header key length", value: -1 };
        let key = slice(body, cursor)?.ok_or(null)?;
        headers.push(RecordHeader { key, value: slice(body, cursor)? });
    }
    Ok(headers)
}

/// What a control record says (its key's second number).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ControlKind {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// A quorum leader begins its epoch.
    LeaderChange,
    /// First batch of a snapshot.
    SnapshotHeader,
    /// Last batch of a snapshot.
    SnapshotFooter,
    /// The quorum's feature level.
    KraftVersion,
    /// The quorum's voters.
    KraftVoters,
    /// A kind that this version does not know.
    Unknown(u16),
}

impl ControlKind {
    /// Its number in the key.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KraftVersion => 5,
            Self::KraftVoters => 6,
            Self::Unknown(number) => number,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn of(number: u16) -> Self {
        match number {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KraftVersion,
            6 => Self::KraftVoters,
            other => Self::Unknown(other),
        }
    }

    /// The key of its record: version 0, then the number.
    #[must_use]
    pub fn key(self) -> Bytes {
        let [high, low] = self.number().to_be_bytes();
        Bytes::copy_from_slice(&[0, 0, high, low])
    }
}

pub(super) fn control_kind(header: &BatchHeader, bytes: &Bytes) -> Result<Option<ControlKind>, BatchError> {
    if !header.attributes.is_control() {
        return Ok(None);
    }
    let first = Records::of(header, bytes)?.next().ok_or(BatchError::Control)??;
    let key = first.key.ok_or(BatchError::Control)?;
    match key.as_ref() {
        [_, _, high, low, ..] => Ok(Some(ControlKind::of(u16::from_be_bytes([*high, *low])))),
        _ => Err(BatchError::Control),
    }
}
