//! Goes through one log from its beginning to its end, as a start does: every batch, and that each continues what is before it.
//!
//! At the first place where a start would cut the log the walk ends: nothing behind it is in the log. Whether the cut is damage
//! or what a kill leaves is decided as docs/FORMAT.md ("Recovery") has it.

use std::path::{Path, PathBuf};

use super::Lost;
use super::batch::{BatchFault, Header};
use super::directory::Log;
use super::findings::{Place, Report};
use super::segment::{Next, SegmentReader, Unreadable};

/// A segment's last offset is at most so far beyond its first, and no batch begins further behind in its file.
const SEGMENT_REACH_MAX: u64 = (1 << 31) - 1;

/// A batch of a log, which is sound and continues it.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) header: &'a Header,
    pub(super) epoch: u32,
    /// The whole batch.
    pub(super) bytes: &'a [u8],
    pub(super) file: &'a Path,
    pub(super) position: u64,
}

/// What there is of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Offset of the first record that counts.
    pub(super) start: u64,
    /// Offset that the first segment is named by.
    pub(super) base: u64,
    /// Behind the last record that is sound, exclusive.
    pub(super) end: u64,
    /// The epochs of its records and where each begins.
    pub(super) epochs: Vec<(u32, u64)>,
}

/// Why a log is cut.
#[derive(Debug)]
struct Break {
    file: PathBuf,
    position: u64,
    what: String,
    /// Whether the last write of a killed process can look like this.
    is_torn_tail: bool,
}

impl Stored<'_> {
    pub(super) fn place(&self, node: u32) -> Place {
        Place::of(node, self.file).at(self.position).offset(self.header.base_offset)
    }
}

impl Log {
    pub(super) fn place(&self) -> Place {
        Place::of(self.node, &self.path)
    }

    /// Offset of the first record that counts, whatever there is behind it.
    pub(super) fn start(&self) -> u64 {
        Cursor::new(self).extent.start
    }

    /// Goes through it, shows every batch that is in it to `visit`, and reports what is wrong.
    pub(super) fn walk(
        &self,
        lost: Lost,
        report: &mut Report,
        visit: &mut dyn FnMut(&Stored<'_>, &mut Report),
    ) -> Result<Extent, Unreadable> {
        report.judged.logs += 1;
        let mut cursor = Cursor::new(self);
        while let Some(stored) = cursor.next()? {
            report.judged.batches += 1;
            report.judged.records += u64::from(stored.header.count);
            report.judged.bytes += stored.bytes.len() as u64;
            if let Err(fault) = stored.header.check_records(stored.bytes) {
                report.finding(stored.place(self.node), "batch cannot be read", fault.to_string());
            }
            visit(&stored, report);
        }
        report.judged.segments += cursor.opened;
        let extent = cursor.extent;
        if let Some(broken) = cursor.broken {
            self.tell_break(&broken, extent.end, lost, report);
        } else if extent.end < self.recovery_point {
            let what = format!(
                "the log ends at {}, and everything below {} was synced once and has not been cut since",
                extent.end, self.recovery_point
            );
            report.finding(self.place().offset(extent.end), "log ends below its recovery point", what);
        }
        self.tell_start(&extent, report);
        Ok(extent)
    }

    fn tell_break(&self, broken: &Break, end: u64, lost: Lost, report: &mut Report) {
        let Break { file, position, what, is_torn_tail } = broken;
        let place = Place::of(self.node, file).at(*position).offset(end);
        if end < self.recovery_point {
            let what =
                format!("{what}; it lies below the recovery point {}, and was synced", self.recovery_point);
            report.finding(place, "log is damaged", what);
        } else if self.is_clean {
            report.finding(place, "log is damaged", format!("{what}; and the last stop was a clean one"));
        } else if *is_torn_tail || lost == Lost::Power {
            let said = "above the recovery point, where a start cuts it off and nothing is lost";
            report.note(place, "torn tail", format!("{what}; {said}"));
        } else {
            let said = "no process that was killed leaves this (if power was lost: --power-lost)";
            report.finding(place, "log is damaged", format!("{what}; {said}"));
        }
    }

    /// Where the log begins, as far as the log alone can tell.
    fn tell_start(&self, extent: &Extent, report: &mut Report) {
        if let Some(start) = self.noted_start.filter(|start| *start > extent.end) {
            let what = format!(
                "records below {start} were deleted, and only synced ones are; it ends at {}",
                extent.end
            );
            report.finding(self.place().offset(extent.end), "log ends below its noted start", what);
        }
        if let Some(start) = self.begins_anew {
            let what = format!(
                "it is to begin anew at {start}, which a start will carry out; no other file in it counts"
            );
            report.note(self.place().offset(start), "log begins anew", what);
        }
    }
}

/// A segment that is being read.
#[derive(Debug)]
struct Open<'a> {
    base: u64,
    path: &'a Path,
    reader: SegmentReader,
}

