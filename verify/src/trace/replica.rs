//! Replaying one life of a replica of a partition.

use highwater_model::api::Acks;
use highwater_model::fault::Sound;
use highwater_model::id::{NodeId, Offset, RequestId, TopicPartition};
use highwater_model::replication::{
    Batches, Effect, FetchBody, Input, Message, Recovered, Replica, ReplicaIdx, Tenure, Timer,
};
use highwater_model::trace::{Act, Beginning, Carried, Outcome, ReplicaRecovered, Told};

use super::edge::{Book, Cause, EACH_ACT, Kind, Owed, Reading, Wrong, wrong};
use super::step::{self, soundly, taken};
use super::{digest, encoded};

/// Replicas of partitions.
pub(super) struct OfReplicas;

impl Kind for OfReplicas {
    type Timer = Timer;
    const ASKERS_GO: bool = false;

    fn spoken(body: &[u8]) -> String {
        match postcard::from_bytes::<(TopicPartition, Message)>(body) {
            Ok((partition, message)) => format!("{partition}: {message:?}"),
            Err(error) => format!("malformed ({error})"),
        }
    }

    fn is_filled(waiting: &Reading, body: &[u8]) -> bool {
        waiting.body == body
    }
}

/// One life.
pub(super) struct ReplicaLife {
    pub(super) tenure: Tenure,
    pub(super) core: Replica<Sound>,
    pub(super) book: Book<OfReplicas>,
    /// Produces that ask for all, with the ends that were given to them.
    pub(super) asked_all: Vec<RequestId>,
}

/// What a step of a replica shows to others.
#[derive(Debug, Default)]
pub(super) struct Stepped {
    /// Offsets of batches that were acknowledged to producers that asked for all.
    pub(super) acknowledged: Vec<Offset>,
}

impl ReplicaLife {
    /// A life from what it begins from.
    pub(super) fn begin(tenure: Tenure, from: Beginning<ReplicaRecovered>) -> Result<Self, Wrong> {
        let (core, book) = match from {
            Beginning::Recovered(found, _) => {
                let ReplicaRecovered { log, high_watermark, batches } = found;
                let recovered = Recovered { log, high_watermark, batches: &batches };
                let recover = || Replica::recover(&tenure, Sound, recovered);
                (soundly(&"its recovery", recover)?, Book::new())
            }
            Beginning::Shown(shown) => {
                let core: Replica<Sound> = step::shown(&shown.state, "a replica")?;
                let mut book = Book::partial(&shown.under_way)?;
                book.opened_before(core.open_proposal());
                (core, book)
            }
        };
        Ok(Self { tenure, core, book, asked_all: Vec::new() })
    }

    /// Takes an input as it was recorded, and enters what its effects owe.
    pub(super) fn step(&mut self, outcome: Outcome, input: Input) -> Result<Stepped, Wrong> {
        self.book.step(&cause(&input), &input)?;
        let (core, tenure, given) = (&mut self.core, &self.tenure, input.clone());
        let effects = taken(outcome, &input, |effects| core.step(tenure, given, effects))?;
        let Some(effects) = effects else {
            self.owe_refusal(&input);
            return Ok(Stepped::default());
        };
        if let Input::Produce { acks: Acks::All, request_id, .. } = input {
            self.asked_all.push(request_id);
        }
        let mut stepped = Stepped::default();
        for effect in effects {
            self.owe(effect, &mut stepped);
        }
        Ok(stepped)
    }

