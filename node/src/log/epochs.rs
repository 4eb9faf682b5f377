//! The epoch history of a log and its checkpoint file (`leader-epoch-checkpoint`).

use bytes::Bytes;
use highwater_model::id::Offset;
use highwater_model::log::{Epoch, EpochHistory};

use super::recovered::EpochEntry;

/// An epoch as records carry it: of a partition's leader or of the quorum, which is not for a log to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RecordEpoch(pub(super) u32);
impl Epoch for RecordEpoch {}

pub(super) type Epochs = EpochHistory<RecordEpoch>;

pub(super) fn entries(epochs: &Epochs) -> Vec<EpochEntry> {
    epochs.starts().iter().map(|start| EpochEntry { epoch: start.epoch.0, start: start.start }).collect()
}

/// Kafka's format: version, number of entries, one entry a line.
pub(super) fn to_text(epochs: &Epochs) -> Bytes {
    let mut text = format!("0\n{}\n", epochs.starts().len());
    for entry in epochs.starts() {
        text.push_str(&format!("{} {}\n", entry.epoch.0, entry.start.0));
    }
    Bytes::from(text)
}

/// What a checkpoint says; nothing when it is not one, for it is only a hint.
pub(super) fn from_text(text: &[u8]) -> Vec<EpochEntry> {
    parse(text).unwrap_or_default()
}

fn parse(text: &[u8]) -> Option<Vec<EpochEntry>> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let entry = |line: &str| {
        let (epoch, start) = line.trim().split_once(' ')?;
        Some(EpochEntry { epoch: epoch.parse().ok()?, start: Offset(start.parse().ok()?) })
    };
    let entries = lines.map(entry).collect::<Option<Vec<_>>>()?;
    (entries.len() == count).then_some(entries)
}

/// Adds what only the checkpoint knows: an epoch that a leader began at the log's end without writing a record (R30).
/// Everything else the records say better; an entry beyond the end belongs to records that are lost.
pub(super) fn add_recordless(epochs: &mut Epochs, checkpoint: &[EpochEntry], log_end: Offset) {
    let Some(last) = checkpoint.last() else { return };
    let is_newer = epochs.latest().is_none_or(|latest| latest.0 < last.epoch);
    if is_newer && last.start == log_end {
        epochs.assign(RecordEpoch(last.epoch), last.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(entries: &[(u32, u64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            epochs.assign(RecordEpoch(*epoch), Offset(*start));
        }
        epochs
    }

    #[test]
    fn a_checkpoint_comes_back() {
        let epochs = history(&[(0, 0), (3, 17)]);

        assert_eq!(to_text(&epochs), "0\n2\n0 0\n3 17\n");
        assert_eq!(from_text(&to_text(&epochs)), entries(&epochs));
        for bad in ["", "1\n0\n", "0\n2\n0 0\n", "0\n1\nx 0\n", "0\n1\n0\n"] {
            assert_eq!(from_text(bad.as_bytes()), Vec::new(), "{bad:?}");
        }
    }

    #[test]
    fn only_an_epoch_at_the_end_is_taken_from_a_checkpoint() {
        let added = |start| {
            let mut epochs = history(&[(1, 0)]);
            add_recordless(&mut epochs, &[EpochEntry { epoch: 2, start: Offset(start) }], Offset(5));
            entries(&epochs).len()
        };

        assert_eq!((added(4), added(5), added(6)), (1, 2, 1));
    }
}
