//! Whether a replica does in a step what its input obliges it to, and what is worth having seen of that.

use highwater_model::fault::Bug;
use highwater_model::invariant::quorum::{Duty, ReplicaView, grants_pre_vote};
use highwater_model::quorum::Effect;

use super::claims::seen;
use super::drive::Driver;
use super::state::{Node, Place};
use super::view;

impl Driver<'_> {
    /// Whether the duty was done.
    pub(super) fn check_duty(&mut self, at: Place, node: &Node, duty: Duty, effects: &[Effect]) {
        let after: ReplicaView<'_> = view::of(at, node);
        match duty {
            Duty::Spare { hears_leader: true, .. } if !grants_pre_vote(effects) => {
                self.notes.event(seen::PRE_VOTE_REFUSED);
            }
            Duty::BeHeard { is_over: true } if !after.is_leader => self.notes.event(seen::RESIGNED),
            // A core that does not tell disks apart counts others than are heard here: other claims are about that.
            Duty::BeHeard { .. } if self.world.has(Bug::DirectoryIgnored) => return,
            Duty::None | Duty::Spare { .. } | Duty::BeHeard { .. } => {}
        }
        self.judge(duty.is_done(&after, &node.heard, effects));
    }
}
