//! One suite for both forms of a disk: each test of [`both`] runs on a real directory and on a simulated one.

use std::sync::Arc;

use highwater_model::id::{PartitionIndex, TopicId};
use highwater_transport::batch::{Batch, BatchBuilder, BatchHeader, NewRecord, split};

use super::*;
use crate::disk::{Disk, Fault, Open, RealDisk, SimDisk};

mod behaviour;
mod damage;
mod faults;
mod files;
mod power;
mod starts;

const LOG: &str = "t-0";

/// A batch of `count` records of `weight` bytes each.
fn batch(base: u64, epoch: u32, count: u32, weight: usize) -> Batch {
    let mut builder = BatchBuilder::new();
    let value = vec![u8::try_from((base + u64::from(epoch)) % 251).unwrap(); weight];
    for index in 0..count {
        let timestamp_ms = i64::try_from(base).unwrap() * 10 + i64::from(index);
        builder.push(&NewRecord { timestamp_ms, value: Some(&value), ..NewRecord::default() }).unwrap();
    }
    let mut bytes = builder.build_at(Offset(base), Some(epoch)).unwrap();
    Batch::split_first(&mut bytes).unwrap()
}

/// So many batches of three records, from offset 0 on, in one epoch.
fn batches(count: u64, epoch: u32) -> Vec<Batch> {
    (0..count).map(|at| batch(at * 3, epoch, 3, 60)).collect()
}

fn headers(batches: &[Batch]) -> Vec<BatchHeader> {
    batches.iter().map(|batch| *batch.header()).collect()
}

/// Small enough that a few batches fill a segment.
fn small() -> LogConfig {
    LogConfig { segment_bytes_max: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

async fn open(disk: &Arc<dyn Disk>, hints: Hints) -> (PartitionLog, Recovered) {
    PartitionLog::open(Arc::clone(disk), LOG, None, small(), hints).await.unwrap()
}

/// A log with these batches, appended one by one and synced.
async fn filled(disk: &Arc<dyn Disk>, batches: &[Batch]) -> PartitionLog {
    let (mut log, _) = open(disk, Hints::default()).await;
    append_all(&mut log, batches).await;
    log.sync().await.unwrap();
    log
}

async fn append_all(log: &mut PartitionLog, batches: &[Batch]) {
    for batch in batches {
        let end = batch.header().end_offset();
        assert_eq!(log.append(std::slice::from_ref(batch)).await.unwrap(), Written { end });
    }
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

fn simulated() -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new("sim", 7);
    let mount = disk.mount(None);
    (disk, mount)
}

/// Runs a test on both forms of a disk.
macro_rules! both {
    ($(async fn $name:ident($disk:ident: Arc<dyn Disk>) $body:block)*) => {
        $(mod $name {
            use super::*;

            async fn body($disk: Arc<dyn Disk>) $body

            #[tokio::test]
            async fn real() {
                let directory = tempfile::tempdir().unwrap();
                body(Arc::new(RealDisk::open(directory.path()).unwrap())).await;
            }

            #[tokio::test]
            async fn simulated() {
                body(SimDisk::new("sim", 7).mount(None)).await;
            }
        })*
    };
}
use both;
