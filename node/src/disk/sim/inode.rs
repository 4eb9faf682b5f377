//! One file of a simulated disk: what the kernel serves, what the disk has, and which parts the kernel means to write.

use std::collections::BTreeSet;

use super::random::Random;

/// The kernel writes, and a power loss keeps or loses, blocks of this length.
const SECTOR_BYTES: usize = 512;

/// Content of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// As the kernel serves it.
    current: Vec<u8>,
    /// As the disk has it.
    synced: Vec<u8>,
    /// The sectors that the next sync writes. All others are believed to be on the disk as they are: rightly, unless a
    /// sync of them has failed.
    dirty: BTreeSet<usize>,
    /// The shortest that it has been since the last sync, if it has been cut.
    cut: Option<usize>,
}

impl Inode {
    /// As the kernel serves it.
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    /// Writes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.write(self.current.len(), bytes);
    }

    /// Writes at `position`, which lies within the file or at its end.
    pub(super) fn write(&mut self, position: usize, bytes: &[u8]) {
        let end = position.saturating_add(bytes.len());
        assert!(position <= self.current.len(), "no file of a log has a hole");
        self.current.resize(end.max(self.current.len()), 0);
        if let Some(place) = self.current.get_mut(position..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(position / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES));
    }

    pub(super) fn truncate(&mut self, length: usize) {
        if length < self.current.len() {
            self.current.truncate(length);
            self.dirty.retain(|sector| sector * SECTOR_BYTES < length);
            self.cut = Some(self.cut.unwrap_or(length).min(length));
        }
    }

    /// Syncs what was there when the sync was issued: the first `length` bytes.
    pub(super) fn sync(&mut self, length: usize) {
        let length = length.min(self.current.len());
        if let Some(cut) = self.cut.take() {
            self.synced.truncate(cut);
        }
        for sector in self.dirty.range(..length.div_ceil(SECTOR_BYTES)) {
            let from = sector * SECTOR_BYTES;
            let to = length.min(from + SECTOR_BYTES);
            self.synced.resize(to.max(self.synced.len()), 0);
            if let (Some(old), Some(new)) = (self.synced.get_mut(from..to), self.current.get(from..to)) {
                old.copy_from_slice(new);
            }
        }
        self.clean(length);
    }

    /// A sync fails: what it covered is believed to be written all the same, and is not.
    pub(super) fn fail_to_sync(&mut self, length: usize) {
        self.clean(length.min(self.current.len()));
    }

    /// Takes the first `length` bytes for written, but for a sector that goes on behind them.
    fn clean(&mut self, length: usize) {
        let is_whole = length == self.current.len();
        self.dirty.retain(|sector| (sector + 1) * SECTOR_BYTES > length && !is_whole);
    }

    /// Each sector that was yet to be written may be kept, be as it was, or be zero, whatever becomes of the others
    /// (X11). Of the rest there is what the disk has.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let is_at_rest = self.dirty.is_empty() && self.cut.is_none();
        let reached = if is_at_rest { self.synced.len() } else { self.current.len() };
        let (shorter, longer) = order(self.synced.len(), reached);
        let length = match random.below(3) {
            0 => self.synced.len(),
            1 => reached,
            _ => shorter + random.index(longer - shorter + 1),
        };
        let kept_in = 1 + random.below(4);
        let first_dirty = self.dirty.first().map_or(length, |sector| sector * SECTOR_BYTES);
        let certain = first_dirty.min(self.cut.unwrap_or(length)).min(length).min(self.synced.len());
        let mut content = self.synced.get(..certain).unwrap_or_default().to_vec();
        while content.len() < length {
            let from = content.len();
            let sector = from / SECTOR_BYTES;
            let to = length.min((sector + 1) * SECTOR_BYTES);
            let is_open =
                self.dirty.contains(&sector) || self.cut.is_some_and(|cut| cut < (sector + 1) * SECTOR_BYTES);
            let is_kept = is_open && random.one_in(kept_in);
            let source = if is_kept { &self.current } else { &self.synced };
            let there = source.get(from..to.min(source.len())).unwrap_or_default();
            content.extend_from_slice(there);
            content.resize(to, 0);
        }
        *self = Self { current: content.clone(), synced: content, ..Self::default() };
    }

    /// Flips a bit for good; `false` when there is no such byte.
    pub(super) fn flip_bit(&mut self, byte: usize, bit: u8) -> bool {
        let mask = 1_u8 << (bit & 7);
        if let Some(synced) = self.synced.get_mut(byte) {
            *synced ^= mask;
        }
        self.current.get_mut(byte).map(|current| *current ^= mask).is_some()
    }
}

fn order(one: usize, two: usize) -> (usize, usize) {
    (one.min(two), one.max(two))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sync_failed_to_write_is_served_and_never_synced_unless_it_is_written_again() {
        let content = vec![7; 3 * SECTOR_BYTES];
        for rewrites in [false, true] {
            for seed in 0..20 {
                let mut inode = Inode::default();
                inode.append(&content[..SECTOR_BYTES]);
                inode.sync(usize::MAX);
                inode.append(&content[SECTOR_BYTES..]);
                inode.fail_to_sync(usize::MAX);
                assert_eq!(inode.current(), content);
                if rewrites {
                    inode.write(SECTOR_BYTES, &content[SECTOR_BYTES..]);
                }

                inode.sync(usize::MAX);
                inode.lose_power(&mut Random::new(seed));

                let left = if rewrites { content.as_slice() } else { &content[..SECTOR_BYTES] };
                assert_eq!(inode.current(), left);
            }
        }
    }

    #[test]
    fn a_sync_writes_what_was_appended_behind_what_an_earlier_one_failed_to_write() {
        let mut inode = Inode::default();
        inode.append(&[7; SECTOR_BYTES]);
        inode.fail_to_sync(usize::MAX);
        inode.append(&[8; 10]);

        inode.sync(usize::MAX);
        inode.lose_power(&mut Random::new(1));

        assert_eq!(inode.current(), [[0; SECTOR_BYTES].as_slice(), [8; 10].as_slice()].concat());
    }
}
