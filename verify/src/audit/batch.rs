//! Record batches as docs/FORMAT.md lays them out: header, checksum, records. Written from that page alone, and total: any
//! bytes give a batch or say what is wrong with them.

/// Bytes of a batch before its records.
pub(super) const HEADER_BYTES: usize = 61;

/// No batch is longer, in bytes: what claims to be is damage.
pub(super) const BATCH_BYTES_MAX: usize = 64 << 20;

/// Bytes before the part that the length counts.
const LENGTH_EXCLUDES: usize = 12;

/// Where the part begins that the checksum covers.
const CHECKED_FROM: usize = 21;

const ATTRIBUTE_COMPRESSION: u16 = 0b111;
const ATTRIBUTE_CONTROL: u16 = 1 << 5;

/// Why bytes are no sound batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchFault {
    /// The file ends first.
    #[error("the file ends within a batch: {there} bytes of {wanted}")]
    Torn {
        /// Bytes that are there.
        there: u64,
        /// Bytes that there would have to be, at least.
        wanted: u64,
    },
    /// The length is none that a batch can have.
    #[error("no batch can be of this length: its field says {0}")]
    Length(i32),
    /// Another format, or no batch.
    #[error("magic {0} instead of 2")]
    Magic(u8),
    /// A number that cannot be what the field is for.
    #[error("{field} is {value}")]
    Number {
        /// The field.
        field: &'static str,
        /// What it says.
        value: i64,
    },
    /// The bytes are not those that were summed up.
    #[error("the checksum is {computed:08x}, and the batch says {stored:08x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// Of the bytes that are there.
        computed: u32,
    },
    /// Nobody has appended it.
    #[error("the batch has no leader epoch")]
    Unstamped,
    /// Its records are compressed.
    #[error("the batch is compressed (codec {0}) and cannot be read; the broker takes no such batch")]
    Compressed(u16),
    /// Its records do not fit their form.
    #[error("record {number} of the batch is malformed: {what}")]
    Record {
        /// Its number in the batch, from 0.
        number: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// The header counts other records than there are.
    #[error("the batch says {said} records and holds {held}")]
    Count {
        /// As the header says.
        said: u32,
        /// As they are.
        held: u32,
    },
}

/// The header of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Offset of the first record.
    pub(super) base_offset: u64,
    /// The whole batch, in bytes.
    pub(super) size_bytes: usize,
    /// Epoch of the leader that appended it; none in what nobody has appended.
    pub(super) epoch: Option<u32>,
    crc: u32,
    attributes: u16,
    last_offset_delta: u32,
    /// Who made it, unless that is of no account.
    pub(super) producer: Option<Producer>,
    /// How many records there are.
    pub(super) count: u32,
}

/// Who made a batch, and which of its batches it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    /// The producer's id.
    pub(super) id: u64,
    /// The producer's own epoch.
    pub(super) epoch: u16,
    /// Sequence number of the first record; none in control batches.
    pub(super) sequence: Option<u32>,
}

/// A record of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// Its place in the log.
    pub(super) offset: u64,
    /// Its key, if it has one.
    pub(super) key: Option<&'a [u8]>,
    /// Its value, if it has one.
    pub(super) value: Option<&'a [u8]>,
}

/// `N` bytes from `at` on.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn number(field: &'static str, value: i64) -> BatchFault {
    BatchFault::Number { field, value }
}

fn not_negative(field: &'static str, value: i32) -> Result<u32, BatchFault> {
    u32::try_from(value).map_err(|_| number(field, value.into()))
}

