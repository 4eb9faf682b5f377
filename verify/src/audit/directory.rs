//! Finds the log directories, makes sure that nobody uses them, and lists what is in each. Nothing is ever opened for writing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::segment::{Unreadable, open_plain};
use super::text;

/// The directory of the metadata log.
pub(super) const METADATA: &str = "__cluster_metadata-0";

/// How far below what was given log directories are looked for.
const LEVELS: u32 = 2;

/// Why nothing is audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file or directory.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A process uses a directory.
    #[error("{} is in use: a process holds the lock of its .lock; stop that broker first", .0.display())]
    InUse(PathBuf),
    /// No log directory.
    #[error("there is no log directory (one with meta.properties) in {} nor two levels below", .0.display())]
    Nothing(PathBuf),
    /// A directory and a copy of it.
    #[error(
        "{} and {} are one directory of node {node} by their directory.id: leave out the copy",
        first.display(),
        second.display()
    )]
    Twice {
        /// The node.
        node: u32,
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The directory does not say whose it is.
    #[error("{} does not say which {what} it belongs to: put back the file that `highwater format` wrote", path.display())]
    Nameless {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// Directories that do not belong together.
    #[error("{} belongs to cluster {second}, the others to {first}: audit one cluster at a time", path.display())]
    Clusters {
        /// The directory.
        path: PathBuf,
        /// The cluster of those before it.
        first: String,
        /// Its own.
        second: String,
    },
    /// The topic of the history has to be named.
    #[error("which topic is the history of? {0}")]
    Topic(String),
}

/// One log directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) node: u32,
    pub(super) id: u128,
    cluster: String,
    /// Who voted in the beginning, by node and directory.
    pub(super) initial_voters: Vec<(u32, u128)>,
    /// The newest registration under which the directory was in use; of two copies of a log that of the higher one counts.
    pub(super) used_under: u64,
    pub(super) logs: Vec<Log>,
    /// Small files that are there and cannot be understood.
    pub(super) faults: Vec<Fault>,
    /// Whether recovery points are noted at all.
    pub(super) has_points: bool,
    /// Whether the last stop was a clean one.
    pub(super) is_clean: bool,
    /// Names of logs that have a recovery point and are not there.
    pub(super) missing: Vec<(String, u64)>,
    /// What the file of the vote holds, if it is there.
    pub(super) vote: Option<Vec<u8>>,
    /// As long as it is held no broker starts here.
    _lock: Option<File>,
}

/// A small file that is there and cannot be understood. Each is replaced as a whole, so that no kill and no power loss leaves such a
/// one; what it says is not known, and must not count as nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) path: PathBuf,
    /// What follows.
    pub(super) what: &'static str,
}

/// Reads a small file, if it is there.
fn understood<T>(
    path: PathBuf,
    read: impl FnOnce(&[u8]) -> Option<T>,
    what: &'static str,
    faults: &mut Vec<Fault>,
) -> Result<Option<T>, Unreadable> {
    let Some(bytes) = text::whole(&path)? else { return Ok(None) };
    let said = read(&bytes);
    if said.is_none() {
        faults.push(Fault { path, what });
    }
    Ok(said)
}

/// One log, as its directory names its parts.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) node: u32,
    pub(super) path: PathBuf,
    /// The name of the topic, by the directory's name.
    pub(super) topic: String,
    pub(super) partition: u32,
    /// By `partition.metadata`.
    pub(super) topic_id: Option<u128>,
    /// Segments by the offsets that they are named by.
    pub(super) segments: Vec<(u64, PathBuf)>,
    /// Where it was noted to begin.
    pub(super) noted_start: Option<u64>,
    /// The last entry of the epoch checkpoint.
    pub(super) last_epoch: Option<(u32, u64)>,
    pub(super) recovery_point: u64,
    /// Whether the last stop was a clean one.
    pub(super) is_clean: bool,
    /// Where it is to begin anew: nothing else in it counts.
    pub(super) begins_anew: Option<u64>,
    /// Snapshots by end and epoch.
    pub(super) snapshots: Vec<(u64, u32, PathBuf)>,
}

