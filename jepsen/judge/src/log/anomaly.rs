//! The anomalies by name.

use std::collections::BTreeMap;

use crate::verdict::{Case, Cases};

/// Declares the anomalies: variant, name, and when it is one.
macro_rules! anomalies {
    ($($variant:ident, $name:literal, $what:literal;)*) => {
        /// What can be wrong with a log.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Anomaly {
            $(#[doc = $what] $variant,)*
        }

        impl Anomaly {
            /// Every anomaly.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// When it is one.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// The anomaly of this name.
            #[must_use]
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|anomaly| anomaly.name() == name)
            }
        }
    };
}

anomalies! {
    Lost, "lost-write", "a record whose acknowledgement promised that it stays was not read, though a later one of its log was";
    Unseen, "unseen", "a record whose acknowledgement promised that it stays lies at the end of its log and was not read, though the log was read to its end";
    InconsistentOffsets, "inconsistent-offsets", "one offset of a log held two records";
    Duplicate, "duplicate", "a record is at two offsets, one of which may be where it was acknowledged to be";
    AbortedRead, "aborted-read", "a record was read whose sender was told that it is not written and never will be";
    NoWriter, "no-writer", "a record was read that nobody sent to this log, or whose bytes are not those sent";
    FutureRead, "future-read", "a record was read before it was sent";
    IntSendNonmonotonic, "int-nonmonotonic-send", "records that one operation sent to a log are there in another order";
    NonmonotonicSend, "nonmonotonic-send", "a process sent a record to a log after another of its own and it is there before that one";
    IntPollSkip, "int-poll-skip", "one poll passed over a record of a log";
    IntPollNonmonotonic, "int-nonmonotonic-poll", "one poll went back in a log";
    PollSkip, "poll-skip", "a process polled on in a log and passed over a record";
    NonmonotonicPoll, "nonmonotonic-poll", "a process polled on in a log and went back";
    UnassignedPoll, "unassigned-poll", "a process was given a record of a log that it had not assigned itself";
    ReusedValue, "reused-value", "two records of the history have one name, so that neither can be told from the other";
    NonlinearizableAppend, "nonlinearizable-append", "records and linearizable ends of a log have no order in which each took effect between its beginning and its end";
    NonmonotonicEnd, "nonmonotonic-end", "a process was told that a log ends before where it knew it to have ended";
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What breaks a promise.
    pub(super) broken: BTreeMap<String, Cases>,
    /// What breaks none here.
    pub(super) allowed: BTreeMap<String, Cases>,
}

impl Found {
    /// Adds a case.
    pub(super) fn add(&mut self, anomaly: Anomaly, is_allowed: bool, case: impl FnOnce() -> Case) {
        let side = if is_allowed { &mut self.allowed } else { &mut self.broken };
        side.entry(anomaly.name().to_owned()).or_default().add(case);
    }
}
