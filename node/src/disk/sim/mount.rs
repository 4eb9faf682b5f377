//! What a simulated process sees of its disk.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use highwater_transport::env::Env;

use super::locked;
use super::media::{Media, Name};
use crate::disk::{Completer, Completion, Disk, DiskFile, Entry, Fault, FileRef, Open, SyncSet};

/// A sync takes from this on, in microseconds…
const SYNC_US_MIN: u64 = 100;
/// … up to this much longer.
const SYNC_US_SPREAD: u64 = 1900;
/// A write or read that is not done at once takes up to this long, in microseconds.
const DELAY_US_MAX: u64 = 300;

/// One process's hold on a disk.
pub(super) struct Mount {
    name: Arc<str>,
    media: Arc<Mutex<Media>>,
    /// The media's, when this was mounted; another one means that this process is gone.
    incarnation: u64,
    env: Option<Env>,
    offline: OnceLock<Fault>,
    queue: Mutex<Queue>,
    /// For what outlives a call.
    own: std::sync::Weak<Self>,
    has_lock: Mutex<bool>,
}

/// What waits for the one sync that may be outstanding.
#[derive(Default)]
struct Queue {
    is_running: bool,
    jobs: Vec<Job>,
}

enum Job {
    Sync { files: Vec<(u64, usize)>, directories: Vec<String>, path: String, completer: Completer<()> },
    Replace { completer: Completer<()>, path: String },
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Mount {
    pub(super) fn new(
        name: Arc<str>,
        media: Arc<Mutex<Media>>,
        incarnation: u64,
        env: Option<Env>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            name,
            media,
            incarnation,
            env,
            offline: OnceLock::new(),
            queue: Mutex::default(),
            own: own.clone(),
            has_lock: Mutex::new(false),
        })
    }

    /// The media, if this process still has it and it is online.
    fn media(&self) -> Result<MutexGuard<'_, Media>, Fault> {
        let media = locked(&self.media);
        if media.incarnation != self.incarnation {
            return Err(Fault::Gone);
        }
        match self.offline.get() {
            Some(fault) => Err(fault.clone()),
            None => Ok(media),
        }
    }

    fn strong(&self) -> Arc<Self> {
        self.own.upgrade().expect("whoever calls a method holds the mount")
    }

    /// Completes a write or read: mostly at once, now and then a little later.
    fn later<T: Send + 'static>(&self, media: &mut Media, value: T) -> Completion<T> {
        let Some(env) = self.env.as_ref().filter(|_| media.random.one_in(4)) else {
            return Completion::done(Ok(value));
        };
        let delay = Duration::from_micros(media.random.below(DELAY_US_MAX));
        let (completer, completion) = Completion::pending();
        let sleep = env.sleep(delay);
        drop(env.spawn("disk", async move {
            sleep.await;
            completer.complete(Ok(value));
        }));
        completion
    }

    fn submit(&self, job: Job) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.jobs.push(job);
        if std::mem::replace(&mut queue.is_running, true) {
            return;
        }
        drop(queue);
        match &self.env {
            None => self.run_jobs(),
            Some(env) => {
                let own = self.strong();
                let env = env.clone();
                drop(env.clone().spawn("disk-sync", async move { own.run_slowly(env).await }));
            }
        }
    }

    /// Group commit: what arrives while one sync takes its time is done by the next.
    async fn run_slowly(self: Arc<Self>, env: Env) {
        loop {
            let jobs = self.take_jobs();
            if jobs.is_empty() {
                return;
            }
            let micros = match self.media() {
                Ok(mut media) => SYNC_US_MIN + media.random.below(SYNC_US_SPREAD),
                Err(_) => SYNC_US_MIN,
            };
            env.sleep(Duration::from_micros(micros)).await;
            self.do_jobs(jobs);
        }
    }

    fn run_jobs(&self) {
        loop {
            let jobs = self.take_jobs();
            if jobs.is_empty() {
                return;
            }
            self.do_jobs(jobs);
        }
    }

    fn take_jobs(&self) -> Vec<Job> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.is_running = !queue.jobs.is_empty();
        std::mem::take(&mut queue.jobs)
    }

    fn do_jobs(&self, jobs: Vec<Job>) {
        for job in jobs {
            match job {
                Job::Sync { files, directories, path, completer } => {
                    completer.complete(self.sync_these(&files, &directories, &path));
                }
                Job::Replace { completer, path } => {
                    let result = self.sync_these(&[], &[], &path);
                    if let Ok(mut media) = self.media() {
                        media.finish_replacement();
                    }
                    completer.complete(result);
                }
            }
        }
    }

    fn sync_these(&self, files: &[(u64, usize)], directories: &[String], path: &str) -> Result<(), Fault> {
        let mut media = self.media()?;
        if let Some(left) = media.asked.failing_syncs.checked_sub(1) {
            media.asked.failing_syncs = left;
            let reason = io::Error::other("simulated fault").to_string();
            // The kernel takes for clean what it has failed to write, and goes on serving it.
            for (inode, length) in files {
                media.inode(*inode).fail_to_sync(*length);
            }
            let fault = Fault::Offline { directory: self.name.to_string(), path: path.to_owned(), reason };
            return Err(self.offline.get_or_init(|| fault).clone());
        }
        for (inode, length) in files {
            media.sync_file(*inode, *length);
        }
        for directory in directories {
            media.sync_dir(directory);
        }
        Ok(())
    }

    /// The files of a set with their lengths, and a path to name when their sync fails.
    fn files_of(&self, set: &SyncSet) -> Result<(Vec<(u64, usize)>, String), Fault> {
        let mut files = Vec::with_capacity(set.files.len());
        let mut path = self.name.to_string();
        for file in &set.files {
            let file = own_file(file)?;
            path.clone_from(&file.path);
            files.push((file.inode, usize::try_from(file.len_bytes()).unwrap_or(usize::MAX)));
        }
        Ok((files, path))
    }

    fn checked(path: &str) -> Result<(), Fault> {
        let plain = path.split('/').all(|part| !matches!(part, "." | "..") && !part.is_empty());
        if plain || path.is_empty() { Ok(()) } else { Err(Fault::BadPath { path: path.to_owned() }) }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let has_lock = *self.has_lock.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut media = locked(&self.media);
        if has_lock && media.incarnation == self.incarnation {
            media.locked = false;
        }
    }
}

