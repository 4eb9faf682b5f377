//! Replaying one life of a member of the metadata quorum.

use highwater_model::fault::Sound;
use highwater_model::quorum::{
    Body, Effect, Fetched, Input, Message, Origin, Quorum, Recovered, Tenure, Timer,
};
use highwater_model::trace::{Act, Beginning, Effects, Outcome, Told};

use super::controller::FromQuorum;
use super::edge::{Book, Cause, Kind, Owed, Reading, Wrong, wrong};
use super::encoded;
use super::step::{self, SAME_EFFECTS, digest_of, soundly, taken};

/// Members of the metadata quorum.
pub(super) struct OfQuorum;

impl Kind for OfQuorum {
    type Timer = Timer;
    const ASKERS_GO: bool = true;

    fn spoken(body: &[u8]) -> String {
        match postcard::from_bytes::<Message>(body) {
            Ok(message) => format!("{message:?}"),
            Err(error) => format!("malformed ({error})"),
        }
    }

    /// The same message with batches from where it was to begin, one after another, up to where it was to end.
    fn is_filled(waiting: &Reading, body: &[u8]) -> bool {
        let Ok(mut message) = postcard::from_bytes::<Message>(body) else { return false };
        let Body::FetchAnswer(answer) = &mut message.body else { return false };
        let Fetched::Records { batches, .. } = &mut answer.fetched else { return false };
        let batches = std::mem::take(batches);
        let mut next = waiting.from;
        for batch in &batches {
            if batch.base_offset != next {
                return false;
            }
            next = batch.end();
        }
        !batches.is_empty() && next <= waiting.end && encoded(&message) == waiting.body
    }
}

/// One life.
pub(super) struct QuorumLife {
    pub(super) tenure: Tenure,
    pub(super) core: Quorum<Sound>,
    pub(super) book: Book<OfQuorum>,
    /// What the controller above is told, and was not asked for yet.
    told: Vec<FromQuorum>,
}

impl QuorumLife {
    /// A life from what it begins from, with what that owes.
    pub(super) fn begin(tenure: Tenure, from: Beginning<Recovered>) -> Result<Self, Wrong> {
        match from {
            Beginning::Recovered(found, recorded) => Self::recover(tenure, found, recorded),
            Beginning::Shown(shown) => {
                let core = step::shown(&shown.state, "a member of the quorum")?;
                Ok(Self { tenure, core, book: Book::partial(&shown.under_way)?, told: Vec::new() })
            }
        }
    }

    fn recover(tenure: Tenure, found: Recovered, recorded: Effects) -> Result<Self, Wrong> {
        let mut effects = Vec::new();
        let core = soundly(&"its recovery", || Quorum::recover(&tenure, Sound, found, &mut effects))?;
        if digest_of(&effects) != recorded {
            wrong(SAME_EFFECTS, format!("recovery gives {effects:?}"), format!("{recorded:?}"))?;
        }
        let mut life = Self { tenure, core, book: Book::new(), told: Vec::new() };
        effects.into_iter().for_each(|effect| life.owe(effect));
        Ok(life)
    }

    /// Takes an input as it was recorded, and enters what its effects owe.
    pub(super) fn step(&mut self, outcome: Outcome, input: &Input) -> Result<(), Wrong> {
        self.book.step(&cause(input), input)?;
        let (core, tenure) = (&mut self.core, &self.tenure);
        let effects = taken(outcome, input, |effects| core.step(tenure, input.clone(), effects))?;
        self.tell_placing(input, effects.as_deref());
        effects.into_iter().flatten().for_each(|effect| self.owe(effect));
        self.tell_installed(input);
        Ok(())
    }

    /// What the controller above has been told since this was last asked.
    pub(super) fn take_told(&mut self) -> Vec<FromQuorum> {
        std::mem::take(&mut self.told)
    }

