//! Finding the metadata log and the vote on disk when a node starts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use highwater_model::fault::Faults;
use highwater_model::id::{Offset, QuorumEpoch};
use highwater_model::metadata::{self, Controller, Image};
use highwater_model::quorum::{self, BatchKind, Effect, Quorum, Recovered, Vote, VoterRecord, VoterSet};
use highwater_transport::batch;
use highwater_transport::env::Env;
use highwater_transport::watch;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::image_monitoring::ImageMonitor;
use super::monitoring::QuorumMonitor;
use super::snapshots::{self, Found, Keeping};
use super::{QuorumDriver, QuorumFeeds, RecordsError, Tail, Waiting, recording, records};
use crate::disk::{Disk, Fault};
use crate::driver::issued::Issued;
use crate::driver::reads::Reads;
use crate::driver::timers::Deferral;
use crate::log::{Hints, LogConfig, OffsetCheckpoint, PartitionLog, Snapshots, Stop};
use crate::monitor::{Monitors, Place};
use crate::peers::Peers;
use crate::server::Timing;
use crate::trace::Recorder;
use crate::trace::edge::{EdgeLog, EdgeTimers};

/// The directory of the metadata log within the metadata directory.
pub(crate) const LOG_DIRECTORY: &str = "__cluster_metadata-0";
/// The file that holds the vote, within the metadata directory (Q1).
pub(super) const VOTE_FILE: &str = "quorum-state";
/// Version of the vote file's body.
const VOTE_VERSION: u8 = 0;
/// Bounds of a segment of the metadata log.
const SEGMENT_BYTES_MIN: u64 = 4 << 10;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// How much is read at a time when the log is loaded.
const LOAD_BYTES: usize = 4 << 20;

/// Why the metadata log or the vote cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Storage.
    #[error("metadata log: {0}")]
    Storage(#[from] Fault),
    /// Records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The vote file is not one. Without its vote a voter could vote twice, so the node does not start (Q1).
    #[error(
        "{VOTE_FILE} cannot be read: {0}; this voter must be removed from the quorum and added with a new directory"
    )]
    Vote(String),
    /// The log begins where no snapshot that can be read ends.
    #[error(
        "the metadata log begins at {start}, and no snapshot says what was before; this voter must be removed from the \
         quorum and added with a new directory"
    )]
    NoSnapshot {
        /// Its first offset, inclusive.
        start: Offset,
    },
    /// The metadata log has lost records that were durable, and may have been counted (B-37).
    #[error(
        "the metadata log ends at {end} but was durable beyond; this voter must be removed from the quorum and added \
         with a new directory"
    )]
    Damaged {
        /// Where it ends now, exclusive.
        end: Offset,
    },
}

/// What the quorum's driver is made of.
pub(crate) struct QuorumParts<F> {
    pub(crate) env: Env,
    pub(crate) faults: F,
    pub(crate) timing: Timing,
    pub(crate) tenure: quorum::Tenure,
    pub(crate) controller_tenure: metadata::Tenure,
    /// The voters that the directory was formatted with.
    pub(crate) formatted: VoterSet,
    /// Whether these are instead those of when the node joined.
    pub(crate) has_joined: bool,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) stop: Stop,
    pub(crate) recovery_points: Arc<OffsetCheckpoint>,
    pub(crate) peers: Peers,
    /// How many asks may wait.
    pub(crate) inbox_length: usize,
    /// A snapshot is taken when so many bytes have been committed since the last one.
    pub(crate) snapshot_bytes: u64,
    pub(crate) recorder: Recorder,
    pub(crate) monitors: Monitors,
}

/// The stored form of a [`Vote`].
#[derive(Serialize, Deserialize)]
struct StoredVote {
    version: u8,
    vote: Vote,
}

/// What the vote file holds.
pub(super) fn vote_bytes(vote: &Vote) -> Bytes {
    let stored = StoredVote { version: VOTE_VERSION, vote: *vote };
    postcard::to_allocvec(&stored).map(Bytes::from).expect("a vote is a plain value, which always encodes")
}

