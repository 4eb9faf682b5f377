//! What `verify` said of what the brokers left.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::evidence::{Conclusion, Evidence};

use super::escaped::{command, text};

/// The section.
#[derive(Clone, Copy, Debug)]
pub(super) struct EvidenceSection<'a>(pub(super) &'a BTreeMap<String, Evidence>);

impl Display for EvidenceSection<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "<section><h2>What the brokers left</h2>")?;
        if self.0.is_empty() {
            return writeln!(f, "<p>Nothing of it was judged.</p></section>");
        }
        writeln!(
            f,
            "<p>Held against the model by <code>verify</code>. Paths are those in the run's directory.</p>"
        )?;
        let root = root(self.0);
        for (name, evidence) in self.0 {
            let conclusion = word(evidence.conclusion);
            let shown = |line: &str| within(root, line);
            writeln!(
                f,
                "<h3>verify {} <span class=\"badge {conclusion}\">{conclusion}</span></h3>\n<pre>$ {}",
                text(name),
                command(&shown(&evidence.command))
            )?;
            evidence.said.iter().try_for_each(|line| writeln!(f, "{}", text(&shown(line))))?;
            writeln!(f, "</pre>")?;
        }
        writeln!(f, "</section>")
    }
}

/// A conclusion in one word.
pub(super) fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Clean => "clean",
        Conclusion::Partial => "partial",
        Conclusion::Violation => "violation",
        Conclusion::Unknown => "unknown",
    }
}

/// Where the run's directory was when `verify` was asked. It may have been moved since.
pub(super) fn root(evidence: &BTreeMap<String, Evidence>) -> Option<&str> {
    let mut words = evidence.values().flat_map(|evidence| evidence.command.split(' '));
    words.find_map(|word| word.strip_suffix("/history.jsonl").or_else(|| word.strip_suffix("/traces")))
}

/// A text with paths as they are within the run's directory, which say the same on every machine.
pub(super) fn within(root: Option<&str>, text: &str) -> String {
    match root.filter(|root| !root.is_empty()) {
        Some(root) => text.replace(&format!("{root}/"), ""),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_within_the_run() {
        let evidence = Evidence {
            conclusion: Conclusion::Clean,
            command: "verify audit /some/where/7/nodes/broker-1 --history /some/where/7/history.jsonl"
                .to_owned(),
            said: vec!["node 2, /some/where/7/nodes/broker-2: <fine>".to_owned()],
        };
        let evidence = [("audit".to_owned(), evidence)].into();
        let shown = EvidenceSection(&evidence).to_string();

        assert!(shown.contains("$ verify audit nodes/broker-1 --history history.jsonl\n"), "{shown}");
        assert!(shown.contains("node 2, nodes/broker-2: &lt;fine&gt;\n"), "{shown}");
        assert!(!shown.contains("/some"), "{shown}");
    }
}