impl Log {
    pub(super) fn is_metadata(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == METADATA)
    }
}

/// Every log directory in these places, none twice, by node.
pub(super) fn find(places: &[PathBuf]) -> Result<Vec<Directory>, AuditError> {
    let mut paths = BTreeMap::new();
    for place in places {
        // A disk that is not mounted must not count as one that nobody asked about.
        if !collect(place, LEVELS, &mut paths)? {
            return Err(AuditError::Nothing(place.clone()));
        }
    }
    let mut found: Vec<Directory> = paths.into_values().map(|path| open(&path)).collect::<Result<_, _>>()?;
    found.sort_by_key(|directory| (directory.node, directory.id));
    let first = found.first().map(|first| first.cluster.clone()).unwrap_or_default();
    match found.iter().find(|other| other.cluster != first) {
        Some(other) => {
            let (path, second) = (other.path.clone(), other.cluster.clone());
            Err(AuditError::Clusters { path, first, second })
        }
        None => each_once(found),
    }
}

/// No directory and its copy: nobody can tell which of them is the node's.
fn each_once(found: Vec<Directory>) -> Result<Vec<Directory>, AuditError> {
    let mut pairs = found.iter().zip(found.iter().skip(1));
    let twice = pairs.find(|(one, other)| (one.node, one.id) == (other.node, other.id));
    match twice.map(|(one, other)| (one.node, one.path.clone(), other.path.clone())) {
        Some((node, first, second)) => Err(AuditError::Twice { node, first, second }),
        None => Ok(found),
    }
}

/// Adds the log directories at a place, by their canonical paths; whether there is one.
fn collect(place: &Path, levels: u32, found: &mut BTreeMap<PathBuf, PathBuf>) -> Result<bool, Unreadable> {
    if place.join("meta.properties").is_file() {
        let canonical = place.canonicalize().map_err(Unreadable::of(place))?;
        found.entry(canonical).or_insert_with(|| place.to_owned());
        return Ok(true);
    }
    if levels == 0 {
        return Ok(false);
    }
    let mut is_some = false;
    for name in names(place)? {
        let below = place.join(name);
        if below.is_dir() {
            is_some |= collect(&below, levels - 1, found)?;
        }
    }
    Ok(is_some)
}

