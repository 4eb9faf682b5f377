//! Moving snapshots between nodes, part by part, beside the quorum's task: neither end holds up a vote for it.

use std::time::Duration;

use bytes::Bytes;
use highwater_model::api::ApiError;
use highwater_model::error_code::ErrorCode;
use highwater_model::fault::Faults;
use highwater_model::id::NodeId;
use highwater_model::quorum::{Input, SnapshotId, VoterKey};
use highwater_transport::env::{Env, Instant};
use tokio::sync::oneshot;

use super::content::{Content, decode};
use super::name;
use crate::driver::quorum::{Ask, QuorumDriver, QuorumStopped};
use crate::log::Snapshots;
use crate::peers::Peers;
use crate::peers::wire::{ControllerAnswer, ControllerCall};

/// How much of a snapshot one answer carries; below the longest body of a frame.
const PART_BYTES: usize = 512 << 10;
/// How long one part is waited for.
const PART_WITHIN: Duration = Duration::from_secs(2);
/// A replica that has asked for no part for so long reads no more.
const READS_WITHIN: Duration = Duration::from_secs(6);
/// No snapshot is longer; whatever is said to be is not fetched.
const BYTES_MAX: u64 = 1 << 30;

/// When a part of each of the snapshots that are kept was asked for last.
#[derive(Debug, Default)]
pub(super) struct Reads(Vec<(SnapshotId, Instant)>);

impl Reads {
    /// A part of this snapshot was asked for.
    fn note(&mut self, id: SnapshotId, now: Instant) {
        self.0.retain(|(other, at)| *other != id && now < *at + READS_WITHIN);
        self.0.push((id, now));
    }

    /// Whether another replica is reading this snapshot: it would have to begin again if that went.
    pub(super) fn are_of(&self, id: SnapshotId, now: Instant) -> bool {
        self.0.iter().any(|(read, at)| *read == id && now < *at + READS_WITHIN)
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// Fetches the leader's snapshot and reads it, aside.
    pub(in super::super) fn fetch_snapshot(&mut self, from: NodeId, id: SnapshotId) {
        self.snapshots.wanted = Some(id);
        let (env, peers, replica) = (self.env.clone(), self.peers.clone(), self.tenure.key);
        let own = self.own.clone();
        let fetching = async move {
            let fetched = match fetch(&peers, from, replica, id).await {
                Ok(bytes) => read(&env, bytes).await,
                Err(what) => Err(what),
            };
            if let Some(own) = own.upgrade() {
                drop(own.send(Ask::SnapshotFetched { id, fetched }).await);
            }
        };
        drop(self.env.spawn("fetch a snapshot", fetching));
    }

    /// Serves a part of a snapshot to a replica, aside. That it asks shows that it lives (Q7).
    pub(in super::super) fn serve_snapshot(
        &mut self,
        to: VoterKey,
        (id, position): (SnapshotId, u64),
        reply: oneshot::Sender<ControllerAnswer>,
    ) -> Result<(), QuorumStopped> {
        if [self.core.snapshot(), self.core.oldest_snapshot()].contains(&Some(id)) {
            self.snapshots.reads.note(id, self.env.now());
        }
        let files = self.snapshots.files.clone();
        let serving = async move { drop(reply.send(part(&files, id, position).await)) };
        drop(self.env.spawn("serve a snapshot", serving));
        self.step(Input::SnapshotServed { to })
    }
}

/// What bytes hold that were fetched, and the bytes.
async fn read(env: &Env, bytes: Bytes) -> Result<(Bytes, Box<Content>), String> {
    let decoded = env.compute(move || decode(&bytes).map(|content| (bytes, Box::new(content))));
    decoded.await
}

/// A part of a snapshot, as an answer.
async fn part(files: &Snapshots, id: SnapshotId, position: u64) -> ControllerAnswer {
    match files.read_part(name(id), position, PART_BYTES).await {
        Ok((total, bytes)) => ControllerAnswer::SnapshotPart { total, bytes: bytes.to_vec() },
        Err(fault) => {
            let message = format!("the snapshot up to {} cannot be read here: {fault}", id.end);
            ControllerAnswer::Refused(ApiError::new(ErrorCode::KafkaStorageError, message))
        }
    }
}

/// The whole snapshot, part by part.
async fn fetch(peers: &Peers, from: NodeId, replica: VoterKey, id: SnapshotId) -> Result<Bytes, String> {
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        let position = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let call = ControllerCall::FetchSnapshot { replica, id, position };
        match peers.call(from, &call, PART_WITHIN).await {
            Ok(ControllerAnswer::SnapshotPart { total, bytes: part }) => {
                bytes.extend_from_slice(&part);
                if u64::try_from(bytes.len()).is_ok_and(|have| have == total) {
                    return Ok(bytes.into());
                }
                if part.is_empty() || total > BYTES_MAX || position >= total {
                    return Err(format!("it is said to be {total} bytes long and ends after {position}"));
                }
            }
            Ok(ControllerAnswer::Refused(error)) => return Err(error.message),
            Ok(_) => return Err(format!("node {from} does not lead any more")),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;
    use highwater_model::id::{Offset, QuorumEpoch};

    const ID: SnapshotId = SnapshotId { end: Offset(4), quorum_epoch: QuorumEpoch(1) };

    #[test]
    fn a_snapshot_is_read_until_no_part_has_been_asked_for_in_a_while() {
        let other = SnapshotId { end: Offset(5), ..ID };
        let (mut reads, begin) = (Reads::default(), Instant::default());
        reads.note(ID, begin);
        reads.note(other, begin + PART_WITHIN);

        let last = begin + READS_WITHIN;
        assert!(reads.are_of(ID, begin + PART_WITHIN));
        assert_eq!((reads.are_of(ID, last), reads.are_of(other, last)), (false, true));
    }

    #[tokio::test]
    async fn a_snapshot_is_served_part_by_part() {
        let disk = SimDisk::new("sim", 1).mount(None);
        disk.create_dir("log").unwrap();
        let files = Snapshots::new(disk, "log");
        let content: Vec<u8> = (0..=u8::MAX).cycle().take(2 * PART_BYTES + 3).collect();
        files.publish(name(ID), content.clone().into()).await.unwrap();

        let mut served = Vec::new();
        for length in [PART_BYTES, PART_BYTES, 3, 0] {
            let ControllerAnswer::SnapshotPart { total, bytes } =
                part(&files, ID, u64::try_from(served.len()).unwrap()).await
            else {
                panic!("a part is served");
            };
            assert_eq!((usize::try_from(total).unwrap(), bytes.len()), (content.len(), length));
            served.extend(bytes);
        }
        assert_eq!(served, content);
        let unknown = SnapshotId { end: Offset(9), ..ID };
        assert!(matches!(part(&files, unknown, 0).await, ControllerAnswer::Refused(_)));
    }
}
