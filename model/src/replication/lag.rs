//! Who is caught up, without a clock (R41): each time a follower is, it gets a new goal, the leader's log end of that
//! moment, and its lag timer starts again.

use super::{Effect, Effects, Refusal, Replica, ReplicaIdx, Tenure, Timer};
use crate::fault::{Bug, Faults};
use crate::id::Offset;

impl<F: Faults> Replica<F> {
    /// A follower has told how far it is; `fetched` is the offset of its fetch, if this was one.
    ///
    /// One that is caught up stays so by reaching its goal with what counts as held: syncing late is lagging. One that
    /// is not becomes so by fetching from where the log ended at its fetch before: its counted end trails that. Or by
    /// reaching it with what counts as held, if it had fetched all and was merely late to sync: its fetch waits here, and
    /// there may be no other before it is in sync again (RL4).
    pub(super) fn note_lag(&mut self, from: ReplicaIdx, fetched: Option<Offset>) {
        let (end, flush) = (self.log.end(), self.view.flush);
        let stays_out = self.faults.has(Bug::LateSyncStaysOut);
        let Some(follower) = self.lead_mut().and_then(|lead| lead.follower_mut(from)) else { return };
        let Some(progress) = &follower.progress else { return };
        let held = progress.counted(flush) >= follower.goal && (follower.caught_up || !stays_out);
        let reached =
            held || (!follower.caught_up && fetched.is_some_and(|fetched| fetched >= follower.goal));
        if reached {
            follower.caught_up = true;
            // The timer starts anew, if there is still anything to reach.
            follower.restart = true;
        }
        if reached || (fetched.is_some() && !follower.caught_up) {
            follower.goal = end;
        }
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
