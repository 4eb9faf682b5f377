//! The 61 bytes before a batch's records: decoding, checksum and stamping.

use highwater_model::id::{Offset, ProducerEpoch, ProducerId, Sequence};

use super::{BatchError, crc32c};

/// Length of a batch's header.
pub const HEADER_BYTES: usize = 61;
/// Length of the part that the length field does not count: base offset and the field itself.
const UNCOUNTED_BYTES: usize = 12;
/// The only version of the batch format that is stored.
const MAGIC: u8 = 2;
/// First byte that the checksum covers: the attributes.
pub(super) const CRC_FROM: usize = 21;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy, in xerial's framing or raw.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Whose time a batch's timestamps are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// Each record's own, as its producer gave it.
    #[default]
    CreateTime,
    /// The batch's maximal timestamp, written by the leader that appended it, for all its records.
    LogAppendTime,
}

/// The attribute bits of a batch, as stored. Bits that have no meaning here are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub u16);

impl Attributes {
    const CODEC: u16 = 0x07;
    const APPEND_TIME: u16 = 0x08;
    const TRANSACTIONAL: u16 = 0x10;
    const CONTROL: u16 = 0x20;

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for a number that Kafka has not assigned.
    pub fn compression(self) -> Result<Compression, BatchError> {
        match self.0 & Self::CODEC {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            other => Err(BatchError::Codec { number: other }),
        }
    }

    /// Whose time the timestamps are.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether it holds a control record, which no consumer is given.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The same with the control bit set.
    #[must_use]
    pub fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    /// The same with the transactional bit set.
    #[must_use]
    pub fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }
}

/// The producer that an idempotent batch names (R70).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchProducer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Sequence of the batch's first record; control batches of a transaction have none.
    pub base_sequence: Option<Sequence>,
}

/// A batch's header, decoded. Made by [`Self::parse`] only, so that its numbers are within range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Offset of the last record less the base offset.
    pub last_offset_delta: u32,
    /// Number of records present: fewer than the offsets say only after compaction.
    pub records_count: u32,
    /// Epoch of the leader that appended the batch; `None` until it is stamped.
    pub leader_epoch: Option<u32>,
    /// The stored checksum.
    pub crc: u32,
    /// Compression, timestamp type, transaction and control bits.
    pub attributes: Attributes,
    /// Timestamp of the first record in milliseconds since 1970; -1 for none.
    pub base_timestamp_ms: i64,
    /// Largest timestamp in milliseconds since 1970; -1 for none.
    pub max_timestamp_ms: i64,
    /// The producer, if it is idempotent.
    pub producer: Option<BatchProducer>,
    size_bytes: u32,
}

impl BatchHeader {
    /// Decodes the header at the front of `bytes`, which may go on after it. Checks that the length can hold a header,
    /// the version, that no number is negative that must not be, and that the last offset fits; the records and the
    /// checksum are not looked at.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when there are fewer than 61 bytes, else the first check that fails.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let short = BatchError::Truncated { needs: HEADER_BYTES, has: bytes.len() };
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(short)?;
        let magic = head[16];
        if magic != MAGIC {
            return Err(BatchError::Magic { found: magic });
        }
        let header = Self {
            base_offset: Offset(non_negative(i64_at(head, 0), "base offset")?),
            last_offset_delta: non_negative_32(i32_at(head, 23), "last offset delta")?,
            records_count: non_negative_32(i32_at(head, 57), "records count")?,
            leader_epoch: u32::try_from(i32_at(head, 12)).ok(),
            crc: i32_at(head, 17).cast_unsigned(),
            attributes: Attributes(i16_at(head, 21).cast_unsigned()),
            base_timestamp_ms: i64_at(head, 27),
            max_timestamp_ms: i64_at(head, 35),
            producer: producer(head)?,
            size_bytes: size(i32_at(head, 8))?,
        };
        header.check_range()?;
        Ok(header)
    }

    fn check_range(&self) -> Result<(), BatchError> {
        let last = self.base_offset.0.checked_add(u64::from(self.last_offset_delta));
        if last.is_none_or(|last| last >= i64::MAX.cast_unsigned()) {
            return Err(BatchError::OutOfRange {
                field: "last offset",
                value: self.base_offset.0.cast_signed(),
            });
        }
        if u64::from(self.records_count) > u64::from(self.last_offset_delta) + 1 {
            return Err(BatchError::Count { counted: self.records_count, offsets: self.last_offset_delta });
        }
        Ok(())
    }

    /// Length of the whole batch in bytes, header included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.size_bytes).expect("a batch's length fits the address space")
    }

    /// Offset of the last record, inclusive.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.after(u64::from(self.last_offset_delta))
    }

    /// Offset after the last record, exclusive: where the next batch begins.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.last_offset().after(1)
    }

    /// Sequence of the last record, if the batch has sequences (R70).
    #[must_use]
    pub fn last_sequence(&self) -> Option<Sequence> {
        self.producer.and_then(|p| p.base_sequence).map(|base| base.after(self.last_offset_delta))
    }
}

