//! What each claim says, in one sentence, for those who read a counterexample.

use crate::engine::PANIC;

/// Claim and statement, by model.
const STATEMENTS: &[(&str, &str)] = &[
    (PANIC, "No core ever fails one of its own assertions."),
    ("quorum/one_leader_per_epoch", "No two replicas lead the same epoch, and no two ever did."),
    (
        "quorum/logs_match",
        "If two replicas have a record of the same epoch at an offset, their logs are equal up to there.",
    ),
    ("quorum/committed_never_changes", "Below its high watermark every replica holds the committed records."),
    ("quorum/leader_is_complete", "Whoever leads the newest epoch holds every committed record."),
    ("quorum/quorum_holds_what_is_committed", "Fewer voters than a majority lack any committed record."),
    (
        "quorum/high_watermark_never_moves_back",
        "Within one run, a replica's high watermark never moves back.",
    ),
    (
        "quorum/quorum_epoch_never_moves_back",
        "A replica's epoch is never below one that it has spoken in or stored.",
    ),
    (
        "quorum/one_vote_per_epoch",
        "A voter gives one vote in an epoch, and none in an epoch that it has left.",
    ),
    (
        "quorum/voters_change_one_at_a_time",
        "In every leader's log at most one set of voters is not committed, and each differs from the one before by one voter.",
    ),
    (
        "quorum/log_start_has_a_snapshot",
        "Every log that was trimmed begins at the end of the oldest snapshot that is kept, and that is committed.",
    ),
    (
        "quorum/acknowledged_is_kept",
        "Every acknowledged record is committed, and durable on a voter, up or down.",
    ),
    (
        "quorum/pre_vote_changes_nothing",
        "A pre-vote changes nobody's vote, but for a larger epoch that it tells of.",
    ),
    (
        "quorum/applied_prefixes_agree",
        "Any two replicas agree on every record below both their high watermarks.",
    ),
    (
        "quorum/reads_are_linearizable",
        "A read sees everything that was acknowledged before it was asked for.",
    ),
    (
        "quorum/snapshot_is_the_fold_of_the_log",
        "A snapshot holds the voters that the committed log below its end gives.",
    ),
    (
        "quorum/leader_without_a_majority_resigns",
        "A leader that no majority was heard from until its check-quorum timer ran out leads no more.",
    ),
    (
        "quorum/pre_vote_spares_a_working_leader",
        "A replica that leads, or that its leader answers, grants no pre-vote in its epoch.",
    ),
    (
        "quorum/who_waits_is_remembered",
        "Whoever waits for a proposal or a read at a replica is known to it, until it is answered or told that it waits in vain.",
    ),
    (
        "metadata/node_has_one_registration",
        "Every node has one registration, every directory one broker, and broker epochs only grow.",
    ),
    (
        "metadata/fenced_broker_leads_nothing",
        "A broker that is fenced or stopping leads nothing and is in no ISR.",
    ),
    ("metadata/name_has_one_topic", "A name has one topic, and a deleted id never returns."),
    (
        "metadata/replicas_are_distinct_brokers",
        "The replicas of a partition are distinct, registered brokers, and topics never lose partitions.",
    ),
    ("metadata/decision_is_whole", "A decision of several records is in the image wholly or not at all."),
    (
        "metadata/epochs_only_grow",
        "Every change of a partition raises its partition epoch by one, and a change of leader raises the leader epoch.",
    ),
    (
        "metadata/min_isr_follows_the_configuration",
        "Every partition bears the effective minimum ISR and the flush policy of its topic's configuration.",
    ),
    (
        "metadata/replay_gives_the_same_image",
        "To replay the committed log from a snapshot or from its start gives the same image.",
    ),
    (
        "metadata/one_leader_per_epoch",
        "A leader epoch of a partition has one leader, and of that one incarnation.",
    ),
    (
        "metadata/accepted_change_is_the_next_one",
        "An ISR change that is accepted follows the partition epoch that it was built on.",
    ),
    (
        "metadata/partition_sets_are_well_formed",
        "ISR and eligible leaders are disjoint, the leader is in the ISR, and a large enough ISR leaves no eligible leaders.",
    ),
    (
        "metadata/lost_replica_is_excluded",
        "A replica that lost entries is neither in sync nor eligible nor leader until its leader takes it back anew.",
    ),
    (
        "metadata/every_image_is_a_prefix_of_the_log",
        "Every broker's metadata is a prefix of the committed log.",
    ),
    (
        "metadata/kept_replica_stays_eligible",
        "A replica that kept what it had counted loses no right to lead by registering anew.",
    ),
    (
        "metadata/alive_member_leads",
        "A partition with an active member of its ISR, or else of its eligible leaders, is led.",
    ),
    ("metadata/leader_comes_from_the_eligible", "Whoever begins to lead was in the ISR or eligible."),
    (
        "metadata/undisturbed_cluster_comes_to_rest_and_is_led",
        "Once nobody disturbs it, every broker comes to run unfenced, and a partition that lost nothing is led.",
    ),
    ("metadata/answer_is_committed", "What the controller answers is committed."),
    (
        "metadata/office_that_ends_leaves_nobody_waiting",
        "When a controller's office ends, also by its being elected again, whoever waits is told that the outcome is open.",
    ),
    (
        "metadata/unfenced_broker_is_watched",
        "A controller watches the session of every broker that is not fenced, from its election on.",
    ),
    (
        "metadata/stopped_broker_is_followed_by_nobody",
        "A broker is let go only when every broker knows that it has handed over.",
    ),
    (
        "replication/committed_stable",
        "No replica holds, below its own high watermark, anything but what was committed there.",
    ),
    (
        "replication/leader_completeness",
        "The leader that the controller names holds everything that was ever committed.",
    ),
    (
        "replication/candidate_completeness",
        "Every running replica that may be elected without loss holds everything that was ever committed.",
    ),
    (
        "replication/quorum_superset",
        "A leader that is not stale waits for at least everyone who may be elected.",
    ),
    (
        "replication/strong_isr",
        "Every running member of the controller's ISR agrees with every replica that believes to lead, up to that one's high watermark.",
    ),
    (
        "replication/log_matching",
        "Two running replicas agree below both their high watermarks, and up to any record of the same leader epoch.",
    ),
    (
        "replication/acked_not_lost",
        "Every acknowledged record is in the log of a replica, and in that of the leader that is not stale.",
    ),
    (
        "replication/consistent_read",
        "What was read at an offset was committed there, and the leader still holds it.",
    ),
    ("replication/one_leader_per_epoch", "No two replicas ever lead in the same leader epoch."),
    (
        "replication/well_formed",
        "No member of the ISR is fenced or stopping, the leader is in it, and others are eligible only while it is too small.",
    ),
    (
        "replication/unclean_exclusion",
        "A running replica that lost what it had counted is neither in the ISR nor eligible nor leader until it has joined anew.",
    ),
    ("replication/watermark_order", "A replica's high watermark lies within its log."),
    ("replication/epoch_history", "The epoch history of a running replica is the one of its records."),
    (
        "replication/no_duplicate",
        "Of each producer the committed sequences in each log follow each other without gap or repetition.",
    ),
    ("replication/no_ghost_ack", "A produce that was refused before anything was appended is in no log."),
    (
        "replication/acked_was_replicated",
        "When a record is acknowledged, min.insync.replicas replicas hold it, as durably as the flush policy says.",
    ),
    ("replication/acked_is_committed", "What is acknowledged is committed."),
    ("replication/watermark_covers_what_is_committed", "A high watermark covers only what is committed."),
    (
        "replication/watermark_of_a_leader_never_goes_back",
        "While it leads in one leader epoch, a leader's high watermark never goes back.",
    ),
    (
        "replication/partition_epoch_counts_every_change",
        "Every change of the partition raises its partition epoch by one, and a change of leader the leader epoch too.",
    ),
    (
        "replication/cut_leaves_no_epoch_that_the_leader_lacks",
        "A follower that cuts its log keeps no epoch that its leader does not have.",
    ),
    (
        "replication/nothing_comes_of_what_is_dropped",
        "A message that is left out as one that comes to nothing would come to nothing.",
    ),
    (
        "replication/leader_waits_for_what_comes",
        "A leader that was told to wait for newer metadata waits for some that there is.",
    ),
    ("replication/answer_is_to_this_run", "A follower takes answers to fetches of its own run only."),
    (
        "replication/leader_leaves_nothing_undone",
        "A leader leaves no watermark that could rise, and no answer that is due.",
    ),
    ("replication/readers_see_what_is_committed", "What a leader lets consumers read is committed."),
    (
        "replication/replica_believes_what_its_disk_holds",
        "No replica counts as written or synced what its disk does not hold.",
    ),
    (
        "replication/partition_that_kept_its_data_is_led_again",
        "When every broker runs unfenced, and none lost what it had counted, somebody leads.",
    ),
    (
        "liveness/every_broker_hears_of_every_decision",
        "In the end every broker has heard of every decision of the controller.",
    ),
    (
        "liveness/every_broker_runs_unfenced",
        "In the end every broker runs, registered and unfenced, and knows it.",
    ),
    ("liveness/every_command_is_answered", "In the end every command to the controller is answered."),
    (
        "liveness/every_partition_is_led",
        "In the end every partition is led that has an eligible replica, or lost nothing.",
    ),
    ("liveness/every_produce_is_answered", "In the end every produce is answered."),
    ("liveness/every_replica_follows_the_leader", "In the end every replica follows the leader."),
    (
        "liveness/everything_is_committed_everywhere",
        "In the end every replica has the leader's log, all of it committed.",
    ),
    (
        "liveness/everything_submitted_is_answered",
        "In the end nobody waits for a proposal or a read, at a leader or at one that led.",
    ),
    (
        "liveness/followers_agree_with_the_leader_where_to_go_on",
        "In the end the fetches of all followers wait at the leader.",
    ),
    (
        "liveness/high_watermark_reaches_the_log_end",
        "In the end the leader's high watermark is at the end of its log.",
    ),
    ("liveness/isr_change_comes_to_an_end", "In the end no change of the ISR is open."),
    ("liveness/isr_is_every_replica", "In the end the ISR is every replica."),
    ("liveness/leader_that_is_cut_off_resigns", "In the end a leader that is cut off leads no more."),
    ("liveness/partition_is_led", "In the end the partition is led, unless its data was lost."),
    (
        "liveness/quorum_has_a_leader_whose_high_watermark_is_known",
        "In the end one replica leads the quorum, and knows what is committed.",
    ),
    ("liveness/replicas_hold_the_same_log", "In the end all replicas hold the leader's log."),
    ("liveness/run_comes_to_rest", "Once faults stop, a fair schedule comes to rest."),
    (
        "liveness/voter_change_comes_to_an_end",
        "In the end no change of the voters is open, and a voter leads.",
    ),
    (
        "quorum/epoch_follows_what_is_heard",
        "Whoever takes a message of an epoch is then in that epoch or a later one.",
    ),
    ("quorum/messages_are_of_the_stored_epoch", "A message leaves in the epoch that its sender has stored."),
];

