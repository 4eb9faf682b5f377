//! One suite for both forms of a disk.

use std::sync::Arc;

use highwater_transport::batch::{Batch, BatchBuilder, NewRecord, split};

use super::*;
use crate::disk::{Disk, RealDisk};

mod behaviour;

const LOG: &str = "t-0";

/// A batch of `count` records that weighs about `weight` bytes.
fn batch(base: u64, epoch: u32, count: u32, weight: usize) -> Batch {
    let mut builder = BatchBuilder::new();
    let value = vec![u8::try_from(base % 251).unwrap(); weight];
    for index in 0..count {
        let timestamp_ms = i64::try_from(base).unwrap() * 10 + i64::from(index);
        builder.push(&NewRecord { timestamp_ms, value: Some(&value), ..NewRecord::default() }).unwrap();
    }
    let mut bytes = builder.build_at(Offset(base), Some(epoch)).unwrap();
    Batch::split_first(&mut bytes).unwrap()
}

fn small() -> LogConfig {
    LogConfig { segment_bytes_max: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

async fn open(disk: &Arc<dyn Disk>, hints: Hints) -> (PartitionLog, Recovered) {
    PartitionLog::open(Arc::clone(disk), LOG, None, small(), hints).await.unwrap()
}

async fn contents(log: &PartitionLog) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut from = log.start();
    while from < log.end() {
        let read = split(log.read(from, 700, log.end()).await.unwrap()).unwrap();
        from = read.last().expect("a read below the end gives something").header().end_offset();
        batches.extend(read);
    }
    batches
}

fn real() -> (tempfile::TempDir, Arc<dyn Disk>) {
    let directory = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(directory.path()).unwrap();
    (directory, Arc::new(disk))
}
