//! Who is caught up, without a clock (R41): each time a follower reaches its goal it gets a new one, the leader's log end of that
//! moment, and its lag timer starts again; one that lags gets a new goal with each new fetch from below it.

use super::{Effect, Effects, IsrSet, Refusal, Replica, ReplicaIdx, Tenure, Timer};
use crate::fault::{Bug, Faults};

impl<F: Faults> Replica<F> {
    /// A follower has told how far it is: by a new fetch, or by amending the last one.
    ///
    /// It is caught up, and stays so, by reaching its goal with what counts as held: syncing late is lagging. The goal of one
    /// that is not moves with each new fetch from below it: so it comes back by fetching from where the log ended at its fetch
    /// before. From then on the goal stays, until what counts as held has reached it: one whose syncs never end does not come
    /// back by fetching on, and holds up no watermark (RL5, RL9).
    pub(super) fn note_lag(&mut self, from: ReplicaIdx, is_new_fetch: bool) {
        let (end, flush) = (self.log.end(), self.view.flush);
        let unsynced_too = self.faults.has(Bug::UnsyncedComesBack);
        let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(from)) else { return };
        let Some(progress) = &follower.progress else { return };
        let all = unsynced_too && !follower.caught_up;
        let held = if all { progress.end } else { progress.counted(flush) };
        if held >= follower.goal {
            follower.caught_up = true;
            // The timer starts anew, if there is still anything to reach.
            follower.restart = true;
            follower.goal = end;
        } else if is_new_fetch && progress.end < follower.goal && !follower.caught_up {
            follower.goal = end;
        }
    }

    /// A follower that lagged may reach its goal though it fetches nothing more: a sync has ended, a write that found no room has
    /// brought the log's end down to it, or another flush policy counts more. It comes back at once.
    pub(super) fn take_back(&mut self, tenure: &Tenure) {
        let (flush, stays_out) = (self.view.flush, self.faults.has(Bug::LateSyncStaysOut));
        let Some(lead) = self.lead_mut() else { return };
        let mut there = IsrSet::EMPTY;
        for replica in tenure.others() {
            let lagging = lead.follower_mut(replica).filter(|follower| !follower.caught_up && !stays_out);
            let reached = lagging.is_some_and(|follower| {
                follower.progress.as_ref().is_some_and(|progress| progress.counted(flush) >= follower.goal)
            });
            if reached {
                there = there.with(replica);
            }
        }
        there.iter().for_each(|replica| self.note_lag(replica, false));
    }

    /// Runs a timer for each follower that is caught up and has something to reach, and for no other.
    pub(super) fn arm_lag_timers(&mut self, tenure: &Tenure, effects: &mut Effects) {
        let (end, flush) = (self.log.end(), self.view.flush);
        let Some(lead) = self.lead_mut() else { return };
        for replica in tenure.others() {
            let Some(follower) = lead.follower_mut(replica) else { continue };
            let held = follower.progress.as_ref().map(|progress| progress.counted(flush));
            let behind = follower.caught_up && held.is_none_or(|held| held < end);
            let restart = core::mem::take(&mut follower.restart);
            if behind && (restart || !follower.armed) {
                effects.push(Effect::Arm(Timer::Lag(replica)));
            } else if !behind && follower.armed {
                effects.push(Effect::Disarm(Timer::Lag(replica)));
            }
            follower.armed = behind;
        }
    }

    pub(super) fn on_lag(&mut self, replica: ReplicaIdx) -> Result<(), Refusal> {
        let end = self.log.end();
        let follower =
            self.lead_mut().and_then(|lead| lead.follower_mut(replica)).filter(|known| known.armed);
        let follower = follower.ok_or(Refusal::NotArmed)?;
        follower.armed = false;
        follower.caught_up = false;
        follower.goal = end;
        Ok(())
    }
}
