//! `meta.properties`: what formatting wrote into a log directory, and what a server reads before anything else.
//!
//! Only the text; reading and writing the file belong to the disk. As in KIP-853 every voter's directory id is known to
//! all from the start, so that a wiped disk is a different voter (X12, Q36).

use std::fmt::Write as _;

use highwater_model::id::{ClusterId, DirectoryId, NodeId};

use super::file;
use super::reader::parse_uuid;
use super::value::{self, Endpoint};

/// Name of the file within a log directory.
pub const FILE_NAME: &str = "meta.properties";

/// A voter that the quorum began with: `1@host:port:DIRECTORY-ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialVoter {
    /// Its `node.id`.
    pub node: NodeId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its metadata log directory.
    pub directory: DirectoryId,
}

/// What formatting wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node that the directory belongs to.
    pub node: NodeId,
    /// The directory itself.
    pub directory: DirectoryId,
    /// The voters that the quorum began with; empty on a node that joins as an observer.
    pub voters: Vec<InitialVoter>,
}

impl InitialVoter {
    /// Parses `1@host:port:DIRECTORY-ID`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not ID@host:port:DIRECTORY-ID");
        let (address, directory) = text.trim().rsplit_once(':').ok_or_else(form)?;
        let voter = value::voter(address)?;
        let directory = parse_uuid(directory).map(DirectoryId).ok_or_else(form)?;
        Ok(Self { node: voter.node, endpoint: voter.endpoint, directory })
    }

    /// The form that [`InitialVoter::parse`] reads.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{}@{}:{}", self.node, self.endpoint, self.directory)
    }
}

impl Formatted {
    /// The text of `meta.properties`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from("# Written by `highwater format`. Not for editing.\nversion=1\n");
        let voters: Vec<String> = self.voters.iter().map(InitialVoter::render).collect();
        let _ = writeln!(text, "cluster.id={}", self.cluster);
        let _ = writeln!(text, "node.id={}", self.node);
        let _ = writeln!(text, "directory.id={}", self.directory);
        let _ = writeln!(text, "initial.controllers={}", file::escape(&voters.join(",")));
        text
    }

    /// Reads the text of `meta.properties`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pairs = file::properties(text)?;
        let field = |name: &str| {
            let found = pairs.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str());
            found.ok_or_else(|| format!("{name} is missing"))
        };
        let uuid = |name: &str| {
            let text = field(name)?;
            parse_uuid(text).ok_or_else(|| format!("{name} {text:?} is not a UUID"))
        };
        let version = field("version")?;
        if version != "1" {
            return Err(format!("version {version:?} is not known to this Highwater, which knows version 1"));
        }
        let node = field("node.id")?.parse().map_err(|_| "node.id is not a number".to_owned())?;
        let voters = value::list(field("initial.controllers")?);
        Ok(Self {
            cluster: ClusterId(uuid("cluster.id")?),
            node: NodeId(node),
            directory: DirectoryId(uuid("directory.id")?),
            voters: voters.iter().map(|voter| InitialVoter::parse(voter)).collect::<Result<_, _>>()?,
        })
    }
}

/// A UUID as a person may write it: 8-4-4-4-12, dashes optional.
#[must_use]
pub fn uuid(text: &str) -> Option<u128> {
    parse_uuid(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted() -> Formatted {
        let voter = |node: u32| InitialVoter {
            node: NodeId(node),
            endpoint: Endpoint { host: "::1".to_owned(), port: 9092 },
            directory: DirectoryId(u128::from(node) << 100),
        };
        Formatted {
            cluster: ClusterId(7),
            node: NodeId(1),
            directory: DirectoryId(1 << 100),
            voters: vec![voter(1), voter(2)],
        }
    }

    #[test]
    fn what_was_formatted_is_read_back() {
        assert_eq!(Formatted::parse(&formatted().render()), Ok(formatted()));
        let observer = Formatted { voters: Vec::new(), ..formatted() };
        assert_eq!(Formatted::parse(&observer.render()), Ok(observer));
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let text = formatted().render();

        assert!(Formatted::parse(&text.replace("version=1", "version=2")).is_err());
        assert!(Formatted::parse(&text.replace("cluster.id", "cluster")).is_err());
        assert!(Formatted::parse(&text.replace("directory.id=0", "directory.id=x")).is_err());
        assert!(Formatted::parse("").is_err());
    }
}
