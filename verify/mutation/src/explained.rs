//! The survivors that are no gap, each with its reason: `explained.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::mutant::Mutant;

/// The file, beside this package's manifest.
pub(crate) const FILE: &str = "verify/mutation/explained.toml";

/// Some changes to one function, and why nobody can notice them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explanation {
    file: String,
    function: String,
    changes: Vec<String>,
    reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    survivor: Vec<Explanation>,
}

/// All explanations.
#[derive(Default)]
pub(crate) struct Explained(Vec<Explanation>);

impl Explained {
    /// Reads the file of the workspace at `root`.
    ///
    /// # Errors
    /// When it cannot be read, or an explanation says nothing.
    pub(crate) fn load(root: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(root.join(FILE)).context(FILE)?;
        Self::read(&text)
    }

    fn read(text: &str) -> anyhow::Result<Self> {
        let document: Document = toml::from_str(text).context(FILE)?;
        let silent = |entry: &&Explanation| entry.reason.trim().is_empty() || entry.changes.is_empty();
        if let Some(entry) = document.survivor.iter().find(silent) {
            bail!("{FILE}: {} {} explains nothing", entry.file, entry.function);
        }
        Ok(Self(document.survivor))
    }

    /// Why a mutant that survives is no gap.
    pub(crate) fn reason(&self, mutant: &Mutant) -> Option<&str> {
        let about = |entry: &&Explanation| {
            entry.file == mutant.file
                && entry.function == mutant.function
                && entry.changes.contains(&mutant.change)
        };
        self.0.iter().find(about).map(|entry| entry.reason.as_str())
    }

    /// Explanations of mutants that are not among `mutants`: the code has changed, and they explain nothing any more.
    pub(crate) fn stale<'a>(&self, mutants: impl IntoIterator<Item = &'a Mutant>) -> Vec<String> {
        let known: BTreeSet<_> =
            mutants.into_iter().map(|of| (&*of.file, &*of.function, &*of.change)).collect();
        let each = self.0.iter().flat_map(|entry| entry.changes.iter().map(move |change| (entry, change)));
        each.filter(|(entry, change)| !known.contains(&(&*entry.file, &*entry.function, change.as_str())))
            .map(|(entry, change)| format!("{} {}: {change}", entry.file, entry.function))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_belongs_to_a_mutant_that_there_is() {
        let entry = "[[survivor]]\nfile = 'a.rs'\nfunction = 'f'\nchanges = ['x', 'y']\nreason = 'same'\n";
        let explained = Explained::read(entry).unwrap();
        let mutant = |change: &str| Mutant {
            file: "a.rs".into(),
            line: 3,
            function: "f".into(),
            change: change.into(),
        };

        assert_eq!(explained.reason(&mutant("x")), Some("same"));
        assert_eq!(explained.reason(&mutant("z")), None);
        assert_eq!(explained.stale(&[mutant("x")]), ["a.rs f: y"]);
        assert!(Explained::read(&entry.replace("same", " ")).is_err());
    }
}
