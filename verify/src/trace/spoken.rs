//! What a run says to others, by names under which those who hear it can be held against it.
//!
//! A name is a hash of all that is said: of a message and the batches beside it; of a command; of a command and its answer.
//! Nothing is judged here, so that what a core says whose replay has failed is known as well.

use std::collections::{BTreeMap, BTreeSet};

use highwater_model::fault::Sound;
use highwater_model::id::{BrokerEpoch, IncarnationId, NodeId, RequestId, TopicPartition};
use highwater_model::metadata::{self, BrokerRequest, Command, Controller, Image, answer_to_proposal};
use highwater_model::quorum;
use highwater_model::replication::{self, AlterPartition, AlterPartitionAnswer, Batches};
use highwater_model::trace::{Act, Acted, Began, Beginning, CoreNumber, Life, Step, kind};

use super::edge::Answer;
use super::encoded;
use super::read::{Record, decode};
use super::replica::{body, carried};
use super::roster::Registrations;
use super::step;

/// Something that is said, so that two of the same are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Saying {
    /// By whom; `None` for the active controller, whoever that is.
    pub(super) from: Option<NodeId>,
    name: u64,
}

impl Saying {
    fn new<T: serde::Serialize>(from: Option<NodeId>, what: &T) -> Self {
        Self { from, name: xxhash_rust::xxh3::xxh3_64(&encoded(&(from, what))) }
    }

    /// A message that a replica takes.
    pub(super) fn to_replica(
        (from, to): (NodeId, NodeId),
        partition: TopicPartition,
        message: replication::Message,
        batches: &Batches,
    ) -> Self {
        Self::new(Some(from), &("message", to, body(partition, message), carried(batches)))
    }

    /// A message that a member of the quorum takes.
    pub(super) fn to_member(to: NodeId, message: &quorum::Message) -> Self {
        Self::new(Some(message.from.id), &("quorum", to, encoded(message)))
    }

    /// A command that the controller takes, if it is one that a broker sends by itself.
    pub(super) fn command(command: &Command) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others come from clients")]
        let from = match command {
            Command::RegisterBroker(registration) => registration.node,
            Command::Heartbeat(heartbeat) => heartbeat.node,
            Command::AlterPartition { node, .. } => *node,
            _ => return None,
        };
        Some(Self::new(Some(from), &("command", command)))
    }

    /// The controller's answer to a broker's request.
    pub(super) fn answer(request: &BrokerRequest, answer: &Answer) -> Self {
        Self::new(None, &("answer", request.clone().into_command(), answer))
    }

    /// The controller's answer to a proposal.
    pub(super) fn answer_to_proposal(
        partition: TopicPartition,
        proposal: &AlterPartition,
        answer: AlterPartitionAnswer,
    ) -> Self {
        Self::new(None, &("proposal", partition, proposal, answer))
    }
}

/// Who has said something, as far as what is said names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// This run of this node, as a member of the quorum or an observer.
    Member(NodeId, IncarnationId),
    /// This run of this node.
    Run(NodeId, IncarnationId),
    /// This node under this registration.
    Registered(NodeId, BrokerEpoch),
    /// A run of this node that was at work when this registration of another one, whom it answers, had been made.
    Answerer(NodeId, BrokerEpoch),
    /// The active controller, whoever that was.
    Controller,
}

impl Speaker {
    /// Of a message that a replica takes from this node.
    pub(super) const fn of_replica(from: NodeId, message: &replication::Message) -> Self {
        match message {
            replication::Message::Fetch(fetch) => Self::Registered(from, fetch.broker_epoch),
            replication::Message::Progress(progress) => Self::Registered(from, progress.broker_epoch),
            // It echoes the registration of whom it answers.
            replication::Message::FetchAnswer(answer) => Self::Answerer(from, answer.answered.broker_epoch),
        }
    }

    /// Of a command, if it is one that a broker sends by itself.
    pub(super) fn of_command(command: &Command) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others come from clients")]
        match command {
            Command::RegisterBroker(registration) => {
                Some(Self::Run(registration.node, registration.incarnation))
            }
            Command::Heartbeat(heartbeat) => Some(Self::Registered(heartbeat.node, heartbeat.broker_epoch)),
            Command::AlterPartition { node, proposal, .. } => {
                Some(Self::Registered(*node, proposal.broker_epoch))
            }
            _ => None,
        }
    }
}

/// What a run knows of runs.
#[derive(Debug, Default)]
pub(super) struct Acquainted {
    /// Runs of other nodes whose messages were taken: as members of the quorum, or observers, all nodes speak to each other.
    pub(super) heard: BTreeSet<(NodeId, IncarnationId)>,
    /// Registrations under which this run itself acted.
    pub(super) registered: BTreeSet<BrokerEpoch>,
    /// Registrations in the metadata that it had.
    pub(super) registrations: Registrations,
}

impl Acquainted {
    /// Its controller begins with this metadata.
    fn begin_with(&mut self, from: &Beginning<Image>) {
        match from {
            Beginning::Recovered(image, _) => self.registrations.in_image(image),
            Beginning::Shown(shown) => {
                // One that cannot be read is found when it is replayed.
                if let Ok(core) = step::shown::<Controller<Sound>>(&shown.state, "a controller") {
                    self.registrations.in_image(core.committed());
                }
            }
        }
    }
}

