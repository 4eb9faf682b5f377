//! Configuration files: TOML sections, or Java `.properties` as Kafka has them.
//!
//! Turns text into names and values. Leaves which names there are to `key`.

use super::layers::{Origin, Setting};

/// Reads the settings out of a file's text. `path` decides the format: `.toml`, or else properties.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn parse(path: &str, text: &str) -> Result<Vec<(String, Setting)>, String> {
    let pairs = if path.ends_with(".toml") { toml_pairs(text)? } else { properties(text)? };
    let origin = Origin::File(path.to_owned());
    Ok(pairs.into_iter().map(|(name, value)| (name, Setting { value, origin: origin.clone() })).collect())
}

fn toml_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("is not TOML: {error}"))?;
    let mut pairs = Vec::new();
    flatten("", &table, &mut pairs)?;
    Ok(pairs)
}

fn flatten(prefix: &str, table: &toml::Table, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, pairs)?,
            toml::Value::Array(items) => {
                let items: Result<Vec<String>, String> =
                    items.iter().map(|item| scalar(&name, item)).collect();
                pairs.push((name, items?.join(",")));
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_) => pairs.push((name.clone(), scalar(&name, value)?)),
        }
    }
    Ok(())
}

fn scalar(name: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            Err(format!("{name} is neither text nor a whole number nor true or false"))
        }
    }
}

/// The names and values of a Java properties file: `name=value`, `name: value` or `name value`, `#` and `!` comments,
/// lines continued by a backslash, and Java's escapes.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn properties(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for line in logical_lines(text) {
        let (name, value) = split_pair(&line);
        pairs.push((unescape(name)?, unescape(value)?));
    }
    Ok(pairs)
}

/// Joins continued lines and leaves out comments and empty ones.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if joined.is_empty() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            joined.push_str(line.get(..line.len() - 1).unwrap_or_default());
        } else {
            joined.push_str(line.trim_end());
            lines.push(std::mem::take(&mut joined));
        }
    }
    if !joined.is_empty() {
        lines.push(joined);
    }
    lines
}

/// Splits at the first `=`, `:` or blank that no backslash escapes.
fn split_pair(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if !escaped && (c == '=' || c == ':' || c.is_whitespace()) {
            let (name, rest) = line.split_at(at);
            let rest = rest.trim_start();
            let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (name, rest.trim_start());
        }
        escaped = c == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.ok_or_else(|| format!("\\u{digits} is not a character"))?);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Ok(out)
}

/// A value as it must be written in a properties file.
#[must_use]
pub fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn properties_follow_javas_rules() {
        let text = "# comment\n! too\na=1\nb : two words \n c 3\nlist=x,\\\n   y\nempty=\npem=line\\nnext\nq\\=r=\\u00e9\n";

        let pairs = properties(text).expect("well formed");

        let expected = [
            ("a", "1"),
            ("b", "two words"),
            ("c", "3"),
            ("list", "x,y"),
            ("empty", ""),
            ("pem", "line\nnext"),
            ("q=r", "é"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn toml_sections_become_dotted_names() {
        let text = "node.id = 1\n[controller.quorum]\nvoters = [\"1@a:1\", \"2@b:2\"]\n[unclean.leader.election]\nenable = false\n";

        let mut pairs: Vec<(String, String)> =
            parse("x.toml", text).expect("well formed").into_iter().map(|(n, s)| (n, s.value)).collect();
        pairs.sort();

        let expected = [
            ("controller.quorum.voters", "1@a:1,2@b:2"),
            ("node.id", "1"),
            ("unclean.leader.election.enable", "false"),
        ];
        assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(parse("x.toml", "a = 1.5").is_err());
        assert!(parse("x.toml", "a =").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".{0,200}") {
            let _ = properties(&text);
            let _ = parse("x.toml", &text);
        }

        #[test]
        fn an_escaped_value_comes_back(value in "[a-z\\\\\n\t:= ]{0,40}[a-z]") {
            let value = value.trim_start().to_owned();
            let text = format!("name={}", escape(&value));
            prop_assert_eq!(properties(&text), Ok(vec![("name".to_owned(), value)]));
        }
    }
}
