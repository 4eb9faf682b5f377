//! Holds two copies of a log against each other, batch by batch and byte by byte, up to the first difference.
//!
//! What two logs may differ in follows from how they are written. A leader writes what is in its epoch, and a follower takes it from
//! that leader only behind a log that agrees with the leader's (R13, R33, Q11). So (offset, epoch) names one batch and all before it
//! (log matching, RI6, QI2), in whatever replicas, in sync or not, and whatever was lost of their ends. A difference between batches
//! of one epoch is therefore always a breach; so is one before a record of an epoch that both logs have. Where the epochs differ, and
//! go on differing, both ends may be what two leaders wrote one after the other, of which one was never committed: a cluster that is
//! stopped in the midst of a fail-over leaves that, among members of the ISR, too, and below the ends of all of their logs. That is a
//! breach only where one knows by other means that more was committed.

use super::directory::Log;
use super::findings::{Place, Report};
use super::log::{Cursor, Extent};
use super::segment::Unreadable;

/// A copy of a log, and what there is of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy<'a> {
    pub(super) log: &'a Log,
    pub(super) extent: &'a Extent,
}

/// Up to where two logs must be the same, exclusive, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) end: u64,
    pub(super) why: String,
}

/// One side of a difference.
struct Side {
    base_offset: u64,
    epoch: u32,
    place: Place,
}

impl Bound {
    /// The later of two.
    pub(super) fn or(self, end: u64, why: impl FnOnce() -> String) -> Self {
        if end > self.end { Self { end, why: why() } } else { self }
    }
}

/// Compares two copies, and reports the first difference between them: as a finding if it breaks a rule or lies below the bound, else
/// as a note.
pub(super) fn compare(
    one: Copy<'_>,
    other: Copy<'_>,
    bound: &Bound,
    report: &mut Report,
) -> Result<(), Unreadable> {
    report.judged.pairs += 1;
    let Some((left, right)) = first_difference(one, other, report)? else { return Ok(()) };
    let offset = left.base_offset.max(right.base_offset);
    let (here, there) = (right.epoch, left.epoch);
    let place = right.place.offset(offset);
    let held = format!("a batch at offset {} of leader epoch {here} here, and", right.base_offset);
    let facing = format!("one at offset {} of leader epoch {there} in {}", left.base_offset, left.place);
    let shared = shared_epoch(one.extent, other.extent, offset);
    if here == there {
        let what = format!("{held} {facing}: the same leader wrote both, and they are not the same");
        report.finding(place, "replicas differ", what);
    } else if let Some(epoch) = shared {
        let what = format!(
            "{held} {facing}; both go on to hold records of epoch {epoch}, before which their logs must agree"
        );
        report.finding(place, "replicas differ", what);
    } else if offset < bound.end {
        let what = format!("{held} {facing}; they must agree up to {}: {}", bound.end, bound.why);
        report.finding(place, "committed records differ", what);
    } else {
        let what = format!("{held} {facing}: ends of two leaders, of which at most one was committed");
        report.note(place, "uncommitted ends differ", what);
    }
    Ok(())
}

fn first_difference(
    one: Copy<'_>,
    other: Copy<'_>,
    report: &mut Report,
) -> Result<Option<(Side, Side)>, Unreadable> {
    let from = one.extent.base.max(other.extent.base);
    let (mut left, mut right) = (Cursor::new(one.log), Cursor::new(other.log));
    left.skip_to(from)?;
    right.skip_to(from)?;
    while let (Some(here), Some(there)) = (left.stored(), right.stored()) {
        if here.bytes != there.bytes {
            let side = |stored: &super::log::Stored<'_>, node| Side {
                base_offset: stored.header.base_offset,
                epoch: stored.epoch,
                place: stored.place(node),
            };
            return Ok(Some((side(&here, one.log.node), side(&there, other.log.node))));
        }
        report.judged.compared += 1;
        left.next()?;
        right.next()?;
    }
    Ok(None)
}

/// An epoch of which both logs have a record at `offset` or behind it.
fn shared_epoch(one: &Extent, other: &Extent, offset: u64) -> Option<u32> {
    let theirs: Vec<u32> = other.epochs_from(offset).collect();
    one.epochs_from(offset).find(|epoch| theirs.contains(epoch))
}

/// Two logs that overlap nowhere, or agree where they do, must also have each epoch begin at one place.
pub(super) fn epochs_begin_alike(one: Copy<'_>, other: Copy<'_>, report: &mut Report) {
    for (epoch, start) in &one.extent.epochs {
        let Some((_, there)) = other.extent.epochs.iter().find(|(known, _)| known == epoch) else { continue };
        // Of an epoch that a log begins with it only knows that it does not begin later.
        let (knows, known) = (*start > one.extent.base, *there > other.extent.base);
        let differ = match (knows, known) {
            (true, true) => start != there,
            (true, false) => start > there,
            (false, true) => there > start,
            (false, false) => false,
        };
        if differ {
            let node = one.log.node;
            let path = one.log.path.display();
            let what =
                format!("leader epoch {epoch} begins at {there} here and at {start} in node {node}, {path}");
            report.finding(other.log.place().offset(*there.min(start)), "epoch begins at two places", what);
        }
    }
}