    fn tell_placing(&mut self, input: &Input, effects: Option<&[Effect]>) {
        let Input::Propose { id, .. } = input else { return };
        let end = effects.into_iter().flatten().find_map(|effect| {
            let Effect::Append { batches, origin, .. } = effect else { return None };
            batches
                .last()
                .filter(|_| *origin == Origin::Proposal(*id))
                .map(highwater_model::quorum::Batch::end)
        });
        self.told.push(FromQuorum::Placed { proposal: *id, end });
    }

    /// What a snapshot holds is committed.
    fn tell_installed(&mut self, input: &Input) {
        if let Input::SnapshotInstalled { id, .. } = input
            && self.core.snapshot() == Some(*id)
        {
            let quorum_epoch = self.core.quorum_epoch();
            self.told.push(FromQuorum::Committed { end: id.end, quorum_epoch });
        }
    }

    /// What the controller above is told by an effect.
    fn tell(&mut self, effect: &Effect) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others are nothing to the controller")]
        let told = match effect {
            Effect::LeadershipEstablished { quorum_epoch } => FromQuorum::Established {
                quorum_epoch: *quorum_epoch,
                committed: self.core.high_watermark().unwrap_or_default(),
            },
            Effect::LostLeadership { .. } => FromQuorum::Lost,
            Effect::Committed(end) => {
                FromQuorum::Committed { end: end.high_watermark(), quorum_epoch: self.core.quorum_epoch() }
            }
            _ => return,
        };
        self.told.push(told);
    }

    fn owe(&mut self, effect: Effect) {
        self.tell(&effect);
        let owed = match effect {
            Effect::StoreVote(vote) => Owed::Store(vote),
            Effect::Append { batches, generation, .. } => {
                let from = batches.first().map(|batch| batch.base_offset).unwrap_or_default();
                let end = batches.last().map_or(from, |batch| batch.end());
                Owed::Write { from, end, generation, carried: None }
            }
            Effect::Sync { generation, .. } => Owed::Sync { generation },
            Effect::Truncate { end, .. } => Owed::Cut(end),
            Effect::RestartLog { start, .. } => Owed::Restart(start),
            Effect::TrimLog { start } => Owed::Trim(start),
            Effect::Send { to, message } => Owed::Send { to, body: encoded(&message) },
            Effect::SendRecords { to, message, from, end } => {
                Owed::Read(Reading { to, from, end, body: encoded(&message), is_void: false })
            }
            Effect::Arm(timer) => Owed::Arm(timer),
            Effect::Disarm(timer) => Owed::Disarm(timer),
            Effect::ProposalCommitted(commitment) => {
                Owed::Reply { request: commitment.id().0, told: Told::Done }
            }
            Effect::ReadReady(point) => {
                Owed::Reply { request: point.id().0, told: Told::ReadPoint(point.offset()) }
            }
            Effect::FetchSnapshot { id, .. } => Owed::FetchSnapshot(id),
            // These stay within the process: for its controller, to whom they are told, its routes and its own words.
            Effect::BecameLeader { .. }
            | Effect::LeadershipEstablished { .. }
            | Effect::LostLeadership { .. }
            | Effect::LeaderChanged { .. }
            | Effect::Committed(_)
            | Effect::AbandonSnapshot { .. } => return,
        };
        self.book.owe(owed);
    }

    /// Enters an act.
    pub(super) fn act(&mut self, act: &Act<Timer>) -> Result<(), Wrong> {
        self.book.act(act)
    }
}

fn cause(input: &Input) -> Cause<Timer> {
    match input {
        Input::VoteStored(vote) => Cause::Stored(*vote),
        Input::Written { end, generation } => Cause::Written(*end, *generation),
        Input::Flushed { end, generation } => Cause::Flushed(*end, *generation),
        Input::Expired(timer) => Cause::Expired(*timer),
        Input::Received(_)
        | Input::Propose { .. }
        | Input::Read { .. }
        | Input::ChangeVoters { .. }
        | Input::Resign
        | Input::SnapshotTaken { .. }
        | Input::SnapshotInstalled { .. }
        | Input::SnapshotFailed { .. }
        | Input::SnapshotServed { .. } => Cause::Free,
    }
}
