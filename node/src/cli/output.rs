//! What commands print: text for people, one versioned envelope for programs.

use std::io::{self, IsTerminal, Write};

use highwater_model::id::ClusterId;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{Color, Format, Global};
use super::failure::Failure;

/// Where a command's results go.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    format: Format,
    quiet: bool,
}

/// The envelope of every document. Its field order is part of no contract, its names are.
#[derive(Serialize)]
struct Document<'a, T: Serialize> {
    schema: String,
    cluster_id: Option<String>,
    data: Option<&'a T>,
    errors: Vec<Value>,
}

impl Output {
    /// Output as the global flags say; sets the use of colour for the whole process.
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
            Color::Auto => {}
        }
        Self { format: global.output, quiet: global.quiet }
    }

    /// Whether people read it.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text
    }

    /// Whether a progress display may be drawn.
    pub(crate) fn draws_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Prints a result for people; programs do not see it.
    pub(crate) fn text(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.is_text() { write_line(line.as_ref()) } else { Ok(()) }
    }

    /// Prints rows under their headings, the columns aligned; programs do not see it.
    pub(crate) fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
        self.text(table(headings, rows).trim_end())
    }

    /// Prints a document; people do not see it.
    pub(crate) fn document<T: Serialize>(
        &self,
        name: &str,
        cluster: Option<ClusterId>,
        data: Option<&T>,
        failures: &[Failure],
    ) -> Result<(), Failure> {
        if self.is_text() {
            return Ok(());
        }
        let document = Document {
            schema: format!("highwater.{name}/v1"),
            cluster_id: cluster.map(|cluster| cluster.to_string()),
            data,
            errors: failures.iter().map(error_value).collect(),
        };
        let text = serde_json::to_string(&document);
        write_line(&text.map_err(|error| Failure::failed(error.to_string(), ""))?)
    }

    /// Prints one item of a stream; people do not see it.
    pub(crate) fn item(&self, value: &Value) -> Result<(), Failure> {
        if self.is_text() { Ok(()) } else { write_line(&value.to_string()) }
    }

    /// Tells a person what is going on, on standard error.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        if !self.quiet {
            // There is nobody to tell that nobody can be told.
            let _ = writeln!(anstream::stderr(), "{}", line.as_ref());
        }
    }

    /// Tells a person what failed and what to do next.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut stderr = anstream::stderr();
        let code = failure.code.map(|code| format!(" ({code})")).unwrap_or_default();
        let code =
            if failure.message.contains(code.trim_matches([' ', '(', ')'])) { String::new() } else { code };
        // As above.
        let _ = writeln!(stderr, "error: {}{code}", failure.line());
        if !failure.hint.is_empty() {
            let _ = writeln!(stderr, "hint: {}", failure.hint);
        }
    }
}

fn error_value(failure: &Failure) -> Value {
    json!({
        "target": failure.target,
        "code": failure.code.map(|code| code.code()),
        "name": failure.code.map(|code| code.name()),
        "message": failure.message,
        "hint": failure.hint,
    })
}

fn write_line(line: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Failure::new(super::failure::exit::DONE, "", ""))
        }
        Err(error) => Err(Failure::failed(format!("standard output: {error}"), "")),
    }
}

/// A table; a row that has no cell for each heading would put values under wrong ones.
fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    for row in rows {
        assert_eq!(row.len(), headings.len(), "a cell for each of {headings:?}: {row:?}");
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(headings.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Bytes as JSON: as text if they are text, else in base64.
pub(crate) fn bytes_value(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => Value::Null,
        Some((_, Ok(text))) => json!({ "utf8": text }),
        Some((bytes, Err(_))) => json!({ "base64": base64(bytes) }),
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| word << 8 | chunk.get(at).map_or(0, |byte| u32::from(*byte)));
        for at in 0..4 {
            let digit = ALPHABET.get((word >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// A number with its thousands apart, for people.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["visits".to_owned(), "3".to_owned()], vec!["a".to_owned(), "12".to_owned()]];

        assert_eq!(table(&["NAME", "PARTITIONS"], &rows), "NAME    PARTITIONS\nvisits  3\na       12\n");
    }

    #[test]
    #[should_panic(expected = "a cell for each of")]
    fn a_row_with_a_cell_too_few_is_not_printed() {
        table(&["NAME", "READY", "PARTITIONS"], &[vec!["visits".to_owned(), "3".to_owned()]]);
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        assert_eq!(bytes_value(Some(b"abc")), json!({"utf8": "abc"}));
        assert_eq!(bytes_value(Some(&[0xff, 0xfe])), json!({"base64": "//4="}));
        assert_eq!(bytes_value(None), Value::Null);
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(&[255]), "/w==");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(1_234_567), "1 234 567");
        assert_eq!(thousands(12), "12");
    }
}
