//! Carrying out what the quorum's core asks for.

use std::time::Duration;

use bytes::Bytes;
use highwater_model::fault::Faults;
use highwater_model::id::{LogGeneration, NodeId, Offset, QuorumEpoch};
use highwater_model::metadata;
use highwater_model::quorum::{self, Body, Effect, Fetched, Message, Origin, Timer};
use highwater_model::trace::{Act, Told};
use highwater_transport::batch::{self, Batch};

use super::{QuorumDriver, QuorumStopped, records};
use crate::disk::Fault;
use crate::driver::reads::{Progress, Waiting};
use crate::peers::Lane;
use crate::peers::wire::{ControllerAnswer, PeerFrame};

/// About how many bytes of the metadata log one message carries.
const RECORDS_BYTES_MAX: usize = 1 << 20;

impl<F: Faults> QuorumDriver<F> {
    /// Carries out one effect. Nothing is awaited: what takes time comes back as an input.
    pub(super) fn issue(&mut self, effect: Effect) -> Result<(), QuorumStopped> {
        tracing::trace!(?effect, "quorum");
        match effect {
            Effect::StoreVote(vote) => {
                self.store(vote);
            }
            Effect::Append { batches, origin, generation } => self.append(&batches, origin, generation)?,
            Effect::Sync { generation, .. } => {
                let synced = self.log.sync();
                self.syncs.push(synced, generation);
            }
            Effect::Truncate { end, generation } => self.truncate(end, generation)?,
            Effect::RestartLog { start, .. } => {
                self.unapplied.clear();
                self.stalled.forget_writes();
                done(self.log.restart_at(start))?;
            }
            Effect::TrimLog { start } => self.log.trim(start)?,
            Effect::Send { to, message } => self.send(to, &message),
            Effect::SendRecords { to, message, from, end } => self.send_records(to, message, from, end),
            Effect::Arm(timer) => {
                let at = self.env.now() + self.duration(timer);
                self.timers.arm(timer, at);
            }
            Effect::Disarm(timer) => self.timers.disarm(timer),
            Effect::BecameLeader { quorum_epoch } => {
                tracing::info!(%quorum_epoch, "leads the metadata quorum");
            }
            Effect::LeadershipEstablished { quorum_epoch } => self.on_established(quorum_epoch),
            Effect::LostLeadership { quorum_epoch } => self.on_lost(quorum_epoch),
            Effect::LeaderChanged { quorum_epoch, leader } => self.on_leader_changed(quorum_epoch, leader),
            Effect::Committed(end) => self.apply(end.high_watermark())?,
            Effect::ProposalCommitted(commitment) => {
                let reply = self.waiting.changes.remove(&commitment.id());
                self.note_reply(commitment.id().0, reply.is_some().then_some(Told::Done));
                drop(reply.map(|reply| reply.send(ControllerAnswer::VotersChanged)));
            }
            Effect::ReadReady(point) => {
                let reply = self.waiting.reads.remove(&point.id());
                self.note_reply(point.id().0, reply.is_some().then_some(Told::ReadPoint(point.offset())));
                drop(reply.map(|reply| reply.send(ControllerAnswer::ReadPoint(point.offset()))));
            }
            Effect::FetchSnapshot { from, id } => {
                self.trace.did(|| Act::FetchingSnapshot(id));
                self.fetch_snapshot(from, id);
            }
            Effect::AbandonSnapshot { .. } => self.snapshots.abandon(),
        }
        Ok(())
    }

    fn on_established(&mut self, quorum_epoch: QuorumEpoch) {
        let committed = self.core.high_watermark().unwrap_or_default();
        self.decisions.push_back(metadata::Input::Elected { quorum_epoch, committed });
    }

    fn on_lost(&mut self, quorum_epoch: QuorumEpoch) {
        tracing::info!(%quorum_epoch, "leads the metadata quorum no more");
        self.decisions.push_back(metadata::Input::Deposed);
        self.void_waiting();
    }

    fn on_leader_changed(&self, quorum_epoch: QuorumEpoch, leader: Option<NodeId>) {
        let known = self.leader.send_replace(leader);
        match leader {
            Some(leader) if known != Some(leader) => {
                tracing::info!(%quorum_epoch, %leader, "the metadata quorum is led");
            }
            _ => tracing::debug!(%quorum_epoch, ?leader, "leader of the metadata quorum"),
        }
    }

    fn append(
        &mut self,
        summaries: &[quorum::Batch],
        origin: Origin,
        generation: LogGeneration,
    ) -> Result<(), QuorumStopped> {
        let mut batches = Vec::with_capacity(summaries.len());
        for summary in summaries {
            batches.push(self.bytes_of(summary, origin)?);
        }
        self.unapplied.extend(batches.iter().cloned());
        self.write(batches, generation);
        self.tell_voters();
        Ok(())
    }

    /// The bytes of a batch that the core wants appended, stamped with its place.
    fn bytes_of(&mut self, summary: &quorum::Batch, origin: Origin) -> Result<Batch, QuorumStopped> {
        let stamp = |mut bytes| {
            let batch = Batch::split_first(&mut bytes).map_err(records::RecordsError::from)?;
            Ok(batch.stamped(summary.base_offset, summary.quorum_epoch.0, None))
        };
        match origin {
            Origin::Proposal(id) => {
                stamp(self.proposed.remove(&id).expect("a proposal's bytes wait for its append"))
            }
            Origin::Control => {
                let bytes = records::encode_control(&summary.kind, self.env.wall_ms())?;
                stamp(bytes.expect("a batch of origin Control is a control batch"))
            }
            Origin::Message => {
                let found =
                    self.attached.iter().find(|batch| batch.header().base_offset == summary.base_offset);
                Ok(found.cloned().expect("a message was checked to bring the batches that it speaks of"))
            }
        }
    }

