//! A state as bytes, for its fingerprint.

use std::hash::Hasher;

use xxhash_rust::xxh3::xxh3_64;

/// Collects the encoding of a state; its fingerprint is the xxh3 hash of the bytes.
///
/// It is a [`Hasher`], so a derived `Hash` is an encoding. Integers wider than a byte are written with as few bytes as they
/// need, the first telling how many follow, so that distinct sequences stay distinct.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An encoder with room for a usual state.
    #[must_use]
    pub fn new() -> Self {
        Self { bytes: Vec::with_capacity(512) }
    }

    /// Forgets what was written, keeping the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// What was written since the last [`Self::clear`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes over the byte at `place`, which is among those written.
    pub fn set(&mut self, place: usize, byte: u8) {
        *self.bytes.get_mut(place).expect("a place that was written") = byte;
    }

    /// The hash of what was written, never 0.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(&self.bytes).max(1)
    }

    /// Below 248 one byte; else a byte that tells how many low bytes follow.
    fn number(&mut self, value: u64) {
        let bytes = value.to_le_bytes();
        let [low, ..] = bytes;
        if value < 248 {
            self.bytes.push(low);
            return;
        }
        let len = 8 - value.leading_zeros() / 8;
        self.bytes.push(u8::try_from(247 + len).expect("at most 8 bytes"));
        self.bytes.extend(bytes.iter().take(len as usize));
    }
}

impl Hasher for Encoder {
    fn finish(&self) -> u64 {
        self.fingerprint()
    }
    fn write(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
    fn write_u8(&mut self, value: u8) {
        self.bytes.push(value);
    }
    fn write_u16(&mut self, value: u16) {
        self.number(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.number(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.number(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.number(value as u64);
    }
    #[expect(clippy::cast_sign_loss, reason = "a bit pattern, not a quantity")]
    fn write_isize(&mut self, value: isize) {
        self.number(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[u64]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        values.iter().for_each(|value| encoder.write_u64(*value));
        encoder.bytes().to_vec()
    }

    #[test]
    fn small_numbers_take_a_byte_and_large_ones_what_they_need() {
        assert_eq!(encoded(&[0, 247]), [0, 247]);
        assert_eq!(encoded(&[248]), [248, 248]);
        assert_eq!(encoded(&[0x1234]), [249, 0x34, 0x12]);
        assert_eq!(encoded(&[u64::MAX]), [255; 9]);
    }

    #[test]
    fn distinct_sequences_have_distinct_encodings() {
        assert_ne!(encoded(&[1, 2]), encoded(&[2, 1]));
        assert_ne!(encoded(&[248]), encoded(&[248, 0]));
    }
}
