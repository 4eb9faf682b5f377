//! What simulated machines leave for `verify` to judge: recordings, and what is on their disks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use highwater_model::id::NodeId;
use highwater_node::disk::{Fault, SimDisk};
use highwater_node::trace::Recorder;

/// The most bytes of one recording: more than a minute of a broker takes.
const RECORDING_BYTES_MAX: usize = 1 << 30;

/// What the brokers record of themselves, a recording for each start, in order; nothing if nobody wants it. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Recordings {
    started: Option<Arc<Mutex<Started>>>,
}

/// A recorder for each start.
type Started = Vec<(NodeId, Recorder)>;

/// What is left of all machines.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Recordings by their file names.
    recordings: Vec<(String, Bytes)>,
    /// What is on each broker's disk, by path.
    disks: Vec<(NodeId, Vec<(String, Bytes)>)>,
    /// Whether all machines lost power in the end.
    pub lost_power: bool,
}

impl Recordings {
    /// Recordings that are kept.
    #[must_use]
    pub fn kept() -> Self {
        Self { started: Some(Arc::default()) }
    }

    /// Whether they are.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.started.is_some()
    }

    /// Where a broker that starts records.
    pub(super) fn begin(&self, node: NodeId) -> Recorder {
        let Some(started) = &self.started else { return Recorder::default() };
        let recorder = Recorder::memory(RECORDING_BYTES_MAX);
        started.lock().unwrap_or_else(PoisonError::into_inner).push((node, recorder.clone()));
        recorder
    }

    /// All of them. However a broker ended, nothing is missing.
    #[must_use]
    pub fn take(&self) -> Vec<(String, Bytes)> {
        let Some(started) = &self.started else { return Vec::new() };
        let started = started.lock().unwrap_or_else(PoisonError::into_inner);
        let name = |(number, (node, recorder)): (u32, &(NodeId, Recorder))| {
            (format!("node-{node}-{number:06}.trace"), recorder.take())
        };
        (0..).zip(started.iter()).map(name).filter(|(_, bytes)| !bytes.is_empty()).collect()
    }
}

impl Left {
    /// What is left, of recordings and of each broker's disk.
    #[must_use]
    pub fn new(
        recordings: Vec<(String, Bytes)>,
        disks: Vec<(NodeId, Vec<(String, Bytes)>)>,
        lost_power: bool,
    ) -> Self {
        Self { recordings, disks, lost_power }
    }

    /// Writes it: recordings into one directory, and for each broker a directory with its log directory into the other.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, traces: &Path, nodes: &Path) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(traces)?;
        for (name, bytes) in &self.recordings {
            fs::write(traces.join(name), bytes)?;
        }
        let mut data_dirs = Vec::new();
        for (node, files) in &self.disks {
            let dir = nodes.join(format!("node-{node}")).join("data");
            fs::create_dir_all(&dir)?;
            for (path, bytes) in files {
                let path = dir.join(path);
                path.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::write(path, bytes)?;
            }
            data_dirs.push(dir);
        }
        Ok(data_dirs)
    }
}

/// Every file of a disk.
///
/// # Errors
/// If one cannot be read.
pub(super) fn files_of(disk: &SimDisk) -> Result<Vec<(String, Bytes)>, Fault> {
    let disk = disk.mount(None);
    let (mut files, mut left) = (Vec::new(), vec![String::new()]);
    while let Some(directory) = left.pop() {
        for entry in disk.list(&directory)? {
            let path = if directory.is_empty() { entry.name } else { format!("{directory}/{}", entry.name) };
            if entry.is_directory {
                left.push(path);
            } else {
                let bytes = disk.read_whole(&path)?;
                files.push((path, bytes));
            }
        }
    }
    Ok(files)
}
