//! What clients ask of a replica.

use std::sync::Arc;

use highwater_model::api::{Acks, ApiError, OffsetSpec, ReplicaDetail};
use highwater_model::error_code::ErrorCode;
use highwater_model::fault::Faults;
use highwater_model::id::{LeaderEpoch, Offset, RequestId};
use highwater_model::replication::{Input, ReplicaIdx};
use highwater_model::trace::Act;
use highwater_transport::env::Instant;
use tokio::sync::{Notify, oneshot};

use super::{Grant, Open, Produce, Read, ReplicaDriver, Told, summary};
use crate::trace::edge::Reply;

impl<F: Faults> ReplicaDriver<F> {
    pub(super) fn on_produce(&mut self, produce: Produce) {
        let Produce { acks, batch, deadline, reply } = produce;
        if self.is_crowded() {
            return drop(reply.send(Err(crowded("produces"))));
        }
        let request_id = self.next_request();
        let input = Input::Produce { acks, request_id, batch: summary::of(batch.header()) };
        self.produced = Some((request_id, batch));
        if acks == Acks::None {
            let outcome = self.step(input).map_err(|refusal| self.explained(&refusal));
            self.produced = None;
            // At acks=0 nobody waits; a refusal is told to whoever keeps the reply.
            return drop(outcome.map_err(|error| reply.send(Err(error))));
        }
        let reply = Reply::new(reply, request_id, &self.trace);
        self.open(request_id, Open::Produce(reply, acks), deadline);
        self.step_or_refuse(request_id, input);
        // A duplicate is answered without being appended (R71).
        self.produced = None;
    }

    pub(super) fn on_list_offset(
        &mut self,
        spec: OffsetSpec,
        deadline: Instant,
        reply: oneshot::Sender<Told<(Offset, LeaderEpoch)>>,
    ) {
        match spec {
            OffsetSpec::LatestLinearizable => {
                if self.is_crowded() {
                    return drop(reply.send(Err(crowded("reads"))));
                }
                let request_id = self.next_request();
                let reply = Reply::new(reply, request_id, &self.trace);
                self.open(request_id, Open::EndRead(reply), deadline);
                self.step_or_refuse(request_id, Input::EndRead { request_id });
            }
            OffsetSpec::Latest => {
                let end = self.core.latest_end().map(|visible| (visible.offset(), visible.leader_epoch()));
                if let Ok((end, _)) = &end {
                    self.judge_readable(*end);
                }
                self.trace.did(|| Act::Shown(end.as_ref().ok().copied()));
                drop(reply.send(end.map_err(|refusal| self.explained(&refusal))));
            }
            OffsetSpec::Earliest => {
                // Only a leader may say, for another's log may begin elsewhere.
                let start =
                    self.core.readable_end().map(|visible| (self.core.log().start(), visible.leader_epoch()));
                drop(reply.send(start.map_err(|refusal| self.explained(&refusal))));
            }
            _ => {
                drop(reply.send(Err(ApiError::new(ErrorCode::UnsupportedVersion, "unknown kind of offset"))))
            }
        }
    }

    pub(super) fn on_read(&mut self, read: Read) {
        let Read { from, bytes_max, leader_epoch, wake, reply } = read;
        match self.core.readable_by(leader_epoch) {
            Ok(visible) => {
                let high_watermark = visible.offset();
                self.judge_readable(high_watermark);
                self.trace.did(|| Act::Shown(Some((high_watermark, visible.leader_epoch()))));
                let reading = Box::pin(self.log.read(from, bytes_max, high_watermark));
                let grant = Grant { high_watermark, log_start: self.core.log().start(), reading };
                self.wait_for_more(wake);
                drop(reply.send(Ok(grant)));
            }
            Err(refusal) => {
                let error = self.explained(&refusal);
                self.trace.did(|| Act::Shown(None));
                self.wait_for_more(wake);
                drop(reply.send(Err(error)));
            }
        }
    }

    fn wait_for_more(&mut self, wake: Arc<Notify>) {
        // Readers that are gone are forgotten here; past the bound, the ones that have waited longest look again.
        self.readers.retain(|reader| Arc::strong_count(reader) > 1);
        let bound = usize::try_from(self.parts.limits.pending_fetches_max).unwrap_or(usize::MAX);
        if self.readers.len() >= bound {
            self.wake_readers();
        }
        self.readers.push(wake);
    }

    pub(super) fn wake_readers(&mut self) {
        self.trace.did(|| Act::Woke);
        for reader in self.readers.drain(..) {
            reader.notify_one();
        }
    }

    /// What this replica knows of itself, and of the others if it leads.
    pub(super) fn describe(&self) -> Vec<ReplicaDetail> {
        let tenure = &self.parts.tenure;
        let own = usize::from(tenure.own.0);
        let detail = |(at, node): (usize, &highwater_model::id::NodeId)| {
            let is_own = at == own;
            ReplicaDetail {
                node: *node,
                log_start: is_own.then(|| self.core.log().start()),
                high_watermark: is_own.then(|| self.core.high_watermark()),
                log_end: if is_own { Some(self.core.log().end()) } else { self.follower_end(at) },
                missing_because: None,
            }
        };
        tenure.replicas.iter().enumerate().map(detail).collect()
    }

    fn follower_end(&self, at: usize) -> Option<Offset> {
        self.core.follower_end(ReplicaIdx(u8::try_from(at).ok()?))
    }

    fn is_crowded(&self) -> bool {
        self.open.len() >= usize::try_from(self.parts.limits.pending_produces_max).unwrap_or(usize::MAX)
    }

    fn open(&mut self, request_id: RequestId, open: Open, deadline: Instant) {
        self.open.insert(request_id, open);
        self.deadlines.arm(request_id, deadline);
    }

    /// A refusal of the step itself is the answer.
    fn step_or_refuse(&mut self, request_id: RequestId, input: Input) {
        if let Err(refusal) = self.step(input) {
            self.deadlines.disarm(request_id);
            let error = self.explained(&refusal);
            if let Some(open) = self.open.remove(&request_id) {
                open.refuse(error);
            }
        }
    }
}

fn crowded(what: &str) -> ApiError {
    let message = format!("too many {what} of this partition wait already; nothing was done, ask again");
    ApiError::new(ErrorCode::ThrottlingQuotaExceeded, message)
}
