//! What came out, mutant by mutant: a file to which each verdict is appended, so that a run can be interrupted.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::judge::Fate;
use crate::mutant::Mutant;

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It does not compile.
    Unviable,
    /// What each judge says.
    Judged { unit: Fate, sweep: Fate },
    /// Some of the sweep is to come.
    Open(Open),
}

/// What is known of a mutant that was not put to every judge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) unit: Option<Fate>,
    /// Places of the bounds at which the sweep noticed nothing.
    pub(crate) done: Vec<usize>,
    /// What must be possible, and was not met yet.
    pub(crate) unmet: Vec<String>,
    /// What the sweep of a checker said before.
    pub(crate) said: Option<(u64, Fate)>,
}

impl Verdict {
    /// Nobody was asked yet.
    pub(crate) fn unasked() -> Self {
        Self::Open(Open::default())
    }

    /// Whether no judge noticed so far.
    pub(crate) fn survives(&self) -> bool {
        match self {
            Self::Unviable => false,
            Self::Judged { unit, sweep } => !unit.is_caught() && !sweep.is_caught(),
            Self::Open(open) => !open.unit.as_ref().is_some_and(Fate::is_caught),
        }
    }
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    pub(crate) mutant: Mutant,
    /// Tells the text of its file, unit tests aside, from any other.
    pub(crate) source: u64,
    /// Tells the checker from any other.
    pub(crate) checker: u64,
    pub(crate) verdict: Verdict,
    /// What the judges took, in seconds.
    pub(crate) seconds: f64,
}

impl Entry {
    /// Of a mutant that nobody was asked about.
    pub(crate) fn new(mutant: Mutant, source: u64) -> Self {
        Self { mutant, source, checker: 0, verdict: Verdict::unasked(), seconds: 0.0 }
    }
}

/// The number of a source text, its unit tests aside, and what no mutant is made of: comments, attributes, names that it takes
/// from elsewhere.
pub(crate) fn source_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !["//", "#[", "use "].iter().any(|mark| line.starts_with(mark));
    own.lines().map(str::trim).filter(is_code).for_each(|line| line.hash(&mut hasher));
    hasher.finish()
}

/// The entries of these files by key; of several for one mutant the last counts.
///
/// # Errors
/// When a file cannot be read, or a line is none.
pub(crate) fn load(paths: &[impl AsRef<Path>]) -> anyhow::Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for path in paths {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        for (at, line) in text.lines().enumerate() {
            let Ok(entry) = serde_json::from_str::<Entry>(line) else {
                // A run that was killed may have left half a line at the end.
                if at + 1 == text.lines().count() {
                    continue;
                }
                bail!("{}:{}: no line of results", path.display(), at + 1);
            };
            entries.insert(entry.mutant.key(), entry);
        }
    }
    Ok(entries)
}

/// The file, to be appended to.
pub(crate) struct Results(File);

impl Results {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| path.display().to_string())?;
        // A line that was left half is ended, so that the next one is whole.
        if std::fs::read(path)?.last().is_some_and(|last| *last != b'\n') {
            take_back_half(path)?;
            file = OpenOptions::new().append(true).open(path)?;
        }
        Ok(Self(file))
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn append(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        Ok(self.0.write_all(&line)?)
    }
}

/// Takes back the half line at the end.
fn take_back_half(path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let file = OpenOptions::new().write(true).open(path)?;
    Ok(file.set_len(u64::try_from(whole)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(change: &str, unit: Fate) -> Entry {
        let mutant = Mutant { file: "a.rs".into(), line: 1, function: "f".into(), change: change.to_owned() };
        let verdict = Verdict::Judged { unit, sweep: Fate::NotReached };
        Entry { verdict, ..Entry::new(mutant, 7) }
    }

    #[test]
    fn what_no_mutant_is_made_of_changes_no_source() {
        let plain = source_of("fn f() {\n    1\n}\n");
        assert_eq!(source_of("use x::y;\n/// Gives 1.\n#[must_use]\nfn f() {\n    1\n}\n"), plain);
        assert_ne!(source_of("fn f() {\n    2\n}\n"), plain);
    }

    #[test]
    fn the_last_verdict_counts_and_half_a_line_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        let mut results = Results::open(&path).unwrap();
        results.append(&entry("x", Fate::Held)).unwrap();
        results.append(&entry("x", Fate::Test("t".into()))).unwrap();
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"{\"file\":".to_vec()].concat()).unwrap();
        Results::open(&path).unwrap().append(&entry("y", Fate::Held)).unwrap();

        let loaded = load(&[&path]).unwrap();
        let survivors: Vec<_> = loaded.values().map(|entry| entry.verdict.survives()).collect();
        assert_eq!(survivors, [false, true]);
    }
}
