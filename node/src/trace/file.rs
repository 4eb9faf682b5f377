//! Writing records into files that together stay below a bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use highwater_model::trace::Header;
use highwater_transport::env::Env;

use super::{Shared, WAIT_MAX};
use crate::disk::{Disk, Fault, FileRef, Open, RealDisk};

/// How many files the bound is spread over.
const FILES: u64 = 8;
/// What has 16 digits in a name is below this.
const STARTED_MAX: u64 = 9_999_999_999_999_999;
/// How the name of a file ends.
const SUFFIX: &str = ".trace";

/// Files of one run of one node.
struct Files {
    disk: RealDisk,
    /// What the names of this node's files begin with.
    node: String,
    /// What those of this run begin with.
    run: String,
    bytes_max: u64,
    current: Option<FileRef>,
    next: u32,
}

/// When a run has started, and at the least after every run of its node whose files are there: its clock may have been set
/// back, but neither who reads the files nor who makes room may take an older run for the newer.
pub(super) fn after_all(dir: &Path, header: &Header) -> u64 {
    // Whoever writes will say what is wrong with the directory.
    let names = RealDisk::open(dir).and_then(|disk| disk.list("")).unwrap_or_default();
    let node = format!("node-{}-", header.node);
    let started = |name: &str| {
        let (started, _) = name.strip_prefix(&node)?.split_once('-')?;
        started.parse::<u64>().ok().filter(|started| *started < STARTED_MAX)
    };
    let last = names
        .iter()
        .filter(|entry| entry.name.ends_with(SUFFIX))
        .filter_map(|entry| started(&entry.name))
        .max();
    last.map_or(header.started_ms, |last| header.started_ms.max(last + 1))
}

/// Writes what is recorded until the recording is closed.
pub(super) async fn write(env: Env, shared: Arc<Shared>, dir: PathBuf, bytes_max: u64) {
    let opened = RealDisk::open(&dir).map(|disk| Files::new(disk, &shared, bytes_max));
    let mut files = match opened {
        Ok(files) => files,
        Err(fault) => return give_up(&shared, &fault),
    };
    loop {
        let _ = env.timeout(WAIT_MAX, shared.wake.notified()).await;
        let is_closed = shared.locked().is_closed();
        if let Err(fault) = files.write(&shared) {
            return give_up(&shared, &fault);
        }
        if is_closed {
            if let Some(written) = shared.locked().take_waiter() {
                let _ = written.send(());
            }
            return;
        }
    }
}

fn give_up(shared: &Shared, fault: &Fault) {
    tracing::warn!(%fault, "nothing is recorded any more: the trace cannot be written");
    let mut buffer = shared.locked();
    buffer.give_up();
    drop(buffer.take_waiter());
}

impl Files {
    fn new(disk: RealDisk, shared: &Shared, bytes_max: u64) -> Self {
        let (node, run) = shared.locked().names();
        Self { disk, node, run, bytes_max, current: None, next: 0 }
    }

    fn write(&mut self, shared: &Shared) -> Result<(), Fault> {
        let is_full = self.current.as_ref().is_some_and(|file| file.len_bytes() >= self.bytes_max / FILES);
        if self.current.is_none() || is_full {
            let beginning = shared.locked().beginning(self.next);
            self.open_next(&beginning)?;
            // Whoever has the newest files alone must find every core in them.
            shared.age.fetch_add(1, Ordering::Relaxed);
        }
        let frame = shared.locked().frame();
        match &self.current {
            Some(file) if !frame.is_empty() => append(file, frame),
            _ => Ok(()),
        }
    }

    /// Makes room for the next file, and begins it.
    fn open_next(&mut self, beginning: &Bytes) -> Result<(), Fault> {
        let mut own: Vec<String> = self.disk.list("")?.into_iter().map(|entry| entry.name).collect();
        own.retain(|name| name.starts_with(&self.node) && name.ends_with(SUFFIX));
        let mut bytes = 0;
        for name in own.iter().rev() {
            bytes += self.disk.open(name, Open::Existing)?.len_bytes();
            if bytes > self.bytes_max - self.bytes_max / FILES {
                self.disk.remove(name)?;
            }
        }
        let name = format!("{}-{:06}{SUFFIX}", self.run, self.next);
        self.next += 1;
        let file = self.disk.open(&name, Open::New)?;
        append(&file, beginning.clone())?;
        self.current = Some(file);
        Ok(())
    }
}

/// Appends without waiting for more than the kernel: a trace survives its process, not the machine.
fn append(file: &FileRef, bytes: Bytes) -> Result<(), Fault> {
    drop(file.append(&[bytes])?);
    Ok(())
}
