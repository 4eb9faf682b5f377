//! The trace of a run: one hash over everything that the network did, so that two runs can be compared.
//!
//! What goes in is decided by [`super::network`]; payload bytes never do, for TLS randomises them.

use core::fmt::{self, Write as _};

/// A running hash over the events of a simulation, and its first events in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    events: u64,
    keep: usize,
    kept: Vec<String>,
    line: String,
}

impl Trace {
    pub(super) fn new(seed: u64, keep: usize) -> Self {
        let mut trace =
            Self { hash: 0xcbf2_9ce4_8422_2325, events: 0, keep, kept: Vec::new(), line: String::new() };
        trace.mix(&seed.to_le_bytes());
        trace
    }

    /// The hash over all events (FNV-1a of their words).
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of events hashed.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The first events in words, as many as the configuration asked for.
    #[must_use]
    pub fn kept(&self) -> &[String] {
        &self.kept
    }

    pub(super) fn event(&mut self, event: fmt::Arguments<'_>) {
        self.line.clear();
        let mut line = core::mem::take(&mut self.line);
        write!(line, "{event}").expect("writing to a string does not fail");
        self.mix(line.as_bytes());
        self.mix(b"\n");
        self.events += 1;
        if self.kept.len() < self.keep {
            self.kept.push(line.clone());
        }
        self.line = line;
    }

    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Totals of a simulated network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams handed to the network.
    pub sent: u64,
    /// Bytes of those, without headers.
    pub sent_bytes: u64,
    /// Datagrams put into a socket's buffer.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Extra copies made.
    pub duplicated: u64,
    /// Held back longer than the longest delay may be, so that later ones overtake them.
    pub held_back: u64,
    /// Lost because the way was cut.
    pub cut: u64,
    /// Lost because no socket was bound at the address, or its process had ended.
    pub unreachable: u64,
    /// Lost because they were larger than the network carries, or the receiver's buffer was full.
    pub refused: u64,
}
