//! Invariants of the cluster state machine.
//!
//! Each is one file: the statement, its source, the bug it would catch, the predicate, and a test that feeds it a bad
//! state. Predicates speak of committed images, or of two images of which the second is one batch later.

mod accepted_change_is_the_next_one;
mod alive_member_leads;
mod answer_is_committed;
mod decision_is_whole;
mod difference;
mod earlier;
mod epochs_only_grow;
mod every_image_is_a_prefix_of_the_log;
mod fenced_broker_leads_nothing;
mod kept_replica_stays_eligible;
mod leader_comes_from_the_eligible;
mod lost_replica_is_excluded;
mod min_isr_follows_the_configuration;
mod name_has_one_topic;
mod node_has_one_registration;
mod one_leader_per_epoch;
mod partition_sets_are_well_formed;
mod replay_gives_the_same_image;
mod replicas_are_distinct_brokers;
#[cfg(test)]
mod sample;

pub use accepted_change_is_the_next_one::{ACCEPTED_CHANGE_IS_THE_NEXT_ONE, accepted_change_is_the_next_one};
pub use alive_member_leads::{ALIVE_MEMBER_LEADS, alive_member_leads};
pub use answer_is_committed::{ANSWER_IS_COMMITTED, Subject, answer_is_committed, registration_is_committed};
pub use decision_is_whole::{DECISION_IS_WHOLE, decision_is_whole};
pub use earlier::{Earlier, Named};
pub use epochs_only_grow::{EPOCHS_ONLY_GROW, epochs_only_grow};
pub use every_image_is_a_prefix_of_the_log::{
    EVERY_IMAGE_IS_A_PREFIX_OF_THE_LOG, every_image_is_a_prefix_of_the_log,
};
pub use fenced_broker_leads_nothing::{FENCED_BROKER_LEADS_NOTHING, fenced_broker_leads_nothing};
pub use kept_replica_stays_eligible::{KEPT_REPLICA_STAYS_ELIGIBLE, kept_replica_stays_eligible};
pub use leader_comes_from_the_eligible::{LEADER_COMES_FROM_THE_ELIGIBLE, leader_comes_from_the_eligible};
pub use lost_replica_is_excluded::{LOST_REPLICA_IS_EXCLUDED, Lost, lost_replica_is_excluded};
pub use min_isr_follows_the_configuration::{
    MIN_ISR_FOLLOWS_THE_CONFIGURATION, min_isr_follows_the_configuration,
};
pub use name_has_one_topic::{NAME_HAS_ONE_TOPIC, deleted_id_never_returns, name_has_one_topic};
pub use node_has_one_registration::{
    NODE_HAS_ONE_REGISTRATION, node_has_one_registration, registrations_only_grow,
};
pub use one_leader_per_epoch::{Led, ONE_LEADER_PER_EPOCH, led, one_leader_per_epoch};
pub use partition_sets_are_well_formed::{PARTITION_SETS_ARE_WELL_FORMED, partition_sets_are_well_formed};
pub use replay_gives_the_same_image::{REPLAY_GIVES_THE_SAME_IMAGE, replay_gives_the_same_image};
pub use replicas_are_distinct_brokers::{
    REPLICAS_ARE_DISTINCT_BROKERS, replicas_are_distinct_brokers, topics_never_shrink,
};

use super::Violation;

/// Fails with this property's name unless `holds`.
fn ensure(
    property: &'static str,
    holds: bool,
    details: impl FnOnce() -> alloc::string::String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { property, details: details() }) }
}
