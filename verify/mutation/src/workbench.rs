//! A copy of the workspace in which the cores are instrumented.
//!
//! Files that are as they should be are not touched, so that a second build has nothing to do.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::instrument::{Without, instrument};
use crate::mutant::Mutant;
use crate::switch;

/// The workspace, and where its copy lies.
pub(crate) struct Workbench {
    pub(crate) root: PathBuf,
    pub(crate) copy: PathBuf,
}

/// The crate that is mutated, and the modules of it that are.
const CRATE: &str = "model/src";
const MODULES: &[&str] = &["replication", "quorum", "metadata"];

/// Files that decide nothing: words for people, and the names by which a checker calls requests and replicas.
const ASIDE: &[&str] = &["/text.rs", "/rename.rs", "/replica_name.rs"];

/// A file of the cores that mutants are made of.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Workbench {
    /// Every file that git knows or would add.
    fn files(&self) -> anyhow::Result<Vec<String>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&self.root);
        let listed = git.output().context("git lists the files of the workspace")?;
        if !listed.status.success() {
            bail!("{} is no git checkout: {}", self.root.display(), String::from_utf8_lossy(&listed.stderr));
        }
        Ok(String::from_utf8(listed.stdout)?.lines().map(str::to_owned).collect())
    }

    /// The files of the cores, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub(crate) fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let mut names: Vec<String> = self.files()?.into_iter().filter(|name| is_mutated(name)).collect();
        names.sort();
        let read = |name: String| {
            let text = fs::read_to_string(self.root.join(&name)).with_context(|| name.clone())?;
            Ok(Source { name, text })
        };
        names.into_iter().map(read).collect()
    }

    /// Brings the copy up to date; gives all mutants, those left out among them, in the order of their numbers, and each
    /// instrumented file with its text.
    ///
    /// # Errors
    /// When a file cannot be read, written or understood.
    pub(crate) fn lay_out(&self, without: &Without) -> anyhow::Result<(Vec<Mutant>, Vec<Source>)> {
        for name in self.files()?.iter().filter(|name| !is_mutated(name)) {
            self.copy_file(name)?;
        }
        self.write(&format!("{CRATE}/{}.rs", switch::MODULE), switch::SOURCE.as_bytes())?;
        let mut mutants = Vec::new();
        let mut instrumented = Vec::new();
        for source in self.sources()? {
            let first = u32::try_from(mutants.len())?;
            let made = instrument(&source.name, &source.text, first, without)?;
            self.write(&source.name, made.text.as_bytes())?;
            mutants.extend(made.mutants);
            instrumented.push(Source { name: source.name, text: made.text });
        }
        Ok((mutants, instrumented))
    }

    fn copy_file(&self, name: &str) -> anyhow::Result<()> {
        let from = self.root.join(name);
        if !from.is_file() {
            return Ok(());
        }
        let mut content = fs::read(&from).with_context(|| name.to_owned())?;
        if name == format!("{CRATE}/lib.rs") {
            content.extend_from_slice(format!("\npub mod {};\n", switch::MODULE).as_bytes());
        }
        self.write(name, &content)
    }

    fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let to = self.copy.join(name);
        if fs::read(&to).is_ok_and(|present| present == content) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&to, content).with_context(|| to.display().to_string())
    }
}

fn is_mutated(name: &str) -> bool {
    let Some(inner) = name.strip_prefix(CRATE).and_then(|rest| rest.strip_prefix('/')) else { return false };
    let module = inner.split(['/', '.']).next().unwrap_or_default();
    let is_test = inner.ends_with("/tests.rs") || inner.contains("/tests/");
    let is_aside = ASIDE.iter().any(|name| inner.ends_with(name));
    MODULES.contains(&module) && inner.ends_with(".rs") && !is_test && !is_aside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_are_mutated_and_their_tests_and_words_are_not() {
        let mutated = ["model/src/quorum.rs", "model/src/quorum/election.rs"];
        let left = [
            "model/src/quorum/tests.rs",
            "model/src/quorum/tests/read.rs",
            "model/src/metadata/refusal/text.rs",
            "model/src/quorum/rename.rs",
            "model/src/invariant/quorum.rs",
            "node/src/quorum.rs",
        ];

        assert!(mutated.iter().all(|name| is_mutated(name)));
        assert!(!left.iter().any(|name| is_mutated(name)));
    }
}