    fn truncate(&mut self, end: Offset, generation: LogGeneration) -> Result<(), QuorumStopped> {
        self.stalled.truncate(end, generation);
        while self.unapplied.back().is_some_and(|batch| batch.header().end_offset() > end) {
            self.unapplied.pop_back();
        }
        done(self.log.truncate(end))?;
        self.tell_voters();
        Ok(())
    }

    /// Publishes who votes: a set counts from its append on (Q30).
    pub(super) fn tell_voters(&self) {
        let voters = self.core.voters().latest().keys().iter().map(|key| key.id).collect();
        self.voters.send_if_modified(|known| {
            let changed = *known != voters;
            *known = voters;
            changed
        });
    }

    fn send(&self, to: NodeId, message: &Message) {
        self.peers.send(to, Lane::Control, PeerFrame::quorum(message, Vec::new()), &self.trace);
    }

    /// Reads from the log, to send once that is done. It takes the place of a message to the same node that still waits:
    /// whoever has asked again takes no answer to what it asked before (R13), but the same records do.
    fn send_records(&mut self, to: NodeId, message: Message, from: Offset, end: Offset) {
        let former = self.sends.withdraw(to);
        if former.is_some() {
            self.trace.did(|| Act::NotSent { to });
            if let Some(count) = self.sends.note_dropped(self.env.now()) {
                tracing::warn!(%to, count, "dropped answers: reading the metadata log takes too long");
            }
        }
        self.trace.did(|| Act::Reading { to, from, end });
        let cuts = self.log.cuts();
        let is_same = |former: &Waiting<Message>| {
            former.cuts == cuts && former.range.0 == from && former.range.1 <= end
        };
        let (range, read) = match former.filter(is_same) {
            Some(former) => (former.range, former.read),
            None => ((from, end), Progress::begin(self.log.read(from, RECORDS_BYTES_MAX, end))),
        };
        self.sends.push(Waiting { to, cuts, range, message, read });
    }

    /// Sends what was read, unless the log was cut meanwhile: the read may have met anything.
    pub(super) fn send_read(
        &self,
        read: Result<Bytes, Fault>,
        (cuts, to, mut message): (u64, NodeId, Message),
    ) {
        if self.drops_read(to) {
            return;
        }
        if cuts != self.log.cuts() {
            tracing::debug!(%to, "the metadata log was cut while it was read for another node");
            return self.trace.did(|| Act::NotSent { to });
        }
        let is_gone = matches!(read, Err(Fault::OutOfRange { .. }));
        let filled = match read {
            Ok(bytes) => fill(&mut message, &bytes).map(|()| bytes),
            Err(fault) => Err(fault.to_string()),
        };
        match filled {
            Ok(bytes) => {
                self.peers.send(to, Lane::Control, PeerFrame::quorum(&message, vec![bytes]), &self.trace);
            }
            Err(what) => {
                self.trace.did(|| Act::NotSent { to });
                if is_gone {
                    tracing::debug!(%to, what, "the metadata log has not what another node wants");
                } else {
                    tracing::warn!(%to, what, "cannot read the metadata log for another node");
                }
            }
        }
    }

    /// No message that waits for its records will be sent.
    pub(super) fn forget_sends(&mut self) {
        for to in self.sends.forget() {
            self.trace.did(|| Act::NotSent { to });
        }
    }

    /// How long a timer runs. What waits for an election is drawn anew each time, so that candidates part.
    fn duration(&self, timer: Timer) -> Duration {
        let timing = &self.timing;
        match timer {
            Timer::Election => self.drawn(timing.quorum_election, timing.quorum_election),
            Timer::FetchTimeout => self.drawn(timing.quorum_fetch, timing.quorum_fetch / 4),
            Timer::FetchRetry => timing.quorum_retry * 2,
            Timer::LongPoll | Timer::Probe | Timer::Announce => timing.quorum_retry,
            Timer::CheckQuorum => timing.quorum_fetch * 3 / 2,
        }
    }

    /// Between `least` and `least + spread`.
    fn drawn(&self, least: Duration, spread: Duration) -> Duration {
        let part = u32::try_from(self.env.random_u64() % 1_000).unwrap_or(0);
        least + spread * part / 1_000
    }
}

/// Names the batches in `bytes` in a message that has none yet.
fn fill(message: &mut Message, bytes: &Bytes) -> Result<(), String> {
    let found = batch::split(bytes.clone()).map_err(|error| error.to_string())?;
    let summaries: Result<Vec<_>, _> = found.iter().map(records::summary).collect();
    let summaries = summaries.map_err(|error| error.to_string())?;
    if let Body::FetchAnswer(answer) = &mut message.body
        && let Fetched::Records { batches, .. } = &mut answer.fetched
    {
        *batches = summaries;
        return Ok(());
    }
    Err("a message that takes no records".to_owned())
}

/// A cut is durable when the call returns.
fn done(cut: crate::disk::Completion<crate::log::Truncated>) -> Result<(), QuorumStopped> {
    match cut.now() {
        Ok(result) => result.map(drop).map_err(QuorumStopped::from),
        Err(_) => Ok(()),
    }
}
