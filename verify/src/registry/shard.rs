//! `check --shard i/n`: which bounds of a profile one of several machines takes.
//!
//! The bounds of all models asked for are numbered from the largest on, a model at a time in turn; shard `i` takes every `n`th
//! from the `i`th on. So each shard gets large and small ones, and any way of starting the shards will do.

use std::str::FromStr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::World;

/// One part of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Shard {
    /// Which part, from 1.
    pub part: usize,
    /// Of how many.
    pub of: usize,
}

/// More parts than any profile has bounds are none.
const PARTS_MAX: usize = 1000;

/// A part as it stands in a file.
#[derive(Deserialize)]
struct Unchecked {
    part: usize,
    of: usize,
}

impl TryFrom<Unchecked> for Shard {
    type Error = String;

    fn try_from(Unchecked { part, of }: Unchecked) -> Result<Self, String> {
        if (1..=of).contains(&part) && of <= PARTS_MAX {
            return Ok(Self { part, of });
        }
        Err(format!("{part}/{of} is no part such as 1/4, the first of four, of at most {PARTS_MAX}"))
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        let (part, of) =
            parsed.ok_or_else(|| format!("`{text}` is no part such as 1/4, the first of four"))?;
        Self::try_from(Unchecked { part, of })
    }
}

/// What a shard is a part of: with it the shards of a sweep can tell whether they belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// The profile.
    pub profile: String,
    /// Tells this program from others: a digest of its file.
    pub build: String,
    /// The models, in order.
    pub models: Vec<Listed>,
}

/// A model's part of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub model: String,
    /// Its bounds, smallest first.
    pub bounds: Vec<String>,
    /// What must happen somewhere.
    pub sometimes: Vec<String>,
    /// The kinds of action.
    pub kinds: Vec<String>,
}

impl Whole {
    /// A profile of these models.
    ///
    /// # Errors
    /// When this program cannot read its own file: nothing would tell its shards from another's.
    pub fn of(profile: &str, models: &[Box<dyn World>]) -> anyhow::Result<Self> {
        let models = models.iter().map(|model| model.listed(profile)).collect();
        Ok(Self { profile: profile.to_owned(), build: build()?, models })
    }

    /// For each model, the places of the bounds that this shard takes.
    #[must_use]
    pub fn places(&self, shard: Shard) -> Vec<Vec<usize>> {
        let counts: Vec<usize> = self.models.iter().map(|model| model.bounds.len()).collect();
        assign(&counts, shard)
    }
}

fn assign(counts: &[usize], shard: Shard) -> Vec<Vec<usize>> {
    let most = counts.iter().copied().max().unwrap_or(0);
    let in_turn = (1..=most).flat_map(|from_end| {
        let models = counts.iter().enumerate();
        models.filter_map(move |(model, count)| Some((model, count.checked_sub(from_end)?)))
    });
    let mut places = vec![Vec::new(); counts.len()];
    for (model, place) in in_turn.skip(shard.part - 1).step_by(shard.of) {
        places.get_mut(model).expect("one of the models").push(place);
    }
    places.iter_mut().for_each(|places| places.sort_unstable());
    places
}

/// A digest of the running program.
fn build() -> anyhow::Result<String> {
    let file = std::fs::read("/proc/self/exe").or_else(|_| std::env::current_exe().and_then(std::fs::read));
    let bytes = file.context("a shard must tell which program it is of, and this one cannot read itself")?;
    Ok(format!("{:016x}", xxh3_64(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_read_as_part_of_so_many() {
        assert_eq!("2/3".parse(), Ok(Shard { part: 2, of: 3 }));
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", "", "1/1000000000000000000"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_shard_in_a_file_is_held_to_the_same_rule() {
        let read = |text: &str| serde_json::from_str::<Shard>(text).ok();

        assert_eq!(read(r#"{"part":2,"of":3}"#), Some(Shard { part: 2, of: 3 }));
        for wrong in
            [r#"{"part":0,"of":3}"#, r#"{"part":4,"of":3}"#, r#"{"part":1,"of":1000000000000000000}"#]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_bound_falls_into_one_shard_and_large_ones_are_spread() {
        let counts = [3, 0, 5];
        for of in 1..=10 {
            let mut taken = vec![Vec::new(); counts.len()];
            for part in 1..=of {
                let places = assign(&counts, Shard { part, of });
                taken.iter_mut().zip(places).for_each(|(all, places)| all.extend(places));
            }
            taken.iter_mut().for_each(|all| all.sort_unstable());
            assert_eq!(taken, [vec![0, 1, 2], vec![], vec![0, 1, 2, 3, 4]], "{of}");
        }
        assert_eq!(assign(&counts, Shard { part: 1, of: 2 }), [vec![0, 1, 2], vec![], vec![1]]);
        assert_eq!(assign(&counts, Shard { part: 2, of: 2 }), [vec![], vec![], vec![0, 2, 3, 4]]);
    }
}