/// Goes through the batches of a log one by one.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// Segments that are still to be opened.
    rest: &'a [(u64, PathBuf)],
    open: Option<Open<'a>>,
    /// Of the batch read last.
    header: Option<Header>,
    broken: Option<Break>,
    /// So many segments were opened.
    opened: u64,
    extent: Extent,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(log: &'a Log) -> Self {
        let noted = log.noted_start.unwrap_or_default();
        // Whole segments below the start may come back after a power loss: a start removes them unread.
        let back = log.segments.iter().skip(1).take_while(|(base, _)| *base <= noted).count();
        let rest = log.segments.get(back..).unwrap_or_default();
        let rest = if log.begins_anew.is_some() { &[] } else { rest };
        let base = log.begins_anew.or_else(|| rest.first().map(|(base, _)| *base)).unwrap_or(noted);
        let extent = Extent { start: base.max(noted), base, end: base, epochs: Vec::new() };
        Self { rest, open: None, header: None, broken: None, opened: 0, extent }
    }

    /// The next batch; none at the end of the log, or where it is damaged.
    pub(super) fn next(&mut self) -> Result<Option<Stored<'_>>, Unreadable> {
        self.header = None;
        while self.header.is_none() && self.broken.is_none() {
            let Some(mut open) = self.open.take() else {
                if self.open_next()? {
                    continue;
                }
                return Ok(None);
            };
            match open.reader.read()? {
                Next::End => {}
                Next::Unsound(fault) => self.broken = Some(self.unsound(&mut open, &fault)?),
                Next::Batch(header) => match self.extent.take(&open, &header) {
                    Ok(()) => {
                        self.header = Some(header);
                        self.open = Some(open);
                    }
                    Err(what) => self.broken = Some(self.cut(&open, &what, false)),
                },
            }
        }
        Ok(self.stored())
    }

    /// Goes on to the batch that holds this offset, or is the first beyond it.
    pub(super) fn skip_to(&mut self, offset: u64) -> Result<(), Unreadable> {
        while self.next()?.is_some_and(|stored| stored.header.end_offset() <= offset) {}
        Ok(())
    }

    /// The batch read last.
    pub(super) fn stored(&self) -> Option<Stored<'_>> {
        let (header, open) = (self.header.as_ref()?, self.open.as_ref()?);
        let (epoch, file, position) = (header.epoch?, open.path, open.reader.position());
        Some(Stored { header, epoch, bytes: open.reader.bytes(), file, position })
    }

    /// Opens the next segment, which must begin where the log ends so far; `false` if there is none.
    fn open_next(&mut self) -> Result<bool, Unreadable> {
        let Some(((base, path), rest)) = self.rest.split_first() else { return Ok(false) };
        self.rest = rest;
        self.opened += 1;
        let open = Open { base: *base, path, reader: SegmentReader::open(path)? };
        if *base == self.extent.end {
            self.open = Some(open);
        } else {
            let what = format!("a segment of this name, and the log before it ends at {}", self.extent.end);
            self.broken = Some(self.cut(&open, &what, false));
        }
        Ok(true)
    }

    fn unsound(&self, open: &mut Open<'_>, fault: &BatchFault) -> Result<Break, Unreadable> {
        let epoch = self.extent.epochs.last().map_or(0, |(epoch, _)| *epoch);
        let behind = open.reader.sound_behind(open.reader.position(), self.extent.end, epoch)?;
        let is_last = self.rest.is_empty();
        let is_torn = matches!(fault, BatchFault::Torn { .. }) && is_last && behind.is_none();
        let what = match behind {
            Some(at) => format!("{fault}; a sound batch of the log lies behind it, at byte {at}"),
            None => fault.to_string(),
        };
        Ok(self.cut(open, &what, is_torn))
    }

    /// The log ends before what was read last.
    fn cut(&self, open: &Open<'_>, what: &str, is_torn_tail: bool) -> Break {
        let position = open.reader.position();
        let bytes = open.reader.length().saturating_sub(position);
        let what = match self.rest.len() {
            0 => format!("{what}; {bytes} bytes from there on are not in the log"),
            later => {
                format!("{what}; {bytes} bytes from there on and {later} later segments are not in the log")
            }
        };
        Break { file: open.path.to_owned(), position, what, is_torn_tail }
    }
}

impl Extent {
    /// Takes a batch, if it is sound and continues the log.
    fn take(&mut self, open: &Open<'_>, header: &Header) -> Result<(), String> {
        header.check_sum(open.reader.bytes()).map_err(|fault| fault.to_string())?;
        let epoch = header.epoch.ok_or_else(|| BatchFault::Unstamped.to_string())?;
        if header.base_offset != self.end {
            return Err(format!(
                "a batch at offset {}, and the log before it ends at {}",
                header.base_offset, self.end
            ));
        }
        let latest = self.epochs.last().map(|(epoch, _)| *epoch);
        if latest.is_some_and(|latest| latest > epoch) {
            let latest = latest.unwrap_or_default();
            return Err(format!("a batch of leader epoch {epoch} behind one of {latest}: they never fall"));
        }
        let reach = header.end_offset().saturating_sub(1).saturating_sub(open.base);
        if reach > SEGMENT_REACH_MAX || open.reader.position() > SEGMENT_REACH_MAX {
            return Err(format!(
                "a batch at offset {} of a segment that begins at {}",
                header.base_offset, open.base
            ));
        }
        if latest != Some(epoch) {
            self.epochs.push((epoch, header.base_offset));
        }
        self.end = header.end_offset();
        Ok(())
    }

    /// The epochs of the records at `offset` and behind it.
    pub(super) fn epochs_from(&self, offset: u64) -> impl Iterator<Item = u32> {
        let ends = self.epochs.iter().skip(1).map(|(_, start)| *start).chain([self.end]);
        let within = self.epochs.iter().zip(ends).filter(move |(_, end)| *end > offset);
        within.map(|((epoch, _), _)| *epoch)
    }

    /// The epoch of the record at an offset.
    pub(super) fn epoch_at(&self, offset: u64) -> Option<u32> {
        let within = (self.base..self.end).contains(&offset);
        let epochs = self.epochs.iter().take_while(|(_, start)| *start <= offset);
        epochs.last().map(|(epoch, _)| *epoch).filter(|_| within)
    }
}