impl Disk for Mount {
    fn name(&self) -> &str {
        &self.name
    }

    fn offline(&self) -> Option<Fault> {
        self.offline.get().cloned()
    }

    fn open(&self, path: &str, how: Open) -> Result<FileRef, Fault> {
        Self::checked(path)?;
        let mut media = self.media()?;
        let inode = match (media.find(path), how) {
            (Some(Name::File(_)), Open::New) => return Err(Fault::Exists { path: path.to_owned() }),
            (Some(Name::File(inode)), Open::Existing | Open::OrNew) => inode,
            (None, Open::New | Open::OrNew) => {
                media.check_files(path)?;
                media.create(path, &[])
            }
            (None, Open::Existing) | (Some(Name::Directory), _) => {
                return Err(Fault::Missing { path: path.to_owned() });
            }
        };
        Ok(Arc::new(SimFile { inode, path: path.to_owned(), mount: self.strong() }))
    }

    fn sync(&self, set: SyncSet) -> Completion<()> {
        let (files, path) = match self.files_of(&set).and_then(|found| self.media().map(|_| found)) {
            Ok(found) => found,
            Err(fault) => return Completion::done(Err(fault)),
        };
        let (completer, completion) = Completion::pending();
        self.submit(Job::Sync { files, directories: set.directories, path, completer });
        completion
    }

    fn sync_now(&self, set: SyncSet) -> Result<(), Fault> {
        let (files, path) = self.files_of(&set)?;
        self.sync_these(&files, &set.directories, &path)
    }

    fn replace(&self, path: &str, content: Bytes) -> Completion<()> {
        let begun = Self::checked(path).and_then(|()| self.media());
        match begun.and_then(|mut media| media.begin_replacement(path, content)) {
            Ok(()) => {
                let (completer, completion) = Completion::pending();
                self.submit(Job::Replace { completer, path: path.to_owned() });
                completion
            }
            Err(fault) => Completion::done(Err(fault)),
        }
    }