impl Header {
    /// Reads the header at the front of `bytes`, which are all there are up to the file's end, or at least [`HEADER_BYTES`].
    /// What there is of a header that is cut off must be the front part of one.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BatchFault> {
        let torn = || BatchFault::Torn { there: bytes.len() as u64, wanted: HEADER_BYTES as u64 };
        let length = field(bytes, 8).map(i32::from_be_bytes).ok_or_else(torn)?;
        let size = usize::try_from(length).ok().and_then(|length| length.checked_add(LENGTH_EXCLUDES));
        let size_bytes = size.filter(|size| (HEADER_BYTES..=BATCH_BYTES_MAX).contains(size));
        let size_bytes = size_bytes.ok_or(BatchFault::Length(length))?;
        let magic = *bytes.get(16).ok_or_else(torn)?;
        if magic != 2 {
            return Err(BatchFault::Magic(magic));
        }
        Self::fields(bytes, size_bytes).ok_or_else(torn)?
    }

    /// The other fields; nothing if there are too few bytes.
    fn fields(bytes: &[u8], size_bytes: usize) -> Option<Result<Self, BatchFault>> {
        let base_offset = i64::from_be_bytes(field(bytes, 0)?);
        let epoch = i32::from_be_bytes(field(bytes, 12)?);
        let crc = u32::from_be_bytes(field(bytes, 17)?);
        let attributes = u16::from_be_bytes(field(bytes, CHECKED_FROM)?);
        let delta = i32::from_be_bytes(field(bytes, 23)?);
        let id = i64::from_be_bytes(field(bytes, 43)?);
        let producer_epoch = i16::from_be_bytes(field(bytes, 51)?);
        let sequence = i32::from_be_bytes(field(bytes, 53)?);
        let count = i32::from_be_bytes(field(bytes, 57)?);
        let header = || {
            let base = u64::try_from(base_offset).map_err(|_| number("base offset", base_offset))?;
            let last_offset_delta = not_negative("last offset delta", delta)?;
            let count = not_negative("records count", count)?;
            // The last offset must be below 2^63 - 1, so that there is an end behind it.
            if base.saturating_add(last_offset_delta.into()) >= i64::MAX.unsigned_abs() {
                return Err(number("base offset", base_offset));
            }
            if count == 0 || u64::from(count) > u64::from(last_offset_delta) + 1 {
                return Err(BatchFault::Count { said: count, held: last_offset_delta.saturating_add(1) });
            }
            let producer = match u64::try_from(id) {
                Err(_) if id == -1 => None,
                Err(_) => return Err(number("producer id", id)),
                Ok(id) => {
                    let epoch = u16::try_from(producer_epoch);
                    let epoch = epoch.map_err(|_| number("producer epoch", producer_epoch.into()))?;
                    Some(Producer { id, epoch, sequence: u32::try_from(sequence).ok() })
                }
            };
            let epoch = u32::try_from(epoch).ok();
            Ok(Self {
                base_offset: base,
                size_bytes,
                epoch,
                crc,
                attributes,
                last_offset_delta,
                producer,
                count,
            })
        };
        Some(header())
    }

    /// Where the log ends behind it, exclusive.
    pub(super) fn end_offset(&self) -> u64 {
        self.base_offset.saturating_add(u64::from(self.last_offset_delta)).saturating_add(1)
    }

    /// How many offsets it takes, which is also how far its producer's sequence goes on.
    pub(super) fn offsets(&self) -> u64 {
        u64::from(self.last_offset_delta) + 1
    }

    /// Whether it is the log's own, and not for consumers.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// Holds the records of the whole batch against their number and their form.
    pub(super) fn check_records(&self, batch: &[u8]) -> Result<(), BatchFault> {
        let mut held: u32 = 0;
        for record in self.records(batch)? {
            record?;
            held = held.saturating_add(1);
        }
        let said = self.count;
        if held == said { Ok(()) } else { Err(BatchFault::Count { said, held }) }
    }

    /// Holds the whole batch against its checksum.
    pub(super) fn check_sum(&self, batch: &[u8]) -> Result<(), BatchFault> {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
        digest.update(batch.get(CHECKED_FROM..).unwrap_or_default());
        // A checksum of 32 bits, in the low half.
        let computed = u32::try_from(digest.finalize() & 0xffff_ffff).unwrap_or_default();
        let stored = self.crc;
        if computed == stored { Ok(()) } else { Err(BatchFault::Checksum { stored, computed }) }
    }

    /// The records of the whole batch, up to the first that is malformed.
    pub(super) fn records<'a>(&self, batch: &'a [u8]) -> Result<Records<'a>, BatchFault> {
        let codec = self.attributes & ATTRIBUTE_COMPRESSION;
        if codec != 0 {
            return Err(BatchFault::Compressed(codec));
        }
        let rest = batch.get(HEADER_BYTES..).unwrap_or_default();
        let (base_offset, last_offset_delta) = (self.base_offset, self.last_offset_delta);
        Ok(Records { rest, number: 0, next_delta: 0, base_offset, last_offset_delta })
    }
}

/// Goes through the records of a batch; ends behind the first that is malformed.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    rest: &'a [u8],
    number: u32,
    /// The smallest delta that the next record may have.
    next_delta: u64,
    base_offset: u64,
    last_offset_delta: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let number = self.number;
        self.number = number.saturating_add(1);
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record.map_err(|what| BatchFault::Record { number, what }))
    }
}

impl<'a> Records<'a> {
    fn record(&mut self) -> Result<Record<'a>, &'static str> {
        let mut all = Bytes(self.rest);
        let length = usize::try_from(all.varlong()?).map_err(|_| "a negative length")?;
        let mut body = Bytes(all.take(length)?);
        self.rest = all.0;
        body.take(1)?;
        body.varlong()?;
        let delta = u64::try_from(body.varlong()?).map_err(|_| "a negative offset delta")?;
        if delta < self.next_delta || delta > u64::from(self.last_offset_delta) {
            return Err("an offset delta that is not between its neighbours");
        }
        self.next_delta = delta + 1;
        let key = body.text()?;
        let value = body.text()?;
        let headers = u32::try_from(body.varlong()?).map_err(|_| "no number of headers")?;
        for _ in 0..headers {
            body.text()?.ok_or("a header without a key")?;
            body.text()?;
        }
        if !body.0.is_empty() {
            return Err("bytes behind its headers");
        }
        Ok(Record { offset: self.base_offset.saturating_add(delta), key, value })
    }
}

/// What is left of some bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is longer than what is left")?;
        self.0 = rest;
        Ok(taken)
    }

    /// Zigzag, base 128, least significant group first, at most ten groups.
    fn varlong(&mut self) -> Result<i64, &'static str> {
        let mut raw: u64 = 0;
        for shift in (0..70).step_by(7) {
            let [byte] = *self.take(1)? else { return Err("it is longer than what is left") };
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return Err("a number of more than 64 bits");
            }
            raw |= group << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        Err("a number of more than 64 bits")
    }

    /// A length, -1 for nothing, and so many bytes.
    fn text(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        match self.varlong()? {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| "a negative length")?).map(Some),
        }
    }
}

#[cfg(test)]
mod tests;
