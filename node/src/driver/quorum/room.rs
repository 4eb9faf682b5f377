//! A full disk under the metadata log: what finds no room is written when there is some, in order.
//!
//! To the core a write, or a vote, that finds no room is one that takes long. Nothing rests on it meanwhile: a follower
//! asks for no more, a voter says nothing, a leader counts nothing of its own. What may be committed and applied already,
//! because others hold it, stays so. But nothing is decided while the leader cannot write, so it gives up its office to
//! those who can.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_model::fault::{Faults, Slip};
use highwater_model::id::{LogGeneration, Offset};
use highwater_model::quorum::{Input, Vote};
use highwater_model::trace::Act;
use highwater_transport::batch::Batch;
use highwater_transport::env::Instant;

use super::{QuorumDriver, QuorumStopped, open};
use crate::disk::{Completion, Fault};
use crate::log::Written;
use crate::trace::edge::{Watched, how};

/// How long to wait for room before the next attempt.
const ROOM_RETRY: Duration = Duration::from_secs(1);

/// What found no room.
#[derive(Debug, Default)]
pub(super) struct Stalled {
    /// Appends, in the order of the log.
    writes: VecDeque<(Vec<Batch>, LogGeneration)>,
    /// Whether a vote is among it.
    has_vote: bool,
    /// When to try again.
    retry_at: Option<Instant>,
}

impl Stalled {
    /// When to try again, if there is anything to try.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// How many writes wait; `None` if nothing does.
    pub(super) fn waiting(&self) -> Option<u32> {
        let waits = !self.writes.is_empty() || self.has_vote || self.retry_at.is_some();
        waits.then(|| u32::try_from(self.writes.len()).unwrap_or(u32::MAX))
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at <= now)
    }

    /// The newest vote is to be stored again.
    pub(super) fn keep_vote(&mut self, fault: &Fault, now: Instant) {
        tracing::warn!(%fault, "no room for the vote: nothing is said until it is stored");
        self.has_vote = true;
        self.wait(now);
    }

    /// The log is cut at `end`, and what is left of the appends belongs to this generation.
    pub(super) fn truncate(&mut self, end: Offset, generation: LogGeneration) {
        for (batches, of) in &mut self.writes {
            batches.retain(|batch| batch.header().end_offset() <= end);
            *of = generation;
        }
        self.writes.retain(|(batches, _)| !batches.is_empty());
    }

    pub(super) fn forget_writes(&mut self) {
        self.writes.clear();
    }

    fn wait(&mut self, now: Instant) {
        self.retry_at.get_or_insert(now + ROOM_RETRY);
    }
}

impl<F: Faults> QuorumDriver<F> {
    /// Submits a write, behind those that wait for room.
    pub(super) fn write(&mut self, batches: Vec<Batch>, generation: LogGeneration) {
        if self.stalled.writes.is_empty() {
            match self.log.submit(&batches).now() {
                Ok(Err(fault)) if fault.is_full() => {
                    tracing::warn!(%fault, "no room for the metadata log: nothing is counted until it is written");
                }
                Ok(known) => return self.wrote(&batches, Completion::done(known), generation),
                Err(pending) => return self.wrote(&batches, pending, generation),
            }
        }
        self.trace.did(|| Act::Stalled);
        self.stalled.writes.push_back((batches, generation));
        self.stalled.wait(self.env.now());
    }

    fn wrote(&mut self, batches: &[Batch], written: Completion<Written>, generation: LogGeneration) {
        self.log.note_submitted(batches);
        let written = self.log.watch_write(written);
        self.writes.push(written, generation);
    }

    /// Submits the storing of a vote.
    pub(super) fn store(&mut self, vote: Vote) {
        self.trace.did(|| Act::Store(vote));
        let stored = self.disk.replace(open::VOTE_FILE, open::vote_bytes(&vote));
        let ended = |result: Result<&(), &Fault>| Act::StoreEnded(how(result, |()| Offset::ZERO));
        let stored = Watched::new(stored, &self.trace, ended);
        let is_awaited = !self.faults.slips(Slip::VoteBeforeStored);
        self.votes.push(if is_awaited { stored } else { Watched::unrecorded(()) }, vote);
    }

    /// Tries again what found no room. A leader that still finds none gives up its office, if there is anybody to take it.
    pub(super) fn try_room(&mut self) -> Result<(), QuorumStopped> {
        self.stalled.retry_at = None;
        let vote = self.core.vote();
        if std::mem::take(&mut self.stalled.has_vote) && vote != self.core.stored() {
            self.store(vote);
        }
        if self.stalled.writes.is_empty() {
            return Ok(());
        }
        for (batches, generation) in std::mem::take(&mut self.stalled.writes) {
            self.write(batches, generation);
        }
        // What was asked to be synced was not there yet.
        let synced = self.log.sync();
        self.syncs.push(synced, self.core.log().generation());
        let is_replaceable = self.core.voters().latest().size() > 1;
        if self.stalled.writes.is_empty() {
            tracing::info!("there is room for the metadata log again");
        } else if self.core.is_leader() && is_replaceable {
            tracing::warn!("gives up the leadership of the metadata quorum: it cannot write");
            return self.step(Input::Resign);
        }
        Ok(())
    }
}