fn read_vote(disk: &dyn Disk) -> Result<Vote, OpenError> {
    let bytes = match disk.read_whole(VOTE_FILE) {
        Ok(bytes) => bytes,
        Err(fault) if fault.is_missing() => return Ok(Vote::default()),
        Err(fault) => return Err(fault.into()),
    };
    let stored: StoredVote =
        postcard::from_bytes(&bytes).map_err(|error| OpenError::Vote(error.to_string()))?;
    if stored.version == VOTE_VERSION {
        Ok(stored.vote)
    } else {
        Err(OpenError::Vote(format!("version {} is unknown to this build", stored.version)))
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// Recovers the metadata log, and rebuilds the core from what was durable. The effects are those of the core's
    /// beginning, for [`QuorumDriver::run`].
    ///
    /// # Errors
    /// When storage fails, or holds less than a voter must have kept.
    pub(crate) async fn open(parts: QuorumParts<F>) -> Result<(Self, Vec<Effect>, QuorumFeeds), OpenError> {
        let vote = read_vote(parts.disk.as_ref())?;
        let files = Snapshots::new(Arc::clone(&parts.disk), LOG_DIRECTORY);
        let stored = Stored {
            disk: &parts.disk,
            stop: parts.stop,
            recovery_points: &parts.recovery_points,
            snapshots: &files,
            // What a snapshot stands for goes segment by segment.
            segment_bytes_max: (parts.snapshot_bytes / 2).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            may_start_damaged: Quorum::may_start(parts.faults, true),
        };
        let Loaded { mut log, tail, recovered, image } = load(stored, &parts.formatted, vote).await?;
        let (mut begun, mut trace) = (Vec::new(), parts.recorder.core());
        let found = trace.is_on().then(|| recovered.clone());
        let place = |place| parts.monitors.core(&parts.env, place);
        let monitor = QuorumMonitor::new(place(Place::Quorum), &parts.tenure, &recovered);
        let image_monitor = ImageMonitor::new(place(Place::Metadata));
        let core = Quorum::recover(&parts.tenure, parts.faults, recovered, &mut begun);
        trim_as_recovered(&mut log, core.log().start(), &begun)?;
        monitor.judge_start(&parts.tenure, &core);
        recording::begin(&mut trace, &parts.tenure, found, &begun);
        let controller_trace = recording::begin_controller(&parts.recorder, &parts.controller_tenure, &image);
        let (asks, inbox) = mpsc::channel(parts.inbox_length);
        let (images, images_fed) = watch::channel(Arc::new(image.clone()));
        let (leader, leader_fed) = watch::channel(None);
        let (voters, voters_fed) = watch::channel(Vec::new());
        let driver = Self {
            env: parts.env,
            timing: parts.timing,
            tenure: parts.tenure,
            faults: parts.faults,
            core,
            controller_tenure: parts.controller_tenure,
            controller: Controller::new(parts.faults, image),
            controller_timers: EdgeTimers::new(&controller_trace),
            controller_trace,
            disk: parts.disk,
            recovery_points: parts.recovery_points,
            checkpoint_at: None,
            log: EdgeLog::new(log, &trace),
            peers: parts.peers,
            inbox,
            own: asks.downgrade(),
            images,
            leader,
            voters,
            timers: EdgeTimers::new(&trace),
            trace,
            monitor,
            image_monitor,
            writes: Issued::new(),
            syncs: Issued::new(),
            votes: Issued::new(),
            sends: Reads::new(),
            stalled: super::room::Stalled::default(),
            deferral: Deferral::default(),
            unapplied: tail,
            proposed: BTreeMap::new(),
            attached: Vec::new(),
            placements: VecDeque::new(),
            decisions: VecDeque::new(),
            snapshots: Keeping::new(files, parts.snapshot_bytes, parts.has_joined),
            waiting: Waiting::default(),
            next_id: 0,
            chances: 0,
        };
        driver.tell_voters();
        let feeds = QuorumFeeds { asks, images: images_fed, leader: leader_fed, voters: voters_fed };
        Ok((driver, begun, feeds))
    }
}

/// Trims the log to where the core has found that it begins: on the disk it begins with a segment, which may hold records
/// that a snapshot stands for (Q41). One that is to begin anew stays as it is until then.
fn trim_as_recovered(log: &mut PartitionLog, start: Offset, begun: &[Effect]) -> Result<(), Fault> {
    let begins_anew = begun.iter().any(|effect| matches!(effect, Effect::RestartLog { .. }));
    if begins_anew { Ok(()) } else { log.trim(start) }
}

/// Where the metadata log is, and what is known of it before it is read.
#[derive(Clone, Copy)]
struct Stored<'a> {
    disk: &'a Arc<dyn Disk>,
    stop: Stop,
    recovery_points: &'a Arc<OffsetCheckpoint>,
    snapshots: &'a Snapshots,
    segment_bytes_max: u64,
    /// Whether a voter may start that has lost durable records: only if that is planted (X12).
    may_start_damaged: bool,
}

/// What was loaded.
struct Loaded {
    log: PartitionLog,
    /// The log above the snapshot.
    tail: Tail,
    recovered: Recovered,
    /// The snapshot's, or an empty one.
    image: Image,
}

