//! One file that grows, through the same layer that the brokers' logs lie on.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use highwater_transport::env::Env;

use super::Rate;
use crate::cli::bench::machine::{self, Used};
use crate::cli::failure::Failure;
use crate::disk::{Disk as _, Fault, Open, RealDisk, SyncSet};

/// Writes no more than that.
const BYTES_MAX: u64 = 512 << 20;
const NAME: &str = "limit";

/// When the file is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Never.
    Never,
    /// When so many bytes were written since the last time; after each write if they are 0.
    After(u64),
}

/// Appends to a file in `dir` for so long.
pub(super) async fn measure(
    dir: &Path,
    write_bytes: usize,
    sync: Sync,
    duration: Duration,
) -> Result<Rate, Failure> {
    let failed = |fault: Fault| {
        Failure::failed(
            format!("the disk's own limit was not measured: {fault}"),
            "or leave it out with --no-limits",
        )
        .on(dir.display().to_string())
    };
    let disk = RealDisk::open(dir).map_err(failed)?;
    let measured = append(&disk, write_bytes, sync, duration).await;
    let removed = disk.remove(NAME);
    let rate = measured.map_err(failed)?;
    removed.map_err(failed).map(|()| rate)
}

async fn append(disk: &RealDisk, write_bytes: usize, sync: Sync, duration: Duration) -> Result<Rate, Fault> {
    let env = Env::real();
    let file = disk.open(NAME, Open::New)?;
    let chunk = [Bytes::from(vec![7; write_bytes])];
    let before = machine::used(None);
    let began = env.now();
    let (mut bytes, mut unsynced) = (0, 0);
    while env.now().since(began) < duration && bytes < BYTES_MAX {
        file.append(&chunk)?.await?;
        bytes += write_bytes as u64;
        unsynced += write_bytes as u64;
        if matches!(sync, Sync::After(most) if unsynced >= most) {
            disk.sync(SyncSet { files: vec![file.clone()], directories: Vec::new() }).await?;
            unsynced = 0;
        }
    }
    Ok(Rate::of(bytes, env.now().since(began), before, machine::used(None)))
}

impl Rate {
    /// So many bytes in this time, by this process.
    pub(super) fn of(bytes: u64, took: Duration, before: Option<Used>, after: Option<Used>) -> Self {
        let cpu = before.zip(after).map(|(before, after)| after.cpu_s - before.cpu_s);
        Self {
            mb_per_s: bytes as f64 / 1e6 / took.as_secs_f64().max(1e-9),
            cpu_s_per_gb: cpu.map(|cpu| cpu / (bytes.max(1) as f64 / 1e9)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_left_of_what_was_written() {
        const SHORT: Duration = Duration::from_millis(20);
        let dir = tempfile::tempdir().expect("a temporary directory");

        for sync in [Sync::Never, Sync::After(0), Sync::After(1 << 20)] {
            let rate = measure(dir.path(), 64 << 10, sync, SHORT).await;
            let rate = rate.expect("the disk is there");
            assert!(rate.mb_per_s > 0.0, "{rate:?}");
        }

        let disk = RealDisk::open(dir.path()).expect("the disk is there");
        assert!(disk.list("").expect("it can be read").iter().all(|entry| entry.name != NAME));
    }
}
