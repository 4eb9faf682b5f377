//! What the machine's network stack and disk can do by themselves, through the same code that the brokers use: what is
//! measured is told beside that, for how fast a machine is on a day is no property of the brokers.

mod disk;
mod link;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::spread::Spread;
use crate::cli::failure::Failure;

/// What moving or writing bytes by itself comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// 10^6 bytes a second.
    pub(super) mb_per_s: f64,
    /// Processor time for 10^9 bytes, in seconds; of sender and receiver together.
    pub(super) cpu_s_per_gb: Option<f64>,
}

/// The limits of one repetition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    quic: Rate,
    append: Rate,
    append_synced_each: Rate,
    append_synced_mib: Rate,
}

/// Rates of all repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Limit {
    /// 10^6 bytes a second.
    pub(super) mb_per_s: Spread,
    /// Processor time for 10^9 bytes, in seconds.
    pub(super) cpu_s_per_gb: Option<Spread>,
}

/// The limits that the measurements are told beside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Limits {
    /// Bytes of one write: those of a batch.
    pub(super) write_bytes: usize,
    /// One QUIC connection over loopback with the transport's own settings, frames answered one by one, 64 under way.
    pub(super) quic: Limit,
    /// One file, appended to, never synced.
    pub(super) append: Limit,
    /// One file, synced after each write.
    pub(super) append_synced_each: Limit,
    /// One file, synced after each MiB.
    pub(super) append_synced_mib: Limit,
}

/// How long the connection is measured.
const LINK_FOR: Duration = Duration::from_secs(1);
/// How long each way of writing is measured at most.
const DISK_FOR: Duration = Duration::from_millis(700);

/// Measures once, with files in `dir`, which is there.
pub(super) async fn measure(dir: &Path, write_bytes: usize) -> Result<Measured, Failure> {
    Ok(Measured {
        quic: link::measure(write_bytes, LINK_FOR).await?,
        append: disk::measure(dir, write_bytes, disk::Sync::Never, DISK_FOR).await?,
        append_synced_each: disk::measure(dir, write_bytes, disk::Sync::After(0), DISK_FOR).await?,
        append_synced_mib: disk::measure(dir, write_bytes, disk::Sync::After(1 << 20), DISK_FOR).await?,
    })
}

/// All repetitions together; nothing if there were none.
pub(super) fn of(measured: &[Measured], write_bytes: usize) -> Option<Limits> {
    let limit = |get: fn(&Measured) -> Rate| {
        let rates: Vec<Rate> = measured.iter().map(get).collect();
        let cpu: Vec<f64> = rates.iter().filter_map(|rate| rate.cpu_s_per_gb).collect();
        let mb_per_s = Spread::of(rates.iter().map(|rate| rate.mb_per_s))?;
        Some(Limit { mb_per_s, cpu_s_per_gb: Spread::of(cpu) })
    };
    Some(Limits {
        write_bytes,
        quic: limit(|measured| measured.quic)?,
        append: limit(|measured| measured.append)?,
        append_synced_each: limit(|measured| measured.append_synced_each)?,
        append_synced_mib: limit(|measured| measured.append_synced_mib)?,
    })
}