fn size(counted: i32) -> Result<u32, BatchError> {
    let smallest = HEADER_BYTES - UNCOUNTED_BYTES;
    let bad = BatchError::OutOfRange { field: "batch length", value: i64::from(counted) };
    let counted = u32::try_from(counted).map_err(|_| bad)?;
    if usize::try_from(counted).is_ok_and(|counted| counted >= smallest) {
        Ok(counted + 12)
    } else {
        Err(bad)
    }
}

fn producer(head: &[u8; HEADER_BYTES]) -> Result<Option<BatchProducer>, BatchError> {
    let id = i64_at(head, 43);
    let epoch = i16_at(head, 51);
    let sequence = i32_at(head, 53);
    if id == -1 {
        return Ok(None);
    }
    let id = ProducerId(non_negative(id, "producer id")?);
    let wrong = BatchError::OutOfRange { field: "producer epoch", value: i64::from(epoch) };
    let epoch = ProducerEpoch(u16::try_from(epoch).map_err(|_| wrong)?);
    let base_sequence =
        if sequence == -1 { None } else { Some(Sequence(non_negative_32(sequence, "base sequence")?)) };
    Ok(Some(BatchProducer { id, epoch, base_sequence }))
}

fn non_negative(value: i64, field: &'static str) -> Result<u64, BatchError> {
    u64::try_from(value).map_err(|_| BatchError::OutOfRange { field, value })
}

fn non_negative_32(value: i32, field: &'static str) -> Result<u32, BatchError> {
    u32::try_from(value).map_err(|_| BatchError::OutOfRange { field, value: i64::from(value) })
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    *head.get(at..).and_then(|rest| rest.first_chunk()).expect("every field lies within the header")
}

fn i64_at(head: &[u8; HEADER_BYTES], at: usize) -> i64 {
    i64::from_be_bytes(field(head, at))
}

fn i32_at(head: &[u8; HEADER_BYTES], at: usize) -> i32 {
    i32::from_be_bytes(field(head, at))
}

fn i16_at(head: &[u8; HEADER_BYTES], at: usize) -> i16 {
    i16::from_be_bytes(field(head, at))
}

fn put(head: &mut [u8], at: usize, value: &[u8]) {
    let place = head.get_mut(at..).and_then(|rest| rest.get_mut(..value.len()));
    place.expect("every field lies within the header").copy_from_slice(value);
}

fn crc_of(head: &[u8], records: &[u8]) -> u32 {
    crc32c(&[head.get(CRC_FROM..).unwrap_or_default(), records])
}

pub(super) fn check_crc(header: &BatchHeader, head: &[u8], records: &[u8]) -> Result<(), BatchError> {
    let computed = crc_of(head, records);
    if computed == header.crc { Ok(()) } else { Err(BatchError::Crc { stored: header.crc, computed }) }
}

/// Writes what a leader may write into the 61 bytes of a batch that has been parsed.
pub(super) fn stamp(
    head: &mut [u8],
    records: &[u8],
    base_offset: Offset,
    leader_epoch: u32,
    append_time_ms: Option<i64>,
) -> BatchHeader {
    put(head, 0, &base_offset.0.to_be_bytes());
    put(head, 12, &leader_epoch.to_be_bytes());
    if let Some(time) = append_time_ms {
        let attributes = head.get(21..23).and_then(|two| two.first_chunk()).copied();
        let attributes = u16::from_be_bytes(attributes.expect("the attributes lie within the header"));
        put(head, 21, &(attributes | Attributes::APPEND_TIME).to_be_bytes());
        put(head, 35, &time.to_be_bytes());
        let crc = crc_of(head, records);
        put(head, 17, &crc.to_be_bytes());
    }
    BatchHeader::parse(head).expect("a parsed header stays one when it is stamped with an offset in range")
}
