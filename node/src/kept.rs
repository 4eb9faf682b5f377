//! Log directories, and what a start can say of each: whether what it had counted was kept (R60).
//!
//! Three small files per directory: `meta.properties` says what it was formatted for, `start-up` under which kernel and
//! registration it is in use, `clean-stop` that it was closed in order. A start reads the facts, deletes the marker and
//! writes the start-up record before any log is opened for writing; a fact that was not so stays not so until a
//! registration has stated it. The judgement is the controller's.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use highwater_model::id::{BrokerEpoch, DirectoryId, NodeId, TopicPartition};
use highwater_model::metadata::DirectoryFacts;

use crate::config::formatted::{self, Formatted};
use crate::disk::{Disk, Fault, SyncSet};
use crate::log::{OffsetCheckpoint, RECOVERY_POINTS, Stop};

/// Under which kernel and registration a directory is in use.
const START_UP: &str = "start-up";
/// That a directory was closed in order.
const CLEAN_STOP: &str = "clean-stop";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Storage.
    #[error(transparent)]
    Storage(#[from] Fault),
    /// It was not formatted.
    #[error(
        "{directory} has no {}; format it first: highwater format --ignore-formatted",
        formatted::FILE_NAME
    )]
    NotFormatted {
        /// The directory.
        directory: String,
    },
    /// What it was formatted for cannot be read.
    #[error("{directory}/{}: {what}", formatted::FILE_NAME)]
    Malformed {
        /// The directory.
        directory: String,
        /// What is wrong.
        what: String,
    },
    /// It belongs to another node or cluster.
    #[error("{directory} was formatted for {found}, but this is {expected}; use the directory of this node")]
    OfAnother {
        /// The directory.
        directory: String,
        /// What it says.
        found: String,
        /// What this process is.
        expected: String,
    },
}

/// One log directory in use.
#[derive(Debug)]
pub(crate) struct LogDirectory {
    /// Where it is.
    pub(crate) disk: Arc<dyn Disk>,
    /// What it was formatted for.
    pub(crate) formatted: Formatted,
    /// How the process that last used it ended.
    pub(crate) stop: Stop,
    /// Up to where each log is synced.
    pub(crate) recovery_points: Arc<OffsetCheckpoint>,
    /// The newest registration under which it is known to have been in use, by whatever kernel. Tells the newer of two
    /// copies of a log; of what was kept it says nothing.
    pub(crate) used_under: Option<BrokerEpoch>,
    boot_id: String,
    clean_stop: Option<BrokerEpoch>,
    same_boot: Option<BrokerEpoch>,
    /// Whether this process has recovered its logs.
    is_recovered: AtomicBool,
}

/// The log directories of a broker. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct LogDirectories(Arc<Vec<LogDirectory>>);

/// The content of a start-up record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StartUp {
    boot_id: String,
    broker_epoch: Option<BrokerEpoch>,
    /// The newest registration under which it was ever in use.
    used_under: Option<BrokerEpoch>,
    /// Whether its logs have been recovered under this kernel.
    is_recovered: bool,
}

impl LogDirectory {
    /// Takes a directory for this process: locks it, reads what a start can say of it, and makes it say what is so from
    /// here on.
    ///
    /// # Errors
    /// A [`DirectoryError`] that names the directory.
    pub(crate) async fn take(disk: Arc<dyn Disk>, node: NodeId) -> Result<Self, DirectoryError> {
        disk.lock()?;
        let formatted = read_format(disk.as_ref(), node)?;
        let boot_id = disk.boot_id()?;
        let clean_stop = read_text(disk.as_ref(), CLEAN_STOP)?.and_then(|text| field(&text, "broker.epoch"));
        let before = read_text(disk.as_ref(), START_UP)?.map(|text| StartUp::from_text(&text));
        let used_under = before.as_ref().and_then(|before| before.used_under).max(clean_stop);
        let same_boot = before.as_ref().filter(|before| before.boot_id == boot_id);
        let same_boot_epoch = same_boot.and_then(|before| before.broker_epoch);
        // A start that ended before it had recovered the logs leaves what a power loss did to them as it found it.
        let stop = match (&clean_stop, same_boot.is_some_and(|before| before.is_recovered)) {
            (Some(_), _) => Stop::Clean,
            (None, true) => Stop::Killed,
            (None, false) => Stop::Unknown,
        };
        // What was kept so far is kept still, if nothing has happened to it; otherwise nothing is claimed.
        let broker_epoch = clean_stop.or(same_boot_epoch);
        let is_recovered = stop != Stop::Unknown;
        let record = StartUp { boot_id: boot_id.clone(), broker_epoch, used_under, is_recovered };
        disk.replace(START_UP, record.to_bytes()).await?;
        if clean_stop.is_some() {
            disk.remove(CLEAN_STOP)?;
            disk.sync(SyncSet { directories: vec![String::new()], ..SyncSet::default() }).await?;
        }
        let recovery_points = Arc::new(OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS)?);
        let (same_boot, is_recovered) = (same_boot_epoch, AtomicBool::new(false));
        Ok(Self {
            disk,
            formatted,
            stop,
            recovery_points,
            used_under,
            boot_id,
            clean_stop,
            same_boot,
            is_recovered,
        })
    }

    /// Its identity.
    pub(crate) fn id(&self) -> DirectoryId {
        self.formatted.directory
    }

    /// What the broker states of it when it registers.
    pub(crate) fn facts(&self, damaged: Vec<TopicPartition>, incomplete: bool) -> DirectoryFacts {
        DirectoryFacts {
            directory: self.id(),
            clean_stop: self.clean_stop,
            same_boot: self.same_boot,
            damaged,
            incomplete,
        }
    }

    /// Writes that every log in it has been recovered under the running kernel.
    pub(crate) async fn note_recovered(&self) -> Result<(), Fault> {
        if self.stop == Stop::Unknown {
            self.write_start_up(self.clean_stop.or(self.same_boot)).await?;
        }
        self.is_recovered.store(true, Ordering::Release);
        Ok(())
    }

    /// A directory whose logs could not be opened was not spoken of in the registration.
    async fn note_registration(&self, broker_epoch: BrokerEpoch) -> Result<(), Fault> {
        if self.is_recovered.load(Ordering::Acquire) {
            self.write_start_up(Some(broker_epoch)).await?;
        }
        Ok(())
    }

    async fn write_start_up(&self, broker_epoch: Option<BrokerEpoch>) -> Result<(), Fault> {
        let (boot_id, used_under) = (self.boot_id.clone(), self.used_under.max(broker_epoch));
        let record = StartUp { boot_id, broker_epoch, used_under, is_recovered: true };
        self.disk.replace(START_UP, record.to_bytes()).await
    }

    async fn note_clean_stop(&self, broker_epoch: BrokerEpoch) -> Result<(), Fault> {
        self.recovery_points.store().await?;
        let text = format!("version=1\nbroker.epoch={broker_epoch}\n");
        self.disk.replace(CLEAN_STOP, Bytes::from(text)).await
    }
}

