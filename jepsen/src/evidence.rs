//! What the brokers left is held against the model by the `verify` program: `verify trace` and `verify audit`.
//!
//! It is run as a program, because it is another judge: nothing of it is linked in here.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use highwater_transport::env::Env;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// The name of what brokers recorded of themselves, as evidence.
pub const TRACE: &str = "trace";

/// The name of what they have on disk, as evidence.
pub const AUDIT: &str = "audit";

/// How long it may take.
const TOLD_WITHIN: Duration = Duration::from_secs(900);

/// Lines of what it said that are kept.
const LINES_MAX: usize = 30;

/// What one command said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it says of the brokers.
    pub conclusion: Conclusion,
    /// The command, to be given again.
    pub command: String,
    /// The end of what it said.
    pub said: Vec<String>,
}

/// What a command of `verify` concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// Nothing is wrong.
    Clean,
    /// Nothing is, as far as can be seen: brokers that are killed take with them what they had not recorded yet.
    Partial,
    /// Something is.
    Violation,
    /// It cannot be told.
    Unknown,
}

/// Asks the program with these arguments.
pub async fn ask(env: &Env, program: &Path, arguments: &[&Path]) -> Evidence {
    let words: Vec<String> = arguments.iter().map(|argument| argument.display().to_string()).collect();
    let command = format!("verify {}", words.join(" "));
    // It is killed with the future that waits for it.
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = env.timeout(TOLD_WITHIN, output).await.unwrap_or_else(|_| {
        let what = format!("it has said nothing for {} s", TOLD_WITHIN.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    });
    match output {
        Ok(output) => {
            let conclusion = match output.status.code() {
                Some(0) => Conclusion::Clean,
                Some(4) => Conclusion::Violation,
                Some(5) => Conclusion::Partial,
                _ => Conclusion::Unknown,
            };
            let said = [output.stdout, output.stderr].concat();
            Evidence { conclusion, command, said: last_lines(&String::from_utf8_lossy(&said)) }
        }
        Err(error) => {
            let said = vec![format!("{}: {error}", program.display())];
            Evidence { conclusion: Conclusion::Unknown, command, said }
        }
    }
}

/// What is audited.
#[derive(Clone, Debug)]
pub struct Audited<'a> {
    /// The brokers' log directories.
    pub data_dirs: &'a [PathBuf],
    /// What else `verify audit` is told.
    pub options: &'a [&'a Path],
    /// The history of records that they must hold, if it is one of records.
    pub history: Option<PathBuf>,
}

/// What the program says of what brokers recorded and of what they have on disk.
pub async fn ask_all(
    env: &Env,
    program: &Path,
    traces: &Path,
    audited: Audited<'_>,
) -> BTreeMap<String, Evidence> {
    let trace = ask(env, program, &[Path::new(TRACE), traces]).await;
    let mut audit: Vec<&Path> = vec![Path::new(AUDIT)];
    audit.extend(audited.data_dirs.iter().map(PathBuf::as_path));
    audit.extend(audited.options);
    if let Some(history) = &audited.history {
        audit.extend([Path::new("--history"), history]);
    }
    let audit = ask(env, program, &audit).await;
    [(TRACE.to_owned(), trace), (AUDIT.to_owned(), audit)].into()
}

/// Where `verify` is if it lies beside this program.
#[must_use]
pub fn beside(own: &Path) -> Option<PathBuf> {
    let verify = own.with_file_name("verify");
    verify.exists().then_some(verify)
}

fn last_lines(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(LINES_MAX)).map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_concludes_is_in_its_exit_code() {
        let said = async |script: &str| {
            let arguments = [Path::new("-c"), Path::new(script)];
            ask(&Env::real(), Path::new("sh"), &arguments).await
        };

        assert_eq!(said("echo fine").await.conclusion, Conclusion::Clean);
        assert_eq!(said("echo fine").await.said, ["fine"]);
        assert_eq!(said("exit 4").await.conclusion, Conclusion::Violation);
        assert_eq!(said("exit 5").await.conclusion, Conclusion::Partial);
        assert_eq!(said("exit 2").await.conclusion, Conclusion::Unknown);
        assert_eq!(said("kill -9 $$").await.conclusion, Conclusion::Unknown);
        assert_eq!(
            ask(&Env::real(), Path::new("no-such-program"), &[]).await.conclusion,
            Conclusion::Unknown
        );
    }
}