    /// A step that is refused is the answer to whoever waits for one.
    fn owe_refusal(&mut self, input: &Input) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nobody waits for an answer to the others")]
        match input {
            Input::Produce { acks, request_id, .. } if *acks != Acks::None => {
                self.book.owe_refusal(*request_id);
            }
            Input::EndRead { request_id } => self.book.owe_refusal(*request_id),
            _ => {}
        }
    }

    fn node(&self, replica: ReplicaIdx) -> NodeId {
        self.tenure.replicas.get(usize::from(replica.0)).copied().unwrap_or_default()
    }

    fn owe(&mut self, effect: Effect, stepped: &mut Stepped) {
        let owed = match effect {
            Effect::AppendLocal { base_offset, end, generation, .. } => {
                Owed::Write { from: base_offset, end, generation, carried: None }
            }
            Effect::AppendFetched { batches, end, generation } => {
                let from = batches.first().map_or(end, |batch| batch.base_offset);
                Owed::Write { from, end, generation, carried: Some(carried(&batches)) }
            }
            Effect::Truncate { to, .. } => Owed::Cut(to),
            Effect::RestartLog { at, .. } => Owed::Restart(at),
            Effect::TrimLog { to } => Owed::Trim(to),
            Effect::Sync { generation, .. } => Owed::Sync { generation },
            Effect::Send { to, message } => self.spoken(self.node(to), message),
            Effect::ProposeIsr(proposal) => Owed::Propose(proposal),
            Effect::Acknowledge(acknowledgement) => {
                let request = acknowledgement.request_id();
                if let Some(at) = self.asked_all.iter().position(|asked| *asked == request) {
                    self.asked_all.swap_remove(at);
                    stepped.acknowledged.push(acknowledgement.base_offset());
                }
                Owed::Reply { request: request.0, told: Told::Acknowledged(acknowledgement.base_offset()) }
            }
            Effect::Refuse { request_id, .. } => Owed::Reply { request: request_id.0, told: Told::Refused },
            Effect::EndKnown(end) => {
                let told = Told::End(end.offset(), end.leader_epoch());
                Owed::Reply { request: end.request_id().0, told }
            }
            Effect::HighWatermark(_) => Owed::Wake,
            // A hint for a checkpoint that is not kept: no act.
            Effect::FollowerHighWatermark(_) => return,
            Effect::Arm(timer) => Owed::Arm(timer),
            Effect::Disarm(timer) => Owed::Disarm(timer),
        };
        self.book.owe(owed);
    }

    fn spoken(&self, to: NodeId, message: Message) -> Owed<Timer> {
        let body = body(self.tenure.partition, message);
        if let Message::FetchAnswer(answer) = message
            && let FetchBody::Records { from, end } = answer.body
        {
            return Owed::Read(Reading { to, from, end, body, is_void: false });
        }
        Owed::Send { to, body }
    }

    /// Enters an act; what a consumer is told must be what the core vouches for.
    pub(super) fn act(&mut self, act: &Act<Timer>) -> Result<(), Wrong> {
        if let Act::Shown(Some(told)) = act {
            let vouched = self.core.readable_end().map(|visible| (visible.offset(), visible.leader_epoch()));
            if vouched != Ok(*told) {
                return wrong(EACH_ACT, format!("readable: {vouched:?}"), format!("{act:?}"));
            }
        }
        self.book.act(act)
    }
}

/// A frame's body.
pub(super) fn body(partition: TopicPartition, message: Message) -> Vec<u8> {
    encoded(&(partition, message))
}

/// What a list of batches is, as a trace has it.
pub(super) fn carried(batches: &Batches) -> Carried {
    if batches.is_empty() {
        return Carried::default();
    }
    Carried { count: u32::try_from(batches.len()).unwrap_or(u32::MAX), digest: digest(batches) }
}

fn cause(input: &Input) -> Cause<Timer> {
    match input {
        Input::Written { end, generation } => Cause::Written(*end, *generation),
        Input::WriteFailed { generation, .. } => Cause::WriteFailed(*generation),
        Input::Flushed { end, generation } => Cause::Flushed(*end, *generation),
        Input::Expired(timer) => Cause::Expired(*timer),
        Input::AlterPartitionAnswered(answer) => Cause::ProposalAnswered(*answer),
        Input::View(_)
        | Input::Produce { .. }
        | Input::RequestExpired { .. }
        | Input::Message { .. }
        | Input::EndRead { .. }
        | Input::RaiseLogStart { .. }
        | Input::ForgetProducer { .. } => Cause::Free,
    }
}
