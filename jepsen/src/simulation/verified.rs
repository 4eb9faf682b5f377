//! What the machines of a run left is held against the model by the `verify` program, as that of processes is.

use std::path::Path;

use highwater_transport::env::Env;

use super::Finished;
use crate::evidence::{Audited, ask_all};
use crate::store::Store;
use crate::verdicts::JudgeError;

/// The run with what `verify` says of it; what machines left is written into the run's directory. Without anything left it is as
/// it was.
///
/// # Errors
/// If a file cannot be written.
pub fn verified(finished: Finished, verify: &Path, store: &Store) -> Result<Finished, JudgeError> {
    let Some(left) = &finished.left else { return Ok(finished) };
    let failed = |error| JudgeError::File { path: store.dir().display().to_string(), error };
    let data_dirs = left.write(&store.traces(), &store.nodes()).map_err(failed)?;
    let history = store.dir().join("history-for-verify.jsonl");
    std::fs::write(&history, &finished.history).map_err(failed)?;
    let is_of_records = finished.run.workload == "log";
    // What a last loss of power may do to what need not be synced is no finding. Where nothing failed every replica was in sync,
    // and nobody wrote any more.
    let was_level = finished.run.failures.is_empty();
    let lost_power = left.lost_power.then_some(Path::new("--power-lost"));
    let options: Vec<&Path> =
        was_level.then_some(Path::new("--whole")).into_iter().chain(lost_power).collect();
    let audited =
        Audited { data_dirs: &data_dirs, options: &options, history: is_of_records.then(|| history.clone()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let evidence = runtime.block_on(async { ask_all(&Env::real(), verify, &store.traces(), audited).await });
    std::fs::remove_file(&history).map_err(failed)?;
    finished.with_evidence(evidence)
}