    fn replace_now(&self, path: &str, content: Bytes) -> Result<(), Fault> {
        // Whatever was issued before is done first, as a thread that takes one after the other would.
        let jobs = std::mem::take(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner).jobs);
        self.do_jobs(jobs);
        let mut media = self.media()?;
        media.begin_replacement(path, content)?;
        media.finish_replacements();
        Ok(())
    }

    fn cut(&self, remove: &[String], keep: Option<(&FileRef, u64)>) -> Result<(), Fault> {
        let mut directories = Vec::new();
        for path in remove {
            self.remove(path)?;
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
            if !directories.contains(&parent) {
                directories.push(parent);
            }
        }
        self.sync_these(&[], &directories, &self.name)?;
        self.media()?.check_cut()?;
        let Some((file, length)) = keep else { return Ok(()) };
        file.truncate(length)?;
        self.media()?.cuts += 1;
        let file = own_file(file)?;
        self.sync_these(&[(file.inode, usize::MAX)], &[], &file.path)
    }

    fn read_whole(&self, path: &str) -> Result<Bytes, Fault> {
        self.media()?.content(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let mut media = self.media()?;
        media.find(from).ok_or_else(|| Fault::Missing { path: from.to_owned() })?;
        media.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Fault> {
        self.media()?.remove(path)
    }

    fn remove_dir(&self, path: &str) -> Result<(), Fault> {
        if path.is_empty() {
            return Err(Fault::BadPath { path: path.to_owned() });
        }
        let mut media = self.media()?;
        media.find(path).ok_or_else(|| Fault::Missing { path: path.to_owned() })?;
        media.remove_dir(path);
        Ok(())
    }

    fn create_dir(&self, path: &str) -> Result<(), Fault> {
        Self::checked(path)?;
        self.media()?.create_dir(path);
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Fault> {
        self.media()?.list(path)
    }

    fn lock(&self) -> Result<(), Fault> {
        let mut has_lock = self.has_lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut media = self.media()?;
        if std::mem::replace(&mut media.locked, true) && !*has_lock {
            return Err(Fault::Locked { directory: self.name.to_string() });
        }
        *has_lock = true;
        Ok(())
    }

    fn boot_id(&self) -> Result<String, Fault> {
        Ok(format!("simulated-boot-{}", self.media()?.boot))
    }
}

/// An open file.
#[derive(Debug)]
struct SimFile {
    inode: u64,
    path: String,
    mount: Arc<Mount>,
}

impl DiskFile for SimFile {
    fn path(&self) -> &str {
        &self.path
    }

    fn len_bytes(&self) -> u64 {
        let length = locked(&self.mount.media).inode(self.inode).current().len();
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    fn append(&self, chunks: &[Bytes]) -> Result<Completion<()>, Fault> {
        let mut media = self.mount.media()?;
        media.check_room(&self.path, chunks)?;
        let inode = media.inode(self.inode);
        for chunk in chunks {
            inode.append(chunk);
        }
        Ok(self.mount.later(&mut media, ()))
    }

    fn rewrite(&self, position: u64, chunks: &[Bytes]) -> Result<(), Fault> {
        let mut position = usize::try_from(position).unwrap_or(usize::MAX);
        let mut media = self.mount.media()?;
        for chunk in chunks {
            media.inode(self.inode).write(position, chunk);
            position = position.saturating_add(chunk.len());
        }
        Ok(())
    }

    fn read(&self, position: u64, length: usize) -> Completion<Bytes> {
        let mut media = match self.mount.media() {
            Ok(media) => media,
            Err(fault) => return Completion::done(Err(fault)),
        };
        let bytes = slice(media.inode(self.inode).current(), position, length);
        self.mount.later(&mut media, bytes)
    }

    fn read_now(&self, position: u64, length: usize) -> Result<Bytes, Fault> {
        Ok(slice(self.mount.media()?.inode(self.inode).current(), position, length))
    }

    fn truncate(&self, length: u64) -> Result<(), Fault> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.mount.media()?.inode(self.inode).truncate(length);
        Ok(())
    }
}

fn own_file(file: &FileRef) -> Result<Arc<SimFile>, Fault> {
    let any: Arc<dyn Any + Send + Sync> = Arc::<dyn DiskFile>::clone(file);
    any.downcast::<SimFile>().map_err(|_| Fault::BadPath { path: "a file of another disk".to_owned() })
}

fn slice(content: &[u8], position: u64, length: usize) -> Bytes {
    let from = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
    let to = from.saturating_add(length).min(content.len());
    BytesMut::from(content.get(from..to).unwrap_or_default()).freeze()
}
