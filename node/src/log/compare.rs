//! Whether two replicas of a log hold the same, batch by batch and byte by byte.
//!
//! Reads files only, as [`dump`] does, and so needs nobody's word for what they hold. Up to which offset the replicas
//! must agree is said by the caller; as a rule it is the high watermark.

use core::fmt;
use std::sync::Arc;

use highwater_model::id::Offset;
use highwater_transport::batch::{Batch, BatchError};

use super::{Dump, dump};
use crate::disk::{Disk, Fault};

/// One replica's log: its directory, and the disk on which that is.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The log's directory on it.
    pub directory: String,
}

/// How much two replicas were found to have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
}

/// The first place at which two replicas differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at offset {offset} one has {one} and the other {other}")]
pub struct Difference {
    /// Both hold the same below it.
    pub offset: Offset,
    /// What the first has there.
    pub one: Held,
    /// What the second has there.
    pub other: Held,
}

/// What a replica has at some place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Its log ends.
    Nothing,
    /// Bytes that are no batch.
    Damage(BatchError),
    /// A batch.
    Batch(Box<Batch>),
}

impl Held {
    /// Tells bytes that were changed where they lie from a batch that is another one.
    fn examined(self) -> Self {
        match self {
            Self::Batch(batch) => batch.check_crc().map_or_else(Self::Damage, |()| Self::Batch(batch)),
            Self::Nothing | Self::Damage(_) => self,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Damage(error) => write!(f, "damage ({error})"),
            Self::Batch(batch) => {
                let header = batch.header();
                let epoch = header.leader_epoch.unwrap_or_default();
                let (base, end, crc) = (header.base_offset, header.end_offset(), header.crc);
                write!(f, "records {base} to {end} exclusive of leader epoch {epoch} with checksum {crc:08x}")
            }
        }
    }
}

/// Compares what two replicas hold below `until`, exclusive, from where the first one's log begins.
///
/// # Errors
/// When their files cannot be read. A log that is not there holds nothing.
pub fn compare(one: &Replica, other: &Replica, until: Offset) -> Result<Result<Agreed, Difference>, Fault> {
    let (mut one, mut other) = (Reading::of(one)?, Reading::of(other)?);
    let (mut agreed, mut at) = (Agreed::default(), Offset::ZERO);
    while at < until {
        let (mine, theirs) = (one.next()?, other.next()?);
        match (mine, theirs) {
            (Held::Batch(mine), Held::Batch(theirs)) if mine == theirs => {
                at = mine.header().end_offset();
                agreed.batches += 1;
                agreed.records += u64::from(mine.header().records_count);
            }
            (one, other) => {
                let (one, other) = (one.examined(), other.examined());
                return Ok(Err(Difference { offset: at, one, other }));
            }
        }
    }
    Ok(Ok(agreed))
}

/// A log that is being read.
struct Reading(Option<Dump>);

impl Reading {
    fn of(replica: &Replica) -> Result<Self, Fault> {
        match dump(Arc::clone(&replica.disk), &replica.directory, false) {
            Ok(dump) => Ok(Self(Some(dump))),
            Err(fault) if fault.is_missing() => Ok(Self(None)),
            Err(fault) => Err(fault),
        }
    }

    fn next(&mut self) -> Result<Held, Fault> {
        let Some(described) = self.0.as_mut().and_then(Iterator::next).transpose()? else {
            return Ok(Held::Nothing);
        };
        Ok(described.batch.map_or_else(Held::Damage, |batch| Held::Batch(Box::new(batch))))
    }
}
