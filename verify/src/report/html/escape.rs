//! The only way for text to get onto a page.

use std::fmt::Write as _;

/// A page under way.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Adds text.
    pub(super) fn text(&mut self, words: &str) {
        self.0.push_str(&text(words));
    }

    /// Opens an element of a class.
    pub(super) fn open(&mut self, element: &str, class: &str) {
        write!(self.0, "<{element} class=\"{class}\">").expect("writing to a string never fails");
    }

    /// Closes an element, and ends the line.
    pub(super) fn close(&mut self, element: &str) {
        writeln!(self.0, "</{element}>").expect("writing to a string never fails");
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Text as markup: it can neither open an element nor end an attribute's value.
pub(super) fn text(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for letter in words.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // What a page may not hold at all.
            '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn text_can_neither_open_an_element_nor_end_an_attribute() {
        assert_eq!(text("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(text("a\u{0}b\nc"), "a\u{fffd}b\nc");
    }
}
