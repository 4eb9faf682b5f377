//! Linearizable reads (Q18).

use super::effect::{Effect, Effects};
use super::input::ReadId;
use super::refusal::Refusal;
use super::state::{Quorum, Reading, Role, Tenure};
use super::token::ReadPoint;
use crate::fault::Faults;

impl<F: Faults> Quorum<F> {
    /// A reader asks for a point that reflects everything acknowledged before: issue a round, and wait until a majority of
    /// the voters has echoed it. Whoever echoes it was in this epoch after the read arrived (B-53).
    pub(super) fn on_read(
        &mut self,
        tenure: &Tenure,
        id: ReadId,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let leadership = self.leadership(tenure)?;
        if !leadership.established {
            return Err(Refusal::NotEstablished { quorum_epoch: self.vote.quorum_epoch });
        }
        leadership.check_room()?;
        if let Role::Leader(leadership) = &mut self.role {
            leadership.round += 1;
            let round = leadership.round;
            leadership.reads.push(Reading { id, round });
        }
        self.confirm_reads(tenure, effects);
        self.serve_parked(tenure, effects);
        Ok(())
    }

    /// Answers the reads whose round a majority has echoed; the leader itself has seen every round.
    pub(super) fn confirm_reads(&mut self, tenure: &Tenure, effects: &mut Effects) {
        loop {
            let Role::Leader(leadership) = &self.role else {
                return;
            };
            let Some(reading) = leadership.reads.first() else {
                return;
            };
            let round = reading.round;
            if self.count_voters(tenure, |progress| progress.round >= round) < self.voters.latest().majority()
            {
                return;
            }
            self.answer_read(effects);
        }
    }

    /// Answers the oldest read.
    fn answer_read(&mut self, effects: &mut Effects) {
        let offset = self.high_watermark.expect("reads are taken once the high watermark is known");
        if let Role::Leader(leadership) = &mut self.role {
            let Reading { id, .. } = leadership.reads.remove(0);
            effects.push(Effect::ReadReady(ReadPoint { id, offset }));
        }
    }
}
