//! A log directory of the operating system.
//!
//! Appends are written inline (a `writev` to the page cache takes microseconds), reads inline when the page cache has
//! them, else on a thread; syncs and replacements on a thread of their own with one outstanding, so that whatever arrives
//! meanwhile shares the next one. Opening, listing and renaming are done at the call.

mod file;
mod threads;

use std::any::Any;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};

use bytes::Bytes;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::{Completion, Disk, DiskFile, Entry, Fault, FileRef, Open, SyncSet};
use file::RealFile;
use threads::{Job, ReadJob, Target};

/// Where Linux tells the identity of the running kernel.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A log directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    shared: Arc<Shared>,
    lock: Mutex<Option<OwnedFd>>,
}

/// What a disk and its open files share.
#[derive(Debug)]
struct Shared {
    name: String,
    root: PathBuf,
    state: Arc<State>,
    jobs: mpsc::Sender<Job>,
    reads: mpsc::Sender<ReadJob>,
}

/// The fault that took the directory offline, once there is one. Shared with the threads, which end when nobody is
/// left to send them anything.
#[derive(Debug, Default)]
struct State {
    offline: OnceLock<Fault>,
}

impl State {
    fn check(&self) -> Result<(), Fault> {
        self.offline.get().map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Takes the directory offline, and gives the fault that did so first.
    fn take_offline(&self, directory: &str, path: &str, error: &io::Error) -> Fault {
        let reason = error.to_string();
        let fault = Fault::Offline { directory: directory.to_owned(), path: path.to_owned(), reason };
        tracing::error!(directory, path, %error, "log directory taken offline");
        self.offline.get_or_init(|| fault).clone()
    }
}

impl RealDisk {
    /// The log directory at `root`, which is created if it is not there.
    ///
    /// # Errors
    /// When it cannot be created, or a thread cannot be started.
    pub fn open(root: &Path) -> Result<Self, Fault> {
        let name = root.display().to_string();
        create_dirs(root).map_err(|error| system("create", &name, error))?;
        let state = Arc::new(State::default());
        let jobs = threads::start_syncs(&name, Arc::clone(&state));
        let jobs = jobs.map_err(|error| system("start a thread for", &name, error))?;
        let reads =
            threads::start_reads(&name).map_err(|error| system("start a thread for", &name, error))?;
        let shared = Arc::new(Shared { name, root: root.to_owned(), state, jobs, reads });
        Ok(Self { shared, lock: Mutex::new(None) })
    }

    fn resolve(&self, path: &str) -> Result<PathBuf, Fault> {
        self.shared.state.check()?;
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if plain { Ok(self.shared.root.join(path)) } else { Err(Fault::BadPath { path: path.to_owned() }) }
    }

    fn targets_of(&self, set: &SyncSet) -> Result<Vec<Target>, Fault> {
        let files = set.files.iter().map(|file| own_file(file).map(Target::File));
        let directories = set.directories.iter().map(|path| self.resolve(path).map(Target::Directory));
        files.chain(directories).collect()
    }