/// The names in a directory, sorted; such that are no text mean nothing here.
fn names(directory: &Path) -> Result<BTreeSet<String>, Unreadable> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(Unreadable::of(directory))? {
        let entry = entry.map_err(Unreadable::of(directory))?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

fn open(path: &Path) -> Result<Directory, AuditError> {
    let lock = lock(path)?;
    let file = path.join("meta.properties");
    let nameless = |what| AuditError::Nameless { path: file.clone(), what };
    let said = text::properties(&text::whole(&file)?.unwrap_or_default());
    let said = said.ok_or_else(|| nameless("node and cluster"))?;
    let node = said.get("node.id").and_then(|id| id.parse().ok()).ok_or_else(|| nameless("node"))?;
    let id =
        said.get("directory.id").and_then(|id| text::unique(id)).ok_or_else(|| nameless("directory.id"))?;
    let cluster = said.get("cluster.id").cloned().ok_or_else(|| nameless("cluster"))?;
    let mut faults = Vec::new();
    let voters = said.get("initial.controllers").map_or(Some(Vec::new()), |voters| initial_voters(voters));
    if voters.is_none() {
        faults.push(Fault { path: file, what: "its initial.controllers are not read" });
    }
    let what =
        "up to where each log was synced is not known, so that what is missing at its end may go unnoticed";
    let points = path.join("recovery-point-offset-checkpoint");
    let has_points = points.exists();
    let points = understood(points, text::recovery_points, what, &mut faults)?.unwrap_or_default();
    let what = "under which registration the directory was in use is not known";
    let started = understood(path.join("start-up"), text::used_under, what, &mut faults)?;
    let what = "the last stop does not count as a clean one";
    let stopped = understood(path.join("clean-stop"), text::clean_stop, what, &mut faults)?;
    let mut directory = Directory {
        path: path.to_owned(),
        node,
        id,
        cluster,
        initial_voters: voters.unwrap_or_default(),
        used_under: started.max(stopped).unwrap_or_default(),
        logs: Vec::new(),
        faults,
        has_points,
        is_clean: stopped.is_some(),
        missing: Vec::new(),
        vote: text::whole(&path.join("quorum-state"))?,
        _lock: lock,
    };
    directory.list(&points)?;
    Ok(directory)
}

impl Directory {
    /// Lists its logs.
    fn list(&mut self, points: &BTreeMap<String, u64>) -> Result<(), Unreadable> {
        let mut found = BTreeSet::new();
        for name in names(&self.path)? {
            let path = self.path.join(&name);
            if let Some((topic, partition)) = text::log_name(&name).filter(|_| path.is_dir()) {
                let recovery_point = points.get(&name).copied().unwrap_or_default();
                let mut log = Log {
                    node: self.node,
                    topic: topic.to_owned(),
                    partition,
                    topic_id: None,
                    segments: Vec::new(),
                    noted_start: None,
                    last_epoch: None,
                    recovery_point,
                    is_clean: self.is_clean,
                    begins_anew: None,
                    snapshots: Vec::new(),
                    path,
                };
                log.list(&mut self.faults)?;
                self.logs.push(log);
                found.insert(name);
            }
        }
        let missing = points.iter().filter(|(name, point)| **point > 0 && !found.contains(*name));
        self.missing.extend(missing.map(|(name, point)| (name.clone(), *point)));
        Ok(())
    }
}

impl Log {
    /// Lists its parts, and reads the small ones.
    fn list(&mut self, faults: &mut Vec<Fault>) -> Result<(), Unreadable> {
        for name in names(&self.path)? {
            let path = self.path.join(&name);
            if let Some(base) = text::named_offset(&name, ".log") {
                self.segments.push((base, path));
            } else if let Some(start) = text::named_offset(&name, ".log.next") {
                self.begins_anew = Some(start);
            } else if let Some((end, epoch)) = text::snapshot_name(&name) {
                self.snapshots.push((end, epoch, path));
            }
        }
        let what = "it does not say of which topic the log is";
        self.topic_id = understood(self.path.join("partition.metadata"), text::topic_id, what, faults)?;
        let what = "an epoch that began at the log's end is not known";
        let epochs = understood(self.path.join("leader-epoch-checkpoint"), text::epochs, what, faults)?;
        self.last_epoch = epochs.and_then(|epochs| epochs.last().copied());
        let what = "the log begins with its first segment, and what was deleted of that is back";
        self.noted_start = understood(self.path.join("log-start-checkpoint"), text::log_start, what, faults)?;
        Ok(())
    }
}

/// Makes sure that no process uses the directory, and that none begins to while it is read.
fn lock(path: &Path) -> Result<Option<File>, AuditError> {
    let file = path.join(".lock");
    let Some(lock) = open_plain(&file)? else { return Ok(None) };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(AuditError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(Unreadable::of(&file)(error).into()),
    }
}

/// Nodes and directories of `ID@host:port:DIRECTORY-ID` separated by commas; nothing where one is none.
fn initial_voters(text: &str) -> Option<Vec<(u32, u128)>> {
    let voter = |text: &str| {
        let (node, rest) = text.trim().split_once('@')?;
        Some((node.parse().ok()?, text::unique(rest.rsplit_once(':')?.1)?))
    };
    let each = text.split(',').filter(|voter| !voter.trim().is_empty());
    each.map(voter).collect()
}