/// Reads the newest snapshot, opens the log and reads it whole: everything in it above the snapshot is applied again once it
/// is known to be committed. Whether the log goes on from the snapshot is the core's to say (Q43).
async fn load(stored: Stored<'_>, formatted: &VoterSet, vote: Vote) -> Result<Loaded, OpenError> {
    let snapshot = snapshots::newest(stored.snapshots)?;
    let begin = snapshot.as_ref().map_or(Offset::ZERO, |found| found.id.end);
    let older = snapshot.as_ref().and_then(|found| found.older);
    let unneeded_below = snapshot.as_ref().map_or(Offset::ZERO, |found| found.needed_from);
    let hints = Hints { stop: stored.stop, unneeded_below, ..Hints::default() };
    let (disk, points) = (Arc::clone(stored.disk), Arc::clone(stored.recovery_points));
    let config = LogConfig { segment_bytes_max: stored.segment_bytes_max, ..LogConfig::default() };
    let (log, found) =
        PartitionLog::open_checkpointed(disk, LOG_DIRECTORY, None, config, hints, points).await?;
    if let Some(cut) = &found.cut {
        tracing::warn!(end = %cut.end, bytes = cut.bytes, reason = ?cut.reason, "cut the metadata log's tail");
        if cut.is_damage && !stored.may_start_damaged {
            return Err(OpenError::Damaged { end: cut.end });
        }
    }
    if found.start > begin {
        return Err(OpenError::NoSnapshot { start: found.start });
    }
    log.note_flushed(found.end);
    let mut tail = Tail::new();
    let mut next = found.start;
    while next != found.end {
        let bytes = log.read(next, LOAD_BYTES, found.end).await?;
        let batches = batch::split(bytes).map_err(RecordsError::from)?;
        let Some(last) = batches.last() else { break };
        next = last.header().end_offset();
        tail.extend(batches);
    }
    let mut voters = Vec::new();
    for batch in &tail {
        if let BatchKind::Voters(set) = records::summary(batch)?.kind {
            voters.push(VoterRecord { offset: batch.header().base_offset, voters: set });
        }
    }
    tail.retain(|batch| batch.header().base_offset >= begin);
    let (shape, formatted) = (found.shape(QuorumEpoch), formatted.clone());
    let (snapshot, image) = match snapshot {
        Some(Found { id, content, .. }) => (Some((id, content.voters)), content.image),
        None => (None, Image::default()),
    };
    let recovered = Recovered { vote, formatted, snapshot, older, log: shape, voters };
    Ok(Loaded { log, tail, recovered, image })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;
    use crate::log::RECOVERY_POINTS;
    use highwater_model::fault::Sound;
    use highwater_model::id::{DirectoryId, NodeId};
    use highwater_model::quorum::VoterKey;
    use highwater_transport::batch::Batch;

    /// What a start after such a stop finds.
    async fn start(sim: &SimDisk, stop: Stop) -> Result<Loaded, OpenError> {
        let disk = sim.mount(None);
        let points = Arc::new(OffsetCheckpoint::load(Arc::clone(&disk), RECOVERY_POINTS).unwrap());
        let formatted = VoterSet::new([VoterKey { id: NodeId(1), directory: DirectoryId(1) }]).unwrap();
        let stored = Stored {
            disk: &disk,
            stop,
            recovery_points: &points,
            snapshots: &Snapshots::new(Arc::clone(&disk), LOG_DIRECTORY),
            segment_bytes_max: SEGMENT_BYTES_MAX,
            may_start_damaged: Quorum::may_start(Sound, true),
        };
        load(stored, &formatted, Vote::default()).await
    }

    /// A batch of one record at this offset.
    fn leader_change(offset: u64) -> Batch {
        let mut bytes = records::encode_control(&BatchKind::LeaderChange, 0).unwrap().unwrap();
        Batch::split_first(&mut bytes).unwrap().stamped(Offset(offset), 1, None)
    }

    #[tokio::test]
    async fn a_voter_counts_nothing_that_a_failed_sync_left_in_the_page_cache() {
        for seed in 0..10 {
            let sim = SimDisk::new("sim", 7);
            let Loaded { mut log, .. } = start(&sim, Stop::Unknown).await.unwrap();
            for offset in 0..40 {
                log.append(&[leader_change(offset)]).await.unwrap();
            }
            sim.fail_syncs(1);
            assert!(log.sync().await.unwrap_err().is_offline());
            sim.kill();

            let counted = start(&sim, Stop::Killed).await.unwrap().recovered.log.flushed();
            sim.power_loss(seed);
            let left = start(&sim, Stop::Unknown).await.unwrap().recovered.log.end();
            assert_eq!((counted, left), (Offset(40), Offset(40)), "seed {seed}");
        }
    }

    #[tokio::test]
    async fn a_voter_that_lost_what_it_had_synced_never_starts_again() {
        let sim = SimDisk::new("sim", 7);
        let Loaded { mut log, .. } = start(&sim, Stop::Unknown).await.unwrap();
        log.append(&[leader_change(0)]).await.unwrap();
        log.close().await.unwrap();
        let disk = sim.mount(None);
        let points = OffsetCheckpoint::load(disk, RECOVERY_POINTS).unwrap();
        points.raise(LOG_DIRECTORY, Offset(1)).unwrap();
        assert!(sim.flip_bit(&format!("{LOG_DIRECTORY}/00000000000000000000.log"), 62, 0));

        for _ in 0..2 {
            sim.power_loss(3);
            let started = start(&sim, Stop::Unknown).await.map(|loaded| loaded.recovered);
            assert!(matches!(started, Err(OpenError::Damaged { end: Offset(0) })), "{started:?}");
        }
    }

    #[test]
    fn a_stored_vote_keeps_its_bytes() {
        let key = VoterKey { id: NodeId(2), directory: DirectoryId(3) };
        let vote = Vote { quorum_epoch: QuorumEpoch(7), voted_for: Some(key) };

        assert_eq!(vote_bytes(&vote).as_ref(), [0, 7, 1, 2, 3]);
    }
}