/// What the claim of this name says. A claim that has no sentence here says what its name does.
#[must_use]
pub fn statement(claim: &str) -> String {
    let known = STATEMENTS.iter().find(|(name, _)| *name == claim);
    known.map_or_else(|| in_words(claim), |(_, statement)| (*statement).to_owned())
}

/// `machine/one_leader_per_epoch` as `One leader per epoch.`
fn in_words(claim: &str) -> String {
    let words = claim.rsplit('/').next().unwrap_or(claim).replace('_', " ");
    let mut letters = words.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn every_claim_has_its_sentence() {
        let claims: Vec<_> = registry::claims().into_iter().map(|(name, _)| name).collect();
        let silent: Vec<_> =
            claims.iter().filter(|claim| STATEMENTS.iter().all(|(name, _)| name != *claim)).collect();
        let of_none: Vec<_> =
            STATEMENTS.iter().filter(|(name, _)| *name != PANIC && !claims.contains(name)).collect();

        assert!(silent.is_empty(), "claims without a sentence: {silent:?}");
        assert!(of_none.is_empty(), "sentences of no claim: {of_none:?}");
    }

    #[test]
    fn a_claim_without_a_sentence_says_what_its_name_does() {
        assert_eq!(statement("lock/holder_is_alone"), "Holder is alone.");
    }
}
