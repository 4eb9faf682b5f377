//! A write that found no room (design §5): the replica refuses what rested on it, stays readable, and goes on.
//!
//! The records of such a write were never written, so nobody has them from here, and nothing was counted or promised on
//! them: to lose them is what a kill does (X10). But this incarnation goes on, so it voids what it had built on a longer
//! log. A follower then waits before it fetches again. A leader tries each produce, and goes on serving what it has.

use super::{Effect, Effects, Refusal, Replica, Timer};
use crate::fault::{Bug, Faults};
use crate::id::{LogGeneration, Offset};

impl<F: Faults> Replica<F> {
    pub(super) fn on_write_failed(
        &mut self,
        end: Offset,
        generation: LogGeneration,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let stands = self.log.written() <= end && end < self.log.end();
        if !stands || !self.log.on_written(end, generation) {
            return Err(Refusal::StaleCompletion);
        }
        self.cut(end);
        if let Some(following) = self.following_mut() {
            following.lacks_room = true;
            effects.push(Effect::Arm(Timer::Room));
        }
        self.shorten_reign(end, effects);
        Ok(())
    }

    /// A leader whose log is shorter than it was. What is gone may be of earlier epochs, fetched before this one was
    /// elected and not yet written: then its epoch begins where the log ends now, and a follower that has those records,
    /// from the leader before, must be told anew where its log parts from this one.
    fn shorten_reign(&mut self, end: Offset, effects: &mut Effects) {
        let leader_epoch = self.view.leader_epoch;
        let keeps = self.faults.has(Bug::ProgressOutlivesTail);
        let refuses_all = self.faults.has(Bug::NoRoomForAnybody);
        let Some(lead) = self.lead_mut() else { return };
        lead.epoch_start = lead.epoch_start.min(end);
        for follower in &mut lead.followers {
            follower.goal = follower.goal.min(end);
            if follower.progress.as_ref().is_some_and(|progress| progress.end > end) && !keeps {
                follower.progress = None;
                follower.parked = None;
            }
        }
        let refusal = Refusal::NoRoom { log_end: end };
        for waiting in [&mut lead.for_local, &mut lead.for_commit] {
            let kept = waiting.partition_point(|wait| wait.end <= end && !refuses_all);
            let refuse = |request_id| Effect::Refuse { request_id, refusal };
            effects.extend(waiting.drain(kept..).map(|wait| refuse(wait.request_id)));
        }
        self.log.begin_epoch(leader_epoch);
    }

    /// A follower that found no room has waited long enough.
    pub(super) fn try_room(&mut self) -> Result<(), Refusal> {
        let waiting = self.following_mut().filter(|following| following.lacks_room);
        waiting.ok_or(Refusal::NotArmed)?.lacks_room = false;
        Ok(())
    }
}
