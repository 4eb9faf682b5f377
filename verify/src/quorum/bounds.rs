//! How much of each kind of event a search of the quorum world may spend.

use std::fmt;
use std::str::FromStr;

use crate::bounds::BoundsError;

crate::bounds! {
    /// Bounds of the quorum world.
    pub struct Bounds {
        /// Voters at the start
        voters("voters"): u8 = 3,
        /// Observers beside them
        observers("observers"): u8 = 0,
        /// Values that clients propose
        values("values"): u8 = 1,
        /// Candidacies begun, those of the start included: one of led, two of second and tail
        elections("elections"): u8 = 2,
        /// Killed processes: what was written is kept
        kills("kills"): u8 = 0,
        /// Power losses: of what was not synced any prefix is kept
        power_losses("power-losses"): u8 = 0,
        /// Whether a power loss always takes records
        only_losses("only-losses"): bool = false,
        /// Disks replaced by empty ones
        wipes("wipes"): u8 = 0,
        /// Disks that lose records which were durable
        corruptions("corruptions"): u8 = 0,
        /// Fetches given up as lost and sent again
        resends("resends"): u8 = 0,
        /// Messages delivered twice
        repeats("repeats"): u8 = 0,
        /// Leaders that resign for want of a majority
        resigns("resigns"): u8 = 0,
        /// Voters added or removed
        changes("changes"): u8 = 0,
        /// Linearizable reads
        reads("reads"): u8 = 0,
        /// Snapshots taken
        snapshots("snapshots"): u8 = 0,
        /// Fetches of a replica in flight, up to which it may send one again
        in_flight("in-flight"): u8 = 2,
        /// Whether a leader may answer with fewer batches than it has
        split("split"): bool = false,
        /// asked: pre-votes are messages; free: whoever stands is granted them, asked or not
        pre_votes("pre-votes"): PreVotes = PreVotes::Free,
        /// cold: no leader yet; led: the first voter leads, all follow; second, tail, removal: after a second election
        start("start"): Start = Start::Led,
        /// Whether it is a breach that a message is not of the epoch that its sender has stored; false to see what comes of it
        stored_epochs("stored-epochs"): bool = true,
        /// Whether a notice of who leads may come late to one that knew it when that was sent
        late_notices("late-notices"): bool = false,
        /// Whether messages that can change nothing stay in flight
        keep_dead("keep-dead"): bool = false,
        /// Whether nothing happens in an epoch once a later one is stored anywhere
        epoch_order("epoch-order"): bool = false,
        /// Whether voters are told apart by what they do and hold, and not by their names
        symmetry("symmetry"): bool = false,
    }
    where possible
}

/// Of a voters record the keys fit a number, of a key the directory a byte: a place, and how often its disk was replaced.
fn possible(bounds: &Bounds) -> Result<(), BoundsError> {
    let Bounds { voters, observers, start, .. } = *bounds;
    BoundsError::within("voters", voters.into(), 1, 7)?;
    BoundsError::within(
        "the number of voters and observers",
        u16::from(voters) + u16::from(observers),
        1,
        16,
    )?;
    BoundsError::within("wipes", bounds.wipes.into(), 0, 15)?;
    BoundsError::within("values", bounds.values.into(), 0, 200)?;
    let crashes = [bounds.kills, bounds.power_losses, bounds.wipes, bounds.corruptions];
    BoundsError::within("the number of all crashes", crashes.into_iter().map(u16::from).sum(), 0, 255)?;
    match start {
        Start::Cold | Start::Led => Ok(()),
        Start::Second | Start::Tail if voters == 3 => Ok(()),
        Start::Removal if voters >= 3 => Ok(()),
        Start::Second | Start::Tail => {
            Err(BoundsError::impossible("start=second and start=tail need voters=3"))
        }
        Start::Removal => Err(BoundsError::impossible("start=removal needs three voters or more")),
    }
}

/// Where pre-votes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreVotes {
    /// From the voters, as messages.
    Asked,
    /// Out of thin air: whoever wants to stand may. That allows more than any pre-vote does, so what holds here holds with
    /// pre-votes; and it spares their messages.
    Free,
}

/// Where a search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nobody has led; all logs are empty.
    Cold,
    /// The first voter leads epoch 1, its first record is committed everywhere, and all fetches are parked.
    Led,
    /// As `Led`; then the first voter appends a value that nobody fetches, and the second is elected by the third and writes
    /// a record of its epoch that nobody fetches: Raft's figure 8 after its second election.
    Second,
    /// As `Led`, with four voters; then the first voter appends the removal of the second that nobody fetches, and the second is
    /// elected by the others and writes a record of its epoch that nobody fetches: Ongaro's note on single-server changes after
    /// its second election.
    Removal,
    /// As `Second` with two values, but the third voter fetches the second one's record and it commits.
    Tail,
}

impl fmt::Display for PreVotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked",
            Self::Free => "free",
        })
    }
}

impl FromStr for PreVotes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Asked, Self::Free].into_iter().find(|one| one.to_string() == text).ok_or(())
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::Led => "led",
            Self::Second => "second",
            Self::Tail => "tail",
            Self::Removal => "removal",
        })
    }
}

impl FromStr for Start {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Cold, Self::Led, Self::Second, Self::Tail, Self::Removal]
            .into_iter()
            .find(|one| one.to_string() == text)
            .ok_or(())
    }
}
