//! The bytes of a record that has a number: they can be made again, so that one altered byte is seen.

use bytes::Bytes;
use highwater_client::consumer::Consumed;
use highwater_client::producer::Record;
use highwater_model::id::PartitionIndex;

/// Records have up to so many bytes, so that batches begin anywhere in a sector.
const VALUE_BYTES_MAX: u64 = 700;

/// The record of a number, to be sent to a partition.
#[must_use]
pub fn record(number: u64, partition: u32) -> Record {
    Record {
        key: Some(number.to_string().into()),
        value: Some(value(number)),
        partition: Some(PartitionIndex(partition)),
        ..Record::default()
    }
}

/// The number of a record that was read; none if it is not that number's, byte by byte.
#[must_use]
pub fn number(consumed: &Consumed) -> Option<u64> {
    let number = std::str::from_utf8(consumed.key.as_ref()?).ok()?.parse().ok()?;
    let is_whole = consumed.value.as_ref() == Some(&value(number)) && consumed.headers.is_empty();
    is_whole.then_some(number)
}

/// The number and a word, over and over, of a length that depends on the number.
fn value(number: u64) -> Bytes {
    let length = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let length = usize::try_from(length % VALUE_BYTES_MAX).unwrap_or_default();
    let word = format!("{number} ");
    let mut text = word.repeat(1 + length / word.len());
    text.truncate(length.max(word.len()));
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use highwater_model::id::{Offset, TopicId, TopicPartition};

    fn consumed(number: u64) -> Consumed {
        let record = record(number, 0);
        Consumed {
            partition: TopicPartition { topic: TopicId(1), partition: PartitionIndex(0) },
            offset: Offset(0),
            timestamp_ms: 0,
            key: record.key,
            value: record.value,
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_number_is_read_back() {
        assert!((0..500).all(|sent| number(&consumed(sent)) == Some(sent)));
    }

    #[test]
    fn one_altered_byte_is_seen() {
        let mut altered = consumed(7).value.unwrap().to_vec();
        *altered.last_mut().unwrap() ^= 1;

        assert_eq!(number(&Consumed { value: Some(altered.into()), ..consumed(7) }), None);
        assert_eq!(number(&Consumed { key: Some("8".into()), ..consumed(7) }), None);
        assert_eq!(number(&Consumed { key: None, ..consumed(7) }), None);
    }
}
