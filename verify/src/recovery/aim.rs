//! The bounds of a search for states that do not recover: those of the world, and from which of its states runs are made.

use crate::bounds::{Bounds, BoundsError};

/// Bounds of a world, and a sample of its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim<B> {
    /// The world's own.
    pub bounds: B,
    /// Recovery runs are made from the states whose fingerprint is a multiple of this.
    pub sample: u64,
}

/// Key of [`Aim::sample`].
const SAMPLE: &str = "sample";

impl<B: Default> Default for Aim<B> {
    fn default() -> Self {
        Self { bounds: B::default(), sample: 1 }
    }
}

impl<B: Bounds> Bounds for Aim<B> {
    const FIELDS: &'static [(&'static str, &'static str)] = B::FIELDS;

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = self.bounds.pairs();
        pairs.push((SAMPLE, self.sample.to_string()));
        pairs
    }

    fn check(&self) -> Result<(), BoundsError> {
        self.bounds.check()
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), BoundsError> {
        if key != SAMPLE {
            return self.bounds.set(key, value);
        }
        let sample = value.parse::<u64>().ok().filter(|sample| *sample > 0);
        self.sample = sample.ok_or_else(|| BoundsError::new::<Self>(value, "a number from 1"))?;
        Ok(())
    }
}