/// What is known of a core for what it says.
enum Voice {
    Replica(NodeId, TopicPartition),
    Quorum,
    Controller,
    Lifecycle,
}

/// What the cores of a run say, record by record.
#[derive(Default)]
pub(super) struct Speakers {
    known: BTreeMap<CoreNumber, Voice>,
    commands: BTreeMap<RequestId, Command>,
    /// What is learned of runs, if that is asked for.
    acquainted: Option<Acquainted>,
}

impl Speakers {
    /// To learn of runs, too.
    pub(super) fn to_learn() -> Self {
        Self { acquainted: Some(Acquainted::default()), ..Self::default() }
    }

    /// What a record of a run of `node` says to others. A frame that a link did not take takes nothing away.
    pub(super) fn hear(&mut self, node: NodeId, record: &Record) -> Option<Saying> {
        match record.kind {
            kind::BEGAN => self.meet(node, &decode::<Began>(record).ok()?),
            kind::STEP => self.note_step(record),
            kind::ACT => return self.act(node, record),
            _ => {}
        }
        None
    }

    fn meet(&mut self, node: NodeId, began: &Began) {
        let voice = match &began.life {
            Life::Replica { tenure, .. } => {
                self.acts_under(tenure.broker_epoch);
                Voice::Replica(node, tenure.partition)
            }
            Life::Quorum { .. } => Voice::Quorum,
            Life::Controller { from, .. } => {
                if let Some(acquainted) = &mut self.acquainted {
                    acquainted.begin_with(from);
                }
                Voice::Controller
            }
            Life::Lifecycle { .. } => Voice::Lifecycle,
        };
        self.known.insert(began.core, voice);
    }

    fn note_step(&mut self, record: &Record) {
        let acquainted = self.acquainted.as_mut();
        match (voice(&self.known, record), acquainted) {
            (Some(Voice::Controller), acquainted) => match (decode::<Step<_>>(record), acquainted) {
                (Ok(Step { input: metadata::Input::Asked { request, command, .. }, .. }), _) => {
                    self.commands.insert(request, command);
                }
                (Ok(Step { input: metadata::Input::Committed { end, records, .. }, .. }), Some(known)) => {
                    known.registrations.in_batch(end, &records);
                }
                _ => {}
            },
            (Some(Voice::Quorum), Some(acquainted)) => {
                if let Ok(Step { input: quorum::Input::Received(message), .. }) = decode(record) {
                    acquainted.heard.insert((message.from.id, message.incarnation));
                }
            }
            (Some(Voice::Quorum | Voice::Replica(..) | Voice::Lifecycle) | None, _) => {}
        }
    }

    fn acts_under(&mut self, broker_epoch: BrokerEpoch) {
        if let Some(acquainted) = &mut self.acquainted {
            acquainted.registered.insert(broker_epoch);
        }
    }

    /// What has been learned of runs.
    pub(super) fn into_acquainted(self) -> Acquainted {
        self.acquainted.unwrap_or_default()
    }

    fn act(&mut self, node: NodeId, record: &Record) -> Option<Saying> {
        let voice = voice(&self.known, record)?;
        // What is said names no timer, so that any timers will do.
        let Acted { act, .. } = decode::<Acted<replication::Timer>>(record).ok()?;
        match (voice, act) {
            (Voice::Replica(..), Act::Sent { to, body, carried, .. }) => {
                Some(Saying::new(Some(node), &("message", to, body, carried)))
            }
            (Voice::Replica(node, partition), Act::Proposed(proposal)) => {
                Saying::command(&Command::AlterPartition { node: *node, partition: *partition, proposal })
            }
            (Voice::Quorum, Act::Sent { to, body, .. }) => {
                Some(Saying::new(Some(node), &("quorum", to, body)))
            }
            (Voice::Lifecycle, Act::Asked { body, .. }) => Saying::command(&body.into_command()),
            (Voice::Lifecycle, Act::Noted(broker_epoch)) => {
                self.acts_under(broker_epoch);
                None
            }
            (Voice::Controller, Act::Answered { request, answer }) => {
                answered(self.commands.remove(&request)?, &answer)
            }
            _ => None,
        }
    }
}

fn voice<'a>(known: &'a BTreeMap<CoreNumber, Voice>, record: &Record) -> Option<&'a Voice> {
    let (core, _) = postcard::take_from_bytes::<CoreNumber>(&record.body).ok()?;
    known.get(&core)
}

fn answered(command: Command, answer: &Answer) -> Option<Saying> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others come from clients")]
    match command {
        Command::RegisterBroker(registration) => {
            Some(Saying::answer(&BrokerRequest::Register(registration), answer))
        }
        Command::Heartbeat(heartbeat) => Some(Saying::answer(&BrokerRequest::Heartbeat(heartbeat), answer)),
        Command::AlterPartition { partition, proposal, .. } => {
            let answer = answer_to_proposal(proposal.request_id, answer)?;
            Some(Saying::answer_to_proposal(partition, &proposal, answer))
        }
        _ => None,
    }
}
