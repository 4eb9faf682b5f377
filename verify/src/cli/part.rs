//! `check --shard i/n`: which part of a sweep is taken, and what the result must tell for `merge`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use crate::registry::World;
use crate::registry::shard::{Shard, Whole};

/// A part of a sweep, on the command line.
#[derive(Debug, Args)]
pub(super) struct Part {
    /// Takes every Nth of the profile's bounds, beginning with the Ith largest: for several machines, see `merge`
    #[arg(long, value_name = "I/N", conflicts_with_all = ["bounds", "walk", "mutant", "engine"])]
    shard: Option<Shard>,
}

/// What is taken of what.
pub(super) struct Taken {
    shard: Shard,
    whole: Whole,
    places: Vec<Vec<usize>>,
}

impl Part {
    /// The part of this profile that is asked for, if it is a part.
    ///
    /// # Errors
    /// When a model has no such profile, or this program cannot tell itself from others.
    pub(super) fn of(&self, profile: &str, models: &[Box<dyn World>]) -> anyhow::Result<Option<Taken>> {
        let Some(shard) = self.shard else { return Ok(None) };
        let whole = Whole::of(profile, models)?;
        if let Some(empty) = whole.models.iter().find(|model| model.bounds.is_empty()) {
            bail!("{} has no profile `{profile}` to take a shard of", empty.model);
        }
        let places = whole.places(shard);
        Ok(Some(Taken { shard, whole, places }))
    }
}

impl Taken {
    /// The places of the bounds to search, of the model at this place.
    pub(super) fn places(&self, model: usize) -> Vec<usize> {
        self.places.get(model).cloned().unwrap_or_default()
    }

    /// Adds to a result what it is a part of.
    pub(super) fn tell(&self, document: &mut Value) {
        if let Value::Object(fields) = document {
            fields.insert("shard".to_owned(), serde_json::json!(self.shard));
            fields.insert("whole".to_owned(), serde_json::json!(self.whole));
        }
    }
}

/// The program that runs, even if its file was replaced meanwhile.
pub(super) fn program() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() }
}
