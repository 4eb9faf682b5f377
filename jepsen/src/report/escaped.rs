//! Text of others in a page: nothing in it is taken for markup, and none of it is too long.

use std::fmt::{self, Display, Formatter, Write};

/// Shows a value so that a browser takes all of it for text, in elements and in quoted attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<T>(pub(super) T);

/// Shows the first characters of a text, and that it goes on if it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clipped<'a>(pub(super) &'a str, pub(super) usize);

/// Text of others, escaped and no longer than a paragraph.
pub(super) fn text(text: &str) -> Escaped<Clipped<'_>> {
    Escaped(Clipped(text, PARAGRAPH_CHARS_MAX))
}

/// A command, escaped: cut only where nobody would type it.
pub(super) fn command(command: &str) -> Escaped<Clipped<'_>> {
    Escaped(Clipped(command, COMMAND_CHARS_MAX))
}

const PARAGRAPH_CHARS_MAX: usize = 400;

const COMMAND_CHARS_MAX: usize = 4_000;

struct Escaping<'a, 'b>(&'a mut Formatter<'b>);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            '\n' | '\t' => self.0.write_char(char),
            _ if char.is_control() || turns_text(char) => self.0.write_char(char::REPLACEMENT_CHARACTER),
            _ => self.0.write_char(char),
        })
    }
}

/// Whether a character changes the direction of what follows it, so that a reader sees another text than is there.
fn turns_text(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Display for Clipped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(self.1).and_then(|(at, _)| self.0.get(..at)) {
            Some(beginning) => write!(f, "{beginning}…"),
            None => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_stays_text() {
        let hostile = "</title></svg><script>alert('x')</script>\" onload=\"y&amp;";
        let expected = "&lt;/title&gt;&lt;/svg&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;y&amp;amp;";
        assert_eq!(Escaped(hostile).to_string(), expected);
    }

    #[test]
    fn what_cannot_be_seen_is_shown_as_such() {
        assert_eq!(Escaped("a\0b\u{1b}[c\u{202e}d\ne").to_string(), "a\u{fffd}b\u{fffd}[c\u{fffd}d\ne");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(Clipped("äöü", 2).to_string(), "äö…");
        assert_eq!(Clipped("äöü", 3).to_string(), "äöü");
        assert_eq!(text(&"<".repeat(1000)).to_string(), format!("{}…", "&lt;".repeat(400)));
    }
}
