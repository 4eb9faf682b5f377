//! What a worker has met lately: most steps lead to a state that was just met, and to know that is cheaper than to encode it.

/// Number of places.
const PLACES: usize = 1 << 16;

/// The identities that were met last, each in the one place where it belongs.
pub(super) struct Recent {
    places: Box<[u64]>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { places: vec![0; PLACES].into() }
    }

    /// Whether this identity is known; from here on it is.
    #[expect(clippy::cast_possible_truncation, reason = "the low bits choose a place")]
    pub(super) fn has(&mut self, identity: u64) -> bool {
        let place = self.places.get_mut(identity as usize % PLACES).expect("a remainder is within");
        std::mem::replace(place, identity) == identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_known_until_another_takes_its_place() {
        let mut recent = Recent::new();
        let rival = 7 + PLACES as u64;

        assert_eq!([7, 7, rival, 7].map(|identity| recent.has(identity)), [false, true, false, false]);
    }
}
