//! The records that anomalies are about, in a table: who was told what of them, and who saw what.

use std::fmt::{self, Display, Formatter};

use jepsen_judge::history::{Acks, Phase};

use super::escaped::text;
use super::records::{Records, Seen, Sending, Sighting, Traced};
use super::units::{Count, Moment};

/// Records that are shown at once; the others unfold.
const ROWS_SHOWN: usize = 6;

/// The section; nothing if no record is in question.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordsSection<'a>(pub(super) &'a Records);

impl Display for RecordsSection<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.by_value.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "<section><h2>Records in question</h2>\n\
             <p>Those that the examples name, with the operation that acknowledged each, and where it was seen.</p>"
        )?;
        let mut rows: Vec<(&u64, &Traced)> = self.0.by_value.iter().collect();
        rows.sort_by_key(|(value, traced)| (traced.is_allowed, **value));
        let (shown, folded) = rows.split_at(ROWS_SHOWN.min(rows.len()));
        write!(f, "{}", Rows(shown))?;
        if !folded.is_empty() {
            write!(f, "<details><summary>{} more</summary>{}</details>", folded.len(), Rows(folded))?;
        }
        writeln!(f, "</section>")
    }
}

/// Some of the records.
struct Rows<'a>(&'a [(&'a u64, &'a Traced)]);

impl Display for Rows<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "<div class=\"wide\"><table><thead><tr><th>record</th><th>log</th><th>anomaly</th><th>sent by</th>\
             <th>acknowledged</th><th>seen</th></tr></thead><tbody>"
        )?;
        for (value, traced) in self.0 {
            writeln!(
                f,
                "<tr><td class=\"number\">{value}</td><td class=\"number\">{}</td><td class=\"name\">",
                traced.key
            )?;
            for (at, anomaly) in traced.anomalies.iter().enumerate() {
                write!(f, "{}{}", if at == 0 { "" } else { "<br>" }, text(anomaly))?;
            }
            write!(f, "{}</td>", if traced.is_allowed { " (allowed)" } else { "" })?;
            match &traced.sent {
                Some(sent) => write!(f, "<td>{}</td><td>{}</td>", Sent(sent), Acknowledged(sent))?,
                None => write!(f, "<td>nobody</td><td>–</td>")?,
            }
            writeln!(f, "<td>{}</td></tr>", Found(traced))?;
        }
        writeln!(f, "</tbody></table></div>")
    }
}

struct Sent<'a>(&'a Sending);

impl Display for Sent<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sent = self.0;
        let acks = match sent.acks {
            Acks::All => "acks=all",
            Acks::Leader => "acks=1",
            Acks::None => "acks=0",
        };
        let manner = if sent.idempotent { ", idempotent" } else { "" };
        write!(f, "{}, {acks}{manner}<br>event {} at {}", sent.actor, sent.invoked, Moment(sent.invoked_ns))
    }
}

struct Acknowledged<'a>(&'a Sending);

impl Display for Acknowledged<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sent = self.0;
        match (sent.offset, sent.outcome) {
            (Some(offset), _) => write!(f, "at offset {offset}")?,
            (None, Phase::Fail) => write!(f, "no: it is not written")?,
            (None, Phase::Ok) => write!(f, "without an offset")?,
            (None, Phase::Info | Phase::Invoke) => write!(f, "unknown")?,
        }
        match sent.completed {
            u64::MAX => Ok(()),
            completed => write!(f, "<br>event {completed} at {}", Moment(sent.completed_ns)),
        }
    }
}

/// Where a record was seen, and what was in its place.
struct Found<'a>(&'a Traced);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Traced { sent, read, instead, .. } = self.0;
        if read.count == 0 {
            write!(f, "never read")?;
        } else {
            write!(f, "read {}", Times(read))?;
            read.first
                .iter()
                .try_for_each(|seen| write!(f, "<br>at offset {}, {}", seen.offset, By(seen)))?;
        }
        let Some(offset) = sent.and_then(|sent| sent.offset) else { return Ok(()) };
        if instead.count == 0 && read.count == 0 {
            return write!(f, "; nothing was read at offset {offset}");
        }
        for seen in &instead.first {
            match seen.value {
                Some(value) => write!(f, "<br>offset {offset} holds record {value}, {}", By(seen))?,
                None => write!(f, "<br>offset {offset} holds nobody's record, {}", By(seen))?,
            }
        }
        Ok(())
    }
}

struct Times<'a>(&'a Seen);

impl Display for Times<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.count {
            1 => write!(f, "once"),
            count => write!(f, "{} times", Count(count)),
        }
    }
}

/// Who saw it first.
struct By<'a>(&'a Sighting);

impl Display for By<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seen = self.0;
        write!(f, "first read by {}, event {} at {}", seen.actor, seen.index, Moment(seen.at_ns))
    }
}
