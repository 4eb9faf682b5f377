//! Which partition a record goes to: by its key as Kafka does, or else sticky round robin.

/// Chooses partitions for one topic.
#[derive(Clone, Debug, Default)]
pub struct Partitioner {
    next: u32,
}

impl Partitioner {
    /// A partitioner whose first keyless batch goes to a partition that depends on `start`.
    #[must_use]
    pub fn starting_at(start: u32) -> Self {
        Self { next: start }
    }

    /// The partition of a record among `partitions`, which is at least 1. Keys go where Kafka's default partitioner
    /// sends them; records without a key stay on one partition until [`Partitioner::turn`].
    #[must_use]
    pub fn choose(&self, key: Option<&[u8]>, partitions: u32) -> u32 {
        let partitions = partitions.max(1);
        match key {
            Some(key) => (murmur2(key) & 0x7fff_ffff) % partitions,
            None => self.next % partitions,
        }
    }

    /// Moves on to the next partition for records without a key: a batch is full.
    pub fn turn(&mut self) {
        self.next = self.next.wrapping_add(1);
    }
}

/// Murmur2 with Kafka's seed.
#[must_use]
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let mut k = word.wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafka() {
        // The values of Kafka's own unit test of `Utils.murmur2`.
        let expected: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in expected {
            assert_eq!(murmur2(key.as_bytes()), u32::from_ne_bytes(hash.to_ne_bytes()), "{key}");
        }
    }

    #[test]
    fn keyless_records_stay_together_until_a_batch_is_full() {
        let mut partitioner = Partitioner::starting_at(4);

        assert_eq!(partitioner.choose(None, 3), 1);
        assert_eq!(partitioner.choose(None, 3), 1);
        partitioner.turn();
        assert_eq!(partitioner.choose(None, 3), 2);
        assert_eq!(partitioner.choose(Some(b"abc"), 3), (479_470_107 & 0x7fff_ffff) % 3);
    }
}