impl LogDirectories {
    /// These directories; the first holds the metadata.
    pub(crate) fn new(directories: Vec<LogDirectory>) -> Self {
        Self(Arc::new(directories))
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &LogDirectory> {
        self.0.iter()
    }

    /// Writes in each that it is in use under this registration. One that cannot be written fails by itself, and is
    /// found to be not kept at the next start.
    pub(crate) async fn note_registration(&self, broker_epoch: BrokerEpoch) {
        for directory in self.iter() {
            if let Err(fault) = directory.note_registration(broker_epoch).await {
                tracing::error!(directory = %directory.id(), %fault, "cannot write the start-up record");
            }
        }
    }

    /// Writes in each of `closed` that it was closed in order, under this registration. All logs in it are closed.
    pub(crate) async fn note_clean_stop(&self, broker_epoch: BrokerEpoch, closed: &[DirectoryId]) {
        for directory in self.iter().filter(|directory| closed.contains(&directory.id())) {
            if let Err(fault) = directory.note_clean_stop(broker_epoch).await {
                tracing::error!(directory = %directory.id(), %fault, "cannot write the clean-stop marker");
            }
        }
    }
}

impl StartUp {
    fn from_text(text: &str) -> Self {
        let boot_id = value(text, "boot.id").unwrap_or_default().to_owned();
        let is_recovered = value(text, "recovered") == Some("true");
        let broker_epoch = field(text, "broker.epoch");
        Self { boot_id, broker_epoch, used_under: field(text, "used.under").max(broker_epoch), is_recovered }
    }

    fn to_bytes(&self) -> Bytes {
        let line = |name, epoch: Option<BrokerEpoch>| {
            epoch.map(|epoch| format!("{name}={epoch}\n")).unwrap_or_default()
        };
        let (epoch, used) = (line("broker.epoch", self.broker_epoch), line("used.under", self.used_under));
        let (boot_id, is_recovered) = (&self.boot_id, self.is_recovered);
        Bytes::from(format!("version=1\nboot.id={boot_id}\n{epoch}{used}recovered={is_recovered}\n"))
    }
}

fn read_format(disk: &dyn Disk, node: NodeId) -> Result<Formatted, DirectoryError> {
    let directory = disk.name().to_owned();
    let Some(text) = read_text(disk, formatted::FILE_NAME)? else {
        return Err(DirectoryError::NotFormatted { directory });
    };
    let formatted = match Formatted::parse(&text) {
        Ok(formatted) => formatted,
        Err(what) => return Err(DirectoryError::Malformed { directory, what }),
    };
    if formatted.node != node {
        let (found, expected) = (format!("node {}", formatted.node), format!("node {node}"));
        return Err(DirectoryError::OfAnother { directory, found, expected });
    }
    Ok(formatted)
}

fn read_text(disk: &dyn Disk, path: &str) -> Result<Option<String>, Fault> {
    match disk.read_whole(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    lines.find(|(have, _)| *have == name).map(|(_, value)| value)
}

fn field(text: &str, name: &str) -> Option<BrokerEpoch> {
    value(text, name).and_then(|value| value.parse().ok()).map(BrokerEpoch)
}
