//! Taking fetched bytes apart into records.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use highwater_model::id::{Offset, TopicPartition};
use highwater_transport::batch::{Batch, BatchError, Record};

use super::Consumed;

/// The payload of an answer, to be taken piece by piece whatever chunks it came in.
pub(super) struct Pieces {
    chunks: VecDeque<Bytes>,
}

impl Pieces {
    pub(super) fn new(payload: Vec<Bytes>) -> Self {
        Self { chunks: payload.into() }
    }

    /// The next `size` bytes; none if so many are not there.
    pub(super) fn take(&mut self, size: usize) -> Option<Bytes> {
        while self.chunks.front().is_some_and(Bytes::is_empty) {
            self.chunks.pop_front();
        }
        match self.chunks.front_mut() {
            _ if size == 0 => Some(Bytes::new()),
            Some(chunk) if chunk.len() >= size => Some(chunk.split_to(size)),
            _ => self.gather(size),
        }
    }

    fn gather(&mut self, size: usize) -> Option<Bytes> {
        if self.chunks.iter().map(Bytes::len).sum::<usize>() < size {
            return None;
        }
        let mut whole = BytesMut::with_capacity(size);
        while whole.len() < size {
            let chunk = self.chunks.front_mut()?;
            let part = chunk.len().min(size - whole.len());
            whole.extend_from_slice(chunk.get(..part)?);
            chunk.advance(part);
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
        Some(whole.freeze())
    }
}

/// The records from `from` on, and the offset that follows the last batch. A batch that is cut short at the end is left
/// for the next fetch; control batches are passed over.
pub(super) fn records(
    mut bytes: Bytes,
    partition: TopicPartition,
    from: Offset,
) -> Result<(Vec<Consumed>, Offset), BatchError> {
    let (mut records, mut next) = (Vec::new(), from);
    while !bytes.is_empty() {
        let batch = match Batch::split_first(&mut bytes) {
            Ok(batch) => batch,
            Err(_) if next > from => break,
            Err(error) => return Err(error),
        };
        batch.check_crc()?;
        let end = batch.header().end_offset();
        if end <= next {
            continue;
        }
        if !batch.header().attributes.is_control() {
            for record in batch.records()? {
                let record = record?;
                if record.offset >= next {
                    records.push(consumed(partition, record));
                }
            }
        }
        next = end;
    }
    Ok((records, next))
}

fn consumed(partition: TopicPartition, record: Record) -> Consumed {
    Consumed {
        partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().map(|header| (header.key, header.value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{PartitionIndex, TopicId};
    use highwater_transport::batch::{BatchBuilder, NewRecord};

    const PARTITION: TopicPartition = TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) };

    fn batch(base: u64, values: &[&str]) -> Bytes {
        let mut builder = BatchBuilder::new();
        for value in values {
            let record = NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() };
            builder.push(&record).expect("a small record fits");
        }
        builder.build_at(Offset(base), Some(0)).expect("a batch with records")
    }

    fn values(bytes: Bytes, from: u64) -> (Vec<String>, u64) {
        let (records, next) = records(bytes, PARTITION, Offset(from)).expect("well formed");
        let text = |record: Consumed| String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
        (records.into_iter().map(text).collect(), next.0)
    }

    #[test]
    fn records_before_the_position_are_passed_over() {
        let bytes = [batch(10, &["a", "b", "c"]), batch(13, &["d"])].concat();

        assert_eq!(values(bytes.into(), 11), (vec!["b".to_owned(), "c".to_owned(), "d".to_owned()], 14));
    }

    #[test]
    fn a_batch_that_is_cut_short_is_left_for_the_next_fetch() {
        let whole = batch(0, &["a"]);
        let cut = batch(1, &["b"]);
        let bytes = [whole.as_ref(), &cut[..20]].concat();

        assert_eq!(values(bytes.into(), 0), (vec!["a".to_owned()], 1));
    }

    #[test]
    fn a_damaged_batch_is_an_error() {
        let mut bytes = batch(0, &["a"]).to_vec();
        *bytes.last_mut().expect("not empty") ^= 1;

        assert!(records(bytes.into(), PARTITION, Offset(0)).is_err());
    }

    #[test]
    fn a_piece_may_lie_in_several_chunks() {
        let mut pieces = Pieces::new(vec![Bytes::from_static(b"ab"), Bytes::from_static(b"cde")]);

        assert_eq!(pieces.take(1), Some(Bytes::from_static(b"a")));
        assert_eq!(pieces.take(3), Some(Bytes::from_static(b"bcd")));
        assert_eq!(pieces.take(2), None);
        assert_eq!(pieces.take(0), Some(Bytes::new()));
    }
}
