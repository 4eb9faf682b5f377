//! How much of each kind of event a search of the metadata world may spend.

use highwater_model::replication::FlushPolicy;

use crate::bounds::BoundsError;
use crate::replication::Flush;

/// With more, a cluster would take longer to come to rest than [`super::REST_STEPS_MAX`].
const BROKERS_MAX: u16 = 8;

crate::bounds! {
    /// Bounds of the metadata world.
    pub struct Bounds {
        /// Brokers, each with a replica of the first partition
        brokers("brokers"): u8 = 3,
        /// Sessions of running brokers that end: fences that no stop forces
        fences("fences"): u8 = 0,
        /// Killed processes: what was written is kept
        kills("kills"): u8 = 0,
        /// Power losses: what was not synced is lost
        power_losses("power-losses"): u8 = 0,
        /// Controlled shutdowns
        shutdowns("shutdowns"): u8 = 0,
        /// Fail-overs of the controller, any part of what it had appended being lost
        failovers("failovers"): u8 = 0,
        /// Elections of the controller that is in office, which does not hear that it was deposed in between
        reelections("re-elections"): u8 = 0,
        /// ISR changes that leaders propose
        proposals("proposals"): u8 = 0,
        /// Topics created, deleted, grown and configured; with flush=os changes of the flush policy alone
        changes("changes"): u8 = 0,
        /// Messages that are lost
        losses("losses"): u8 = 0,
        /// Messages that arrive twice
        repeats("repeats"): u8 = 0,
        /// Heartbeats that tell nothing new
        beats("beats"): u8 = 0,
        /// Requests of one broker that may be under way before it repeats itself; 0 for answered at once
        in_flight("in-flight"): u8 = 2,
        /// Batches that may wait for the quorum
        uncommitted("uncommitted"): u8 = 1,
        /// Batches by which a running broker may be behind
        lag("lag"): u8 = 1,
        /// When a record counts as held, at the start: commit or os
        flush("flush"): Flush = Flush(FlushPolicy::Commit),
        /// min.insync.replicas of the first topic
        min_isr("min-isr"): u8 = 2,
        /// Whether no broker is registered and no topic is there at the start
        fresh("fresh"): bool = false,
        /// Whether it is tried, from every state, that an undisturbed cluster comes to rest and is led
        heal("heal"): bool = false,
        /// Whether answers that can only be refused stay under way
        keep_dead("keep-dead"): bool = false,
    }
    where possible
}

fn possible(bounds: &Bounds) -> Result<(), BoundsError> {
    BoundsError::within("brokers", bounds.brokers.into(), 1, BROKERS_MAX)
}
