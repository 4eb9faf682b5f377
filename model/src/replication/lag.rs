//! Who is caught up, without a clock (R41): each time a follower is, it gets a new goal, the leader's log end of that
//! moment, and its lag timer starts again.

use super::{Effect, Effects, Refusal, Replica, ReplicaIdx, Tenure, Timer};
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