    fn submit<T>(&self, job: impl FnOnce(super::Completer<T>) -> Job) -> Completion<T> {
        if let Err(fault) = self.shared.state.check() {
            return Completion::done(Err(fault));
        }
        let (completer, completion) = Completion::pending();
        // Should the thread be gone, the completer goes with the job, and the completion says so.
        drop(self.shared.jobs.send(job(completer)));
        completion
    }
}

#[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
fn create_dirs(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

impl Disk for RealDisk {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn offline(&self) -> Option<Fault> {
        self.shared.state.offline.get().cloned()
    }

    fn open(&self, path: &str, how: Open) -> Result<FileRef, Fault> {
        let full = self.resolve(path)?;
        let shown = full.display().to_string();
        let flags = match how {
            Open::Existing => OFlags::empty(),
            Open::New => OFlags::CREATE | OFlags::EXCL,
            Open::OrNew => OFlags::CREATE,
        };
        let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&full, flags, Mode::from_raw_mode(0o644));
        let fd = fd.map_err(|errno| system("open", &shown, errno.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| system("stat", &shown, errno.into()))?;
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(Arc::new(RealFile::new(fd, path, shown, length, Arc::clone(&self.shared))))
    }

    fn sync(&self, set: SyncSet) -> Completion<()> {
        match self.targets_of(&set) {
            Ok(targets) => self.submit(|completer| Job::Sync { targets, completer }),
            Err(fault) => Completion::done(Err(fault)),
        }
    }

    fn sync_now(&self, set: SyncSet) -> Result<(), Fault> {
        self.sync(set).wait()
    }

    fn replace(&self, path: &str, content: Bytes) -> Completion<()> {
        match self.resolve(path) {
            Ok(path) => self.submit(|completer| Job::Replace { path, content, completer }),
            Err(fault) => Completion::done(Err(fault)),
        }
    }

    fn replace_now(&self, path: &str, content: Bytes) -> Result<(), Fault> {
        self.replace(path, content).wait()
    }

    fn cut(&self, remove: &[String], keep: Option<(&FileRef, u64)>) -> Result<(), Fault> {
        let mut directories = Vec::new();
        for path in remove {
            self.remove(path)?;
            let parent = self.resolve(path)?.parent().map(Path::to_path_buf).unwrap_or_default();
            if !directories.contains(&parent) {
                directories.push(parent);
            }
        }
        for directory in directories {
            threads::sync_directory(&self.shared.name, &self.shared.state, &directory)?;
        }
        if let Some((file, length)) = keep {
            file.truncate(length)?;
            threads::sync_file(&self.shared.name, &self.shared.state, own_file(file)?.as_ref())?;
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
    fn read_whole(&self, path: &str) -> Result<Bytes, Fault> {
        let full = self.resolve(path)?;
        fs::read(&full).map(Bytes::from).map_err(|error| system("read", &full.display().to_string(), error))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let (from, to) = (self.resolve(from)?, self.resolve(to)?);
        fs::rename(&from, to).map_err(|error| system("rename", &from.display().to_string(), error))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
    fn remove(&self, path: &str) -> Result<(), Fault> {
        let full = self.resolve(path)?;
        fs::remove_file(&full).map_err(|error| system("remove", &full.display().to_string(), error))
    }

    fn remove_dir(&self, path: &str) -> Result<(), Fault> {
        if path.is_empty() {
            return Err(Fault::BadPath { path: path.to_owned() });
        }
        let full = self.resolve(path)?;
        fs::remove_dir_all(&full).map_err(|error| system("remove", &full.display().to_string(), error))
    }

    fn create_dir(&self, path: &str) -> Result<(), Fault> {
        let full = self.resolve(path)?;
        create_dirs(&full).map_err(|error| system("create", &full.display().to_string(), error))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault> {
        let full = self.resolve(path)?;
        let shown = full.display().to_string();
        let mut entries = Vec::new();
        for entry in fs::read_dir(&full).map_err(|error| system("list", &shown, error))? {
            let entry = entry.map_err(|error| system("list", &shown, error))?;
            let kind = entry.file_type().map_err(|error| system("list", &shown, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry { name, is_directory: kind.is_dir() });
        }
        entries.sort();
        Ok(entries)
    }

    fn lock(&self) -> Result<(), Fault> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            return Ok(());
        }
        let full = self.resolve(".lock")?;
        let shown = full.display().to_string();
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&full, flags, Mode::from_raw_mode(0o644));
        let fd = fd.map_err(|errno| system("open", &shown, errno.into()))?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                *held = Some(fd);
                Ok(())
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Fault::Locked { directory: self.shared.name.clone() }),
            Err(errno) => Err(system("lock", &shown, errno.into())),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is where storage reaches the operating system")]
    fn boot_id(&self) -> Result<String, Fault> {
        let text = fs::read_to_string(BOOT_ID).map_err(|error| system("read", BOOT_ID, error))?;
        Ok(text.trim().to_owned())
    }
}

fn own_file(file: &FileRef) -> Result<Arc<RealFile>, Fault> {
    let any: Arc<dyn Any + Send + Sync> = Arc::<dyn DiskFile>::clone(file);
    any.downcast::<RealFile>().map_err(|_| Fault::BadPath { path: "a file of another disk".to_owned() })
}

/// The system's error as a fault.
fn system(operation: &'static str, path: &str, error: io::Error) -> Fault {
    let path = path.to_owned();
    let kind = error.kind();
    if kind == io::ErrorKind::NotFound {
        Fault::Missing { path }
    } else if kind == io::ErrorKind::AlreadyExists {
        Fault::Exists { path }
    } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        Fault::Full { path, bytes: 0 }
    } else {
        Fault::Io { operation, path, source: Arc::new(error) }
    }
}
