//! How fast a log on this disk takes batches: `cargo run --release -p highwater-node --example append_throughput [DIR]`.
//!
//! For each pair of batch length and batches per sync: megabytes a second appended, and what a sync takes.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use highwater_model::id::Offset;
use highwater_node::disk::{Disk, RealDisk};
use highwater_node::log::{Hints, LogConfig, PartitionLog};
use highwater_transport::batch::{Batch, BatchBuilder, NewRecord};
use highwater_transport::env::Env;

/// Each case lasts about so long.
const CASE: Duration = Duration::from_millis(800);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let directory = std::env::args().nth(1).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(&directory)?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:>10} {:>12} {:>8} {:>10} {:>12}", "batch B", "per sync", "MB/s", "syncs", "sync ms")?;
    for (size, per_sync) in
        [(4 << 10, 1), (64 << 10, 1), (64 << 10, 16), (64 << 10, 64), (64 << 10, 0), (4 << 10, 0)]
    {
        let (rate, syncs, sync_ms) = case(&disk, size, per_sync).await?;
        let per_sync = if per_sync == 0 { "never".to_owned() } else { per_sync.to_string() };
        writeln!(out, "{size:>10} {per_sync:>12} {rate:>8} {syncs:>10} {sync_ms:>12.3}")?;
    }
    Ok(())
}

/// Megabytes a second, number of syncs, mean milliseconds of one.
async fn case(disk: &Arc<dyn Disk>, size: usize, per_sync: u64) -> Result<(u128, u32, f64), Box<dyn Error>> {
    let name = format!("throughput-{}", size + usize::try_from(per_sync)?);
    let (mut log, _) =
        PartitionLog::open(Arc::clone(disk), &name, None, LogConfig::default(), Hints::default()).await?;
    let template = template(size)?;
    let env = Env::real();
    let start = env.now();
    let (mut appended, mut bytes, mut syncs, mut in_syncs) = (0_u64, 0_u128, 0_u32, Duration::ZERO);
    while env.now().since(start) < CASE {
        let batch = template.stamped(Offset(appended), 0, None);
        log.append(std::slice::from_ref(&batch)).await?;
        appended += 1;
        bytes += u128::try_from(batch.len_bytes())?;
        if per_sync != 0 && appended.is_multiple_of(per_sync) {
            let before = env.now();
            log.sync().await?;
            in_syncs += env.now().since(before);
            syncs += 1;
        }
    }
    let micros = env.now().since(start).as_micros().max(1);
    log.delete().await?;
    Ok((bytes / micros, syncs, in_syncs.as_secs_f64() * 1000.0 / f64::from(syncs.max(1))))
}

fn template(size: usize) -> Result<Batch, Box<dyn Error>> {
    let value = vec![7; size.saturating_sub(80)];
    let mut builder = BatchBuilder::new();
    builder.push(&NewRecord { value: Some(&value), ..NewRecord::default() })?;
    Ok(Batch::split_first(&mut builder.build()?)?)
}
