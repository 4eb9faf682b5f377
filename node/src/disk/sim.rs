//! A simulated log directory: deterministic from a seed, on one thread, with every way of losing bytes that a real one
//! has (X10, X11).
//!
//! [`SimDisk`] is the thing that survives its processes; [`SimDisk::mount`] gives a process its [`Disk`]. When the
//! process is killed call [`SimDisk::kill`], when its machine loses power [`SimDisk::power_loss`]; both make everything
//! mounted before useless.

mod inode;
mod media;
mod mount;
mod random;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use highwater_transport::env::Env;

use super::Disk;
use media::Media;
use mount::Mount;
use random::Random;

/// A simulated log directory, apart from the processes that use it. A cheap handle.
#[derive(Clone, Debug)]
pub struct SimDisk {
    name: Arc<str>,
    media: Arc<Mutex<Media>>,
}

impl SimDisk {
    /// An empty directory. `seed` decides delays and what becomes of replacements that a kill interrupts.
    #[must_use]
    pub fn new(name: &str, seed: u64) -> Self {
        Self { name: Arc::from(name), media: Arc::new(Mutex::new(Media::new(seed))) }
    }

    fn media(&self) -> MutexGuard<'_, Media> {
        locked(&self.media)
    }

    /// Gives a process the directory. With an environment syncs, and now and then writes and reads, take simulated time;
    /// without one everything completes at once.
    #[must_use]
    pub fn mount(&self, env: Option<Env>) -> Arc<dyn Disk> {
        let incarnation = self.media().incarnation;
        Mount::new(Arc::clone(&self.name), Arc::clone(&self.media), incarnation, env)
    }

    /// The process that used the directory was killed: everything that it wrote stays, what it had not been told is open.
    pub fn kill(&self) {
        let mut media = self.media();
        let mut random = Random::new(media.random.next());
        media.stop(&mut random);
    }

    /// The machine lost power: what is not synced is kept, lost, or replaced by zeros, block by block, as `seed` has it;
    /// files created since may be gone, and those removed be back.
    pub fn power_loss(&self, seed: u64) {
        let mut media = self.media();
        let mut random = Random::new(seed);
        media.stop(&mut random);
        media.lose_power(&mut random);
    }

    /// From now on syncs do nothing and say that all is well: the control that shows that syncs matter.
    pub fn set_lying_sync(&self, lying: bool) {
        self.media().asked.lying_sync = lying.then(String::new);
    }

    /// As [`Self::set_lying_sync`], for the contents of record segments (`.log`) alone whose paths begin so. A directory
    /// that forgets more than records is noticed when it is opened, and taken offline instead of losing them.
    pub fn set_lying_sync_under(&self, prefix: &str) {
        self.media().asked.lying_sync = Some(prefix.to_owned());
    }

    /// The next `count` syncs fail, each for good: what it covered is served from then on, and written by no later sync.
    pub fn fail_syncs(&self, count: u32) {
        self.media().asked.failing_syncs = count;
    }

    /// All files together take so many bytes at most; `None` for no bound. What does not fit is refused whole.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.media().asked.capacity_bytes = bytes;
    }

    /// From now on there is room for no new file, or there is again: a disk runs out of those too.
    pub fn set_no_new_files(&self, none: bool) {
        self.media().asked.no_new_files = none;
    }

    /// The next `count` cuts find no room once they have removed files, as where a file is not changed but written anew.
    pub fn fail_cuts(&self, count: u32) {
        self.media().asked.failing_cuts = count;
    }

    /// Bytes of all files.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.media().used_bytes()
    }

    /// How often a log was cut and a part of its last segment kept, by a truncation or a recovery.
    #[must_use]
    pub fn log_cuts(&self) -> u64 {
        self.media().cuts
    }

    /// Flips one bit of a file for good; `false` when there is no such byte.
    pub fn flip_bit(&self, path: &str, byte: usize, bit: u8) -> bool {
        self.media().flip_bit(path, byte, bit)
    }

    /// Content of a file as the kernel has it, for tests.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<Bytes> {
        self.media().content(path).ok()
    }

    /// Shortens a file, as a torn write leaves it, for tests.
    pub fn tear(&self, path: &str, length: usize) {
        let mut media = self.media();
        if let Some(media::Name::File(inode)) = media.find(path) {
            media.inode(inode).truncate(length);
            media.sync_file(inode, length);
        }
    }
}

fn locked(media: &Mutex<Media>) -> MutexGuard<'_, Media> {
    media.lock().unwrap_or_else(PoisonError::into_inner)
}
