//! Mistakes of drivers, seeded so that a trace of the broker can prove that it would show them.
//!
//! The cores are sound under a slip; the driver does not do as they say. Nothing here is known to the cores.

use super::{Bug, Faults};

/// Declares the slips: variant, id, and one sentence on what the driver does.
macro_rules! slips {
    ($($variant:ident, $id:literal, $what:literal;)*) => {
        /// A mistake of a driver that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Slip {
            $(#[doc = $what] $variant,)*
        }

        impl Slip {
            /// Every slip.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// What it does, in one sentence.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// The slip with this id.
            #[must_use]
            pub fn by_id(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|slip| slip.id().eq_ignore_ascii_case(id))
            }
        }
    };
}

slips! {
    DropEffect, "D-01", "now and then an effect that sends is not carried out";
    AddAct, "D-02", "now and then a frame is handed over twice";
    Reorder, "D-03", "the effects of a step are carried out backwards";
    BeforeSync, "D-04", "a sync is reported as ended when it is submitted";
    OtherGeneration, "D-05", "now and then a completion is reported for another generation of the log than it was submitted in";
    OtherIncarnation, "D-06", "an answer to an earlier request, of this incarnation or another, is passed off as one to the open request";
    AckEarly, "D-07", "a producer is answered when its batch is submitted";
    VoteBeforeStored, "D-08", "a vote is reported as stored when its storing is submitted";
    Invent, "D-09", "an input is given to the core that nothing at the edge brought about";
    DropReply, "D-10", "now and then the controller's answer to a command is not given";
    DecideTwice, "D-11", "now and then a decision of the controller is put into the log twice";
    ReorderDecision, "D-12", "the effects of a controller's step are carried out backwards";
    AnswerBeforeCommit, "D-13", "a command is answered when its decision has its place in the log";
    ApplyBeforeCommit, "D-14", "a batch is given to the controller as committed when it is appended";
    OtherOffice, "D-15", "what is committed is given to the controller as learned in the quorum epoch before";
    DropRequest, "D-16", "now and then a broker's request to the controller is not made";
    AskTwice, "D-17", "now and then a broker makes a request to the controller twice";
    ReorderStanding, "D-18", "the effects of a lifecycle's step are carried out backwards";
    StandBeforeNoted, "D-19", "a broker acts under a registration before its start-up record is written";
    AnswerToAnother, "D-20", "an answer to an earlier request of a broker is passed off as one to the open request";
    AheadOfMetadata, "D-21", "a broker reports metadata as applied that is not committed";
    DropProposal, "D-22", "a proposal to change the in-sync replicas is not handed to the controller";
    DropReads, "D-23", "a leader reads records for its followers, and sends none of them";
    DropMetadataReads, "D-24", "the leader of the quorum reads records for one of the nodes, and sends it none of them";
    GoOnUncut, "D-25", "a replica goes on after a cut of its log that has failed";
    StepAfterEnd, "D-26", "a core takes a step after its life has ended";
    ExpireUnarmed, "D-27", "a timer is reported as run out that does not run";
}

/// Sound cores, and one mistake of their drivers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Slipping(pub Option<Slip>);

impl Faults for Slipping {
    #[inline(always)]
    fn has(self, _bug: Bug) -> bool {
        false
    }

    #[inline]
    fn slips(self, slip: Slip) -> bool {
        self.0 == Some(slip)
    }

    fn planted(self) -> Option<&'static str> {
        self.0.map(Slip::id)
    }
}
