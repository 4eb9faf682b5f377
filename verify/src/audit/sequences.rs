//! Idempotent producers in a log: what a producer sent in one of its epochs follows without gap or repeat (RI16, R71).
//!
//! A leader takes a batch of a known producer only if it continues what it has of it, so that of two batches in one log the later
//! one continues the earlier; and a batch of a later producer epoch only from 0 on. The *first* batch of a producer in a log is taken
//! with any sequence number (R71: nothing is known of it): where several were under way and the first was refused, the log
//! begins with the second. So that is a note.

use std::collections::BTreeMap;

use super::findings::Report;
use super::log::Stored;

/// Sequence numbers go from 0 to this one, and then from 0 again.
const SEQUENCES: u64 = 1 << 31;

/// What a producer sent last.
#[derive(Clone, Copy, Debug)]
struct Last {
    epoch: u16,
    /// Of the record that continues it.
    next: u64,
    /// The batch, by its first offset.
    base_offset: u64,
}

/// The producers of one log.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequences {
    last: BTreeMap<u64, Last>,
}

impl Sequences {
    /// Takes the next batch of a log that begins at `start`.
    pub(super) fn take(&mut self, node: u32, start: u64, stored: &Stored<'_>, report: &mut Report) {
        let header = stored.header;
        let Some(producer) = header.producer.filter(|_| !header.is_control()) else { return };
        // A start may have forgotten producers of whom only deleted records are left.
        if header.end_offset() <= start {
            return;
        }
        let (id, epoch) = (producer.id, producer.epoch);
        let place = || stored.place(node);
        let Some(sequence) = producer.sequence.map(u64::from) else {
            let what = format!("producer {id} sent a batch without a sequence number");
            return report.finding(place(), "producer without a sequence", what);
        };
        let next = (sequence + header.offsets()) % SEQUENCES;
        let now = Last { epoch, next, base_offset: header.base_offset };
        let Some(last) = self.last.insert(id, now) else {
            if sequence > 0 && start == 0 {
                let what =
                    format!("the log has nothing of producer {id} before its sequence number {sequence}");
                report.note(place(), "producer begins in the midst", what);
            }
            return;
        };
        let expected = if epoch == last.epoch { last.next } else { 0 };
        let before = last.base_offset;
        if epoch < last.epoch {
            let what = format!("producer {id} has epoch {epoch}, and had {} at offset {before}", last.epoch);
            report.finding(place(), "producer epoch falls", what);
        } else if sequence != expected {
            // What lies less than half of all numbers back has been there.
            let is_back = (expected + SEQUENCES - sequence) % SEQUENCES < SEQUENCES / 2;
            let rule = if is_back { "producer repeats itself" } else { "producer leaves a gap" };
            let what = format!(
                "producer {id}, epoch {epoch}, has sequence number {sequence} where {expected} continues the batch at offset {before}"
            );
            report.finding(place(), rule, what);
        }
    }
}
