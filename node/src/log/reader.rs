//! Reading whole batches out of a segment, apart from the log itself: a read lives on while the log goes on.

use bytes::Bytes;
use highwater_model::id::Offset;
use highwater_transport::batch::{BatchHeader, HEADER_BYTES};

use crate::disk::{Fault, FileRef};

/// Read ahead of what is asked for, because the index points somewhat before it.
const SLACK_BYTES: usize = 4096 + HEADER_BYTES;
/// How much is read at a time when only the headers are wanted.
const HEADERS_CHUNK_BYTES: usize = 256 << 10;

/// A segment as it was when the read was issued.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) file: FileRef,
    /// Where to begin, at the start of a batch.
    pub(super) position: u64,
    /// Length of the records in bytes.
    pub(super) size_bytes: u64,
}

impl Source {
    async fn read(&self, position: u64, length: usize) -> Result<Bytes, Fault> {
        let there = usize::try_from(self.size_bytes.saturating_sub(position)).unwrap_or(usize::MAX);
        self.file.read(position, length.min(there)).await
    }

    fn header(&self, bytes: &[u8], position: u64) -> Result<BatchHeader, Fault> {
        BatchHeader::parse(bytes).map_err(|error| {
            let path = self.file.path().to_owned();
            Fault::Malformed { path, what: format!("at byte {position}: {error}") }
        })
    }
}

/// Whole batches from the one that holds `from` on: at least one, then as many as fit `bytes_max`, none that ends beyond
/// `up_to`.
pub(super) async fn batches(
    source: Source,
    from: Offset,
    bytes_max: usize,
    up_to: Offset,
) -> Result<Bytes, Fault> {
    let mut position = source.position;
    let mut buffer = source.read(position, bytes_max.saturating_add(SLACK_BYTES)).await?;
    loop {
        if buffer.len() < HEADER_BYTES {
            buffer = source.read(position, bytes_max.max(SLACK_BYTES)).await?;
            if buffer.len() < HEADER_BYTES {
                return Ok(Bytes::new());
            }
        }
        let header = source.header(&buffer, position)?;
        let size = header.size_bytes();
        if header.end_offset() > from {
            if header.end_offset() > up_to {
                return Ok(Bytes::new());
            }
            if buffer.len() < size {
                buffer = source.read(position, size.max(bytes_max)).await?;
            }
            let length = whole(&buffer, bytes_max, up_to);
            return Ok(buffer.slice(..length));
        }
        position += u64::try_from(size).unwrap_or_default();
        buffer = buffer.slice(size.min(buffer.len())..);
    }
}

/// How many of the bytes are whole batches within the bounds; the first is taken however long.
fn whole(buffer: &Bytes, bytes_max: usize, up_to: Offset) -> usize {
    let mut length = 0;
    while let Ok(header) = BatchHeader::parse(buffer.get(length..).unwrap_or_default()) {
        let end = length + header.size_bytes();
        let is_first = length == 0;
        if end > buffer.len() || header.end_offset() > up_to || (end > bytes_max && !is_first) {
            break;
        }
        length = end;
    }
    length
}

/// The headers of the batches that hold offsets from `from` up to `up_to`.
pub(super) async fn headers(
    sources: Vec<Source>,
    from: Offset,
    up_to: Offset,
) -> Result<Vec<BatchHeader>, Fault> {
    let mut headers = Vec::new();
    for source in sources {
        let mut position = source.position;
        let mut buffer = Bytes::new();
        while position < source.size_bytes {
            if buffer.len() < HEADER_BYTES {
                buffer = source.read(position, HEADERS_CHUNK_BYTES).await?;
            }
            let header = source.header(&buffer, position)?;
            if header.base_offset >= up_to {
                return Ok(headers);
            }
            if header.end_offset() > from {
                headers.push(header);
            }
            position += u64::try_from(header.size_bytes()).unwrap_or_default();
            buffer = buffer.slice(header.size_bytes().min(buffer.len())..);
        }
    }
    Ok(headers)
}
