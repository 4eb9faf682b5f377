//! One page that shows a run: what was found, where in the history, and what clients had of the cluster meanwhile.
//!
//! The page needs nothing but itself. The history is read twice, line by line: once to count it into buckets of time and to
//! find the operations that the verdict speaks of (`survey`), and once more for what lies around the first anomaly
//! (`lanes`) and for who read the records in question (`records`). What is kept is bounded by buckets and anomalies, and so
//! is the page, however long the history.

mod action;
mod buckets;
mod chart;
mod crop;
mod described;
mod escaped;
mod evidence;
mod faults;
mod faults_section;
mod histogram;
mod lanes;
mod latency_chart;
mod page;
mod rate_chart;
mod records;
mod records_table;
mod survey;
mod timeline_chart;
mod units;
mod verdict;

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jepsen_judge::history::{Malformed, Operation, Pairing, ReadError, Reader};

use crate::store::{ResultsFile, RunFile, Store, StoreError};

use crop::Crop;
use lanes::Lanes;
use page::Page;
use records::Records;
use survey::Survey;

/// The page's name in a run's directory.
pub const FILE_NAME: &str = "report.html";

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line of its history.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The order of its events.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Writes the page of a run into its directory; gives where it is.
///
/// # Errors
/// If the history cannot be read or the page not be written.
pub fn write(store: &Store, run: &RunFile, results: &ResultsFile) -> Result<PathBuf, ReportError> {
    let mut survey = Survey::default();
    let mut records = Records::of(results);
    let cited = survey::cited_events(results);
    each_operation(&store.history(), |operation| {
        survey.take(operation, &cited);
        records.take_send(operation);
    })?;
    survey.finish();

    let crop = Crop::choose(results, &survey);
    let mut lanes = Lanes::of(&crop);
    records.locate();
    each_operation(&store.history(), |operation| {
        lanes.take(operation);
        records.take_poll(operation);
    })?;
    lanes.finish();

    let page = Page { run, results, survey: &survey, records: &records, crop: &crop, lanes: &lanes };
    let (path, partial) = (store.dir().join(FILE_NAME), store.dir().join(format!("{FILE_NAME}.tmp")));
    let file = |error| StoreError::File { path: path.clone(), error };
    let mut out = BufWriter::new(File::create(&partial).map_err(file)?);
    write!(out, "{page}").and_then(|()| out.flush()).map_err(file)?;
    std::fs::rename(&partial, &path).map_err(file)?;
    Ok(path)
}

/// Shows each operation of a history in the order in which they ended; those that never did come last.
fn each_operation(path: &Path, mut show: impl FnMut(&Operation)) -> Result<(), ReportError> {
    let file = File::open(path).map_err(|error| StoreError::File { path: path.to_owned(), error })?;
    let mut pairing = Pairing::default();
    for event in Reader::new(BufReader::new(file)) {
        pairing.take(event?)?.iter().for_each(&mut show);
    }
    pairing.finish().iter().for_each(show);
    Ok(())
}
