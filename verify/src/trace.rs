//! Judging what running brokers recorded of themselves (docs/TRACE.md): replays the cores, compares effects, and holds the
//! acts at the edge against them; then all brokers together, merged by causality.
//!
//! Reads the format by itself, from its description: the broker's own reader would share the broker's faults.

pub mod cluster;
mod controller;
mod edge;
mod history;
mod lifecycle;
mod metadata_cluster;
mod partition;
mod quorum;
mod quorum_cluster;
pub mod read;
pub mod recording;
mod replica;
mod roster;
mod scale;
mod spoken;
mod step;

use serde::Serialize;

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The broker.
    pub node: u32,
    /// Which run of its process, in hexadecimal.
    pub incarnation: String,
    /// Number of the record that shows it.
    pub record: u64,
    /// The core, in words.
    pub core: String,
    /// Which rule of the driver, or which property of the cluster, is broken.
    pub rule: &'static str,
    /// What was expected.
    pub expected: String,
    /// What was recorded.
    pub recorded: String,
}

impl core::fmt::Display for Finding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { node, incarnation, record, core, rule, expected, recorded } = self;
        writeln!(f, "broker {node}, run {incarnation}, record {record}, {core}: {rule}")?;
        writeln!(f, "  expected: {expected}")?;
        write!(f, "  recorded: {recorded}")
    }
}

/// What was judged, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Runs of processes.
    pub runs: u64,
    /// Lives of cores.
    pub cores: u64,
    /// Steps replayed.
    pub steps: u64,
    /// Acts compared.
    pub acts: u64,
    /// Messages whose sending was found.
    pub messages: u64,
    /// Records that say nothing that can be judged: of cores that begin in a gap.
    pub unjudged: u64,
    /// Records that are known to be missing.
    pub missing: u64,
    /// Runs that end without saying so: their last moments may be missing.
    pub cut_short: u64,
    /// Bytes at the ends of runs that could not be read.
    pub torn_bytes: u64,
    /// Runs that others have heard of and that are not among the recordings.
    pub unrecorded: u64,
    /// Partitions of whose records nothing is promised any more: more tails were lost than the promise allows, or a leader was
    /// elected who may lack something.
    pub void: u64,
    /// Partitions, the metadata quorum counted as one, of which from some record on it is not judged what several nodes hold at one
    /// moment: a message was believed, or a core was shown in the midst of its life.
    pub unordered: u64,
    /// Messages from such last moments or runs, whose sending was not recorded.
    pub messages_from_the_cut: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.runs = self.runs.saturating_add(other.runs);
        self.cores = self.cores.saturating_add(other.cores);
        self.steps = self.steps.saturating_add(other.steps);
        self.acts = self.acts.saturating_add(other.acts);
        self.messages = self.messages.saturating_add(other.messages);
        self.unjudged = self.unjudged.saturating_add(other.unjudged);
        self.missing = self.missing.saturating_add(other.missing);
        self.cut_short = self.cut_short.saturating_add(other.cut_short);
        self.torn_bytes = self.torn_bytes.saturating_add(other.torn_bytes);
        self.unrecorded = self.unrecorded.saturating_add(other.unrecorded);
        self.void = self.void.saturating_add(other.void);
        self.unordered = self.unordered.saturating_add(other.unordered);
        self.messages_from_the_cut = self.messages_from_the_cut.saturating_add(other.messages_from_the_cut);
    }

    /// Whether something could not be judged that a whole trace would have shown.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.missing > 0 || self.unjudged > 0 || self.unrecorded > 0
    }

    /// Whether something had to be believed, or could not be judged: what is clean then is so as far as it goes.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.has_gaps() || self.messages_from_the_cut > 0
    }
}

/// The low half of a hash of the postcard bytes of this, as a trace has it.
fn digest<T: Serialize + ?Sized>(value: &T) -> u32 {
    u32::try_from(xxhash_rust::xxh3::xxh3_64(&encoded(value)) & 0xffff_ffff).unwrap_or_default()
}

/// The postcard bytes of this.
fn encoded<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a plain value always encodes")
}
