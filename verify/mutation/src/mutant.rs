//! What a mutant is, and how it is called.

use serde::{Deserialize, Serialize};

/// One small change to one function.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Mutant {
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    /// The line that it changes, from 1.
    pub(crate) line: usize,
    /// The function, with the type that it belongs to.
    pub(crate) function: String,
    /// What is changed, in words; the same change again in one function ends in `#2`, `#3`.
    pub(crate) change: String,
}

impl Mutant {
    /// Its name: unlike a number or a line, it stays when something else in the file changes.
    #[must_use]
    pub(crate) fn key(&self) -> String {
        format!("{} {}: {}", self.file, self.function, self.change)
    }

    /// The module of the model that it is in: the first folder or file below `src`.
    #[must_use]
    pub(crate) fn module(&self) -> &str {
        let inner = self.file.split_once("/src/").map_or(self.file.as_str(), |(_, inner)| inner);
        inner.split(['/', '.']).next().unwrap_or(inner)
    }
}
