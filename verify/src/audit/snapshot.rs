//! A snapshot of the metadata: four batches that stand for the log before its end (docs/FORMAT.md, Q40).

use std::path::Path;

use super::findings::{Place, Report};
use super::record::{Control, Image, Metadata, control, decision};
use super::segment::{Next, SegmentReader, Unreadable};

/// What a snapshot says.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// Of the log that it stands for, exclusive.
    pub(super) end: u64,
    /// Of the record before its end.
    pub(super) epoch: u32,
    /// Who votes at its end, by node and directory.
    pub(super) voters: Vec<(u32, u128)>,
    pub(super) image: Image,
    pub(super) place: Place,
}

/// Something wrong with a snapshot, and where in its file.
struct Malformed(u64, String);

/// Reads a snapshot; reports it, and gives nothing, if it is none.
pub(super) fn read(
    node: u32,
    (end, epoch, path): (u64, u32, &Path),
    report: &mut Report,
) -> Result<Option<Snapshot>, Unreadable> {
    report.judged.snapshots += 1;
    let place = Place::of(node, path).offset(end);
    match parts(path)? {
        Ok((_, image)) if image.end != end => {
            let what =
                format!("its name says that it ends at {end}, and its image that it does at {}", image.end);
            report.finding(place, "snapshot is malformed", what);
            Ok(None)
        }
        Ok((voters, image)) => Ok(Some(Snapshot { end, epoch, voters, image, place })),
        Err(Malformed(position, what)) => {
            report.finding(place.at(position), "snapshot is malformed", what);
            Ok(None)
        }
    }
}

type Parts = (Vec<(u32, u128)>, Image);

fn parts(path: &Path) -> Result<Result<Parts, Malformed>, Unreadable> {
    let mut reader = SegmentReader::open(path)?;
    let (mut number, mut voters, mut image) = (0_u32, None, None);
    loop {
        let next = reader.read()?;
        let malformed = |what| Ok(Err(Malformed(reader.position(), what)));
        let header = match next {
            Next::Batch(header) => header,
            Next::Unsound(fault) => return malformed(fault.to_string()),
            Next::End => break,
        };
        let bytes = reader.bytes();
        if let Err(fault) = header.check_sum(bytes).and_then(|()| header.check_records(bytes)) {
            return malformed(fault.to_string());
        }
        let part = match (number, header.is_control()) {
            (2, false) => decision(&header, bytes).map_err(|fault| fault.to_string()).and_then(Part::of),
            (_, true) => control(&header, bytes).map(Part::Control),
            (_, false) => Ok(Part::Other),
        };
        match (number, part) {
            (0, Ok(Part::Control(Control::SnapshotHeader)))
            | (3, Ok(Part::Control(Control::SnapshotFooter))) => {}
            (1, Ok(Part::Control(Control::Voters(set)))) => voters = Some(set),
            (2, Ok(Part::Image(whole))) => image = Some(*whole),
            (_, Ok(_)) => return malformed(format!("batch {number} of a snapshot is not what it has to be")),
            (_, Err(what)) => return malformed(what),
        }
        number += 1;
    }
    Ok(match (number, voters, image) {
        (4, Some(voters), Some(image)) => Ok((voters, image)),
        _ => Err(Malformed(reader.length(), format!("it ends after {number} of four batches"))),
    })
}

/// What a batch of a snapshot is.
enum Part {
    Control(Control),
    Image(Box<Image>),
    Other,
}

impl Part {
    fn of(records: Vec<Metadata>) -> Result<Self, String> {
        if let Some(what) = records.iter().find_map(Metadata::impossible) {
            return Err(what);
        }
        match <[Metadata; 1]>::try_from(records) {
            Ok([Metadata::Snapshot(image)]) => Ok(Self::Image(Box::new(image))),
            _ => Ok(Self::Other),
        }
    }
}
