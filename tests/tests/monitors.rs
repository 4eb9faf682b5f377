//! Runtime monitors find the faults that they are for: brokers with a planted bug, in the simulation and as processes, raise
//! the counter of the property that it breaks; sound ones evaluate a lot and find nothing.

use highwater_client::settings::ProducerSettings;
use highwater_model::fault::Bug;
use highwater_model::id::NodeId;
use highwater_tests::processes::{Cluster, Ledger};
use highwater_tests::simulation::{Control, Identities, Report, Scenario};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const MONITORS: [&str; 2] = ["cluster", "monitors"];

/// Seeds in which a planted bug must be noticed.
const SEEDS: std::ops::Range<u64> = 0..6;

fn run(identities: &Identities, seed: u64, control: Control) -> Report {
    Scenario { seed, control, events_kept: 0, recorded_bytes_max: None }.run(identities)
}

/// The monitor of this property must count a violation in one of the seeds.
fn assert_noticed(bug: Bug, property: &str) {
    let identities = Identities::new().expect("keys and certificates can be made");
    let mut others = Vec::new();
    for seed in SEEDS {
        let report = run(&identities, seed, Control::Planted(bug));
        let watched = report.monitors.get(property).cloned().unwrap_or_default();
        if let Some(first) = watched.first {
            assert!(watched.violated > 0 && watched.evaluated >= watched.violated);
            assert!(!report.is_clean(), "a violation is not clean");
            return eprintln!("{}, seed {seed}: {property}: {first}", bug.id());
        }
        others.extend(report.monitors.into_iter().filter(|(_, watched)| watched.violated > 0));
    }
    panic!("{} breaks nothing that {property} sees; others: {others:?}", bug.id());
}

/// What must have been evaluated in a few sound runs. What is missing has no occasion there: no voters change, nobody takes
/// a snapshot, no log begins anew, and no leader of the quorum is left alone for long enough in every seed.
const EVALUATED: &[&str] = &[
    "metadata/accepted_change_is_the_next_one",
    "metadata/alive_member_leads",
    "metadata/answer_is_committed",
    "metadata/decision_is_whole",
    "metadata/epochs_only_grow",
    "metadata/fenced_broker_leads_nothing",
    "metadata/leader_comes_from_the_eligible",
    "metadata/min_isr_follows_the_configuration",
    "metadata/name_has_one_topic",
    "metadata/node_has_one_registration",
    "metadata/one_leader_per_epoch",
    "metadata/partition_sets_are_well_formed",
    "metadata/replay_gives_the_same_image",
    "metadata/replicas_are_distinct_brokers",
    "quorum/acknowledged_is_kept",
    "quorum/committed_never_changes",
    "quorum/epoch_follows_what_is_heard",
    "quorum/high_watermark_never_moves_back",
    "quorum/log_start_has_a_snapshot",
    "quorum/messages_are_of_the_stored_epoch",
    "quorum/one_leader_per_epoch",
    "quorum/one_vote_per_epoch",
    "quorum/pre_vote_changes_nothing",
    "quorum/pre_vote_spares_a_working_leader",
    "quorum/quorum_epoch_never_moves_back",
    "quorum/voters_change_one_at_a_time",
    "replication/acked_is_committed",
    "replication/acked_was_replicated",
    "replication/answer_is_to_this_run",
    "replication/cut_leaves_no_epoch_that_the_leader_lacks",
    "replication/epoch_history",
    "replication/leader_leaves_nothing_undone",
    "replication/quorum_superset",
    "replication/readers_see_what_is_committed",
    "replication/replica_believes_what_its_disk_holds",
    "replication/watermark_of_a_leader_never_goes_back",
    "replication/watermark_order",
];

#[test]
fn sound_brokers_evaluate_everything_and_find_nothing() {
    let identities = Identities::new().expect("keys and certificates can be made");
    let mut never: Vec<&str> = EVALUATED.to_vec();
    for seed in 0..4 {
        let report = run(&identities, seed, Control::Nothing);
        assert!(report.is_clean(), "{report}");
        let watched: Vec<_> =
            report.monitors.iter().map(|(name, watched)| (name, watched.evaluated)).collect();
        eprintln!("seed {seed}: {watched:?}");
        never.retain(|name| report.monitors.get(*name).is_none_or(|watched| watched.evaluated == 0));
    }
    assert!(never.is_empty(), "never evaluated: {never:?}");
}

#[test]
fn an_early_acknowledgement_is_noticed() {
    assert_noticed(Bug::AckAtLeaderAppend, "replication/acked_is_committed");
    assert_noticed(Bug::AckAtLeaderAppend, "replication/acked_was_replicated");
}

#[test]
fn a_read_beyond_the_high_watermark_is_noticed() {
    assert_noticed(Bug::ReadBeyondWatermark, "replication/readers_see_what_is_committed");
}

#[test]
fn epochs_of_an_old_checkpoint_are_noticed() {
    assert_noticed(Bug::EpochsFromCheckpoint, "replication/epoch_history");
}

#[test]
fn a_vote_before_it_is_stored_is_noticed() {
    assert_noticed(Bug::VoteBeforeStored, "quorum/messages_are_of_the_stored_epoch");
    assert_noticed(Bug::VoteBeforeStored, "quorum/one_vote_per_epoch");
}

#[test]
fn a_pre_vote_against_a_working_leader_is_noticed() {
    assert_noticed(Bug::PreVoteWhileFollowing, "quorum/pre_vote_spares_a_working_leader");
}

#[test]
fn a_fenced_member_is_noticed() {
    assert_noticed(Bug::NoEligibleLeaders, "metadata/fenced_broker_leads_nothing");
    assert_noticed(Bug::HalfDecision, "metadata/decision_is_whole");
}

#[test]
fn wrong_elections_are_noticed() {
    assert_noticed(Bug::UnnoticedBounce, "metadata/one_leader_per_epoch");
    assert_noticed(Bug::UncleanElection, "metadata/leader_comes_from_the_eligible");
    assert_noticed(Bug::SameLeaderEpoch, "metadata/epochs_only_grow");
    assert_noticed(Bug::UnfencedLeadsNothing, "metadata/alive_member_leads");
}

#[test]
fn eligible_leaders_beside_an_isr_that_is_large_enough_are_noticed() {
    assert_noticed(Bug::EligibleNotCleared, "metadata/partition_sets_are_well_formed");
}

/// Three brokers that acknowledge some records, and what is printed of their monitors then: as a document, for people,
/// and the exit codes.
async fn asked(mut cluster: Cluster) -> (Value, String, [Option<i32>; 2]) {
    let all = [1, 2, 3].map(NodeId);
    cluster.create_topic("visits", &[&all], 2).await;
    cluster.all_in_sync(&["visits"]).await;
    let visits = Ledger::new("visits", 1, 1);
    let outcomes = visits.produce(&cluster.client().producer(ProducerSettings::default()), 50).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let document = cluster.highwater(&[&MONITORS[..], &["-o", "json"]].concat()).await;
    let table = cluster.highwater(&[&MONITORS[..], &["--all"]].concat()).await;
    let said = String::from_utf8_lossy(&document.stderr).into_owned();
    let data: Value =
        serde_json::from_slice(&document.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    (data, text, [document.status.code(), table.status.code()])
}

/// How often this property was evaluated and violated, all brokers together.
fn counted(document: &Value, property: &str) -> [u64; 2] {
    let brokers = document["data"].as_array().expect("there is a list of brokers");
    let monitors =
        brokers.iter().flat_map(|broker| broker["monitors"].as_array().expect("each tells its counts"));
    let of_it: Vec<&Value> = monitors.filter(|monitor| monitor["property"] == property).collect();
    ["evaluated", "violated"].map(|count| of_it.iter().filter_map(|monitor| monitor[count].as_u64()).sum())
}

#[tokio::test]
async fn an_operator_sees_that_sound_brokers_evaluate_and_find_nothing() {
    let (document, table, codes) = asked(Cluster::combined(PROGRAM, 3).await).await;

    assert_eq!(codes, [Some(0); 2], "{table}");
    assert_eq!(document["schema"], "highwater.cluster.monitors/v1");
    assert_eq!(document["data"].as_array().map(Vec::len), Some(3));
    for property in
        ["replication/acked_is_committed", "replication/epoch_history", "metadata/decision_is_whole"]
    {
        let [evaluated, violated] = counted(&document, property);
        assert!(evaluated > 0 && violated == 0, "{property}: {evaluated} evaluations, {violated} violations");
        assert!(table.contains(property), "{table}");
    }
    assert!(table.contains("every 256 steps"), "{table}");
}

/// How the metadata log begins is looked at after a start: on the disk with a file, for the core where a snapshot ends.
#[tokio::test]
async fn restarts_with_a_metadata_log_that_snapshots_have_shortened_violate_nothing() {
    let mut cluster = Cluster::with_observer(PROGRAM, 3).await;
    let all = [1, 2, 3, 4].map(NodeId);
    let replicas: &[NodeId] = &[NodeId(1), NodeId(2), NodeId(3)];
    for topic in 0..8 {
        cluster.create_topic(&format!("visits-{topic}"), &[replicas; 24], 1).await;
    }
    for _ in 0..2 {
        for node in replicas {
            cluster.metadata_log_shortened(*node).await;
        }
        cluster.kill(&all).await;
        cluster.start_all(&all);
        cluster.all_admitted().await;
        let output = cluster.highwater(&[&MONITORS[..], &["-o", "json"]].concat()).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let document: Value = serde_json::from_str(&said).expect("it prints one document");
        let [evaluated, violated] = counted(&document, "quorum/log_start_has_a_snapshot");
        assert!(evaluated > 0 && violated == 0, "{evaluated} evaluations, {violated} violations");
    }
}

#[tokio::test]
async fn an_operator_sees_a_violation_at_once() {
    let bug = Bug::AckAtLeaderAppend.id();
    let (document, table, codes) = asked(Cluster::planted(PROGRAM, bug, 3).await).await;

    assert_eq!(codes, [Some(4); 2], "{table}");
    let [evaluated, violated] = counted(&document, "replication/acked_is_committed");
    assert!(violated > 0 && evaluated >= violated);
    assert!(table.contains("acknowledged the record at"), "the offending values are shown: {table}");
    assert!(document["errors"].to_string().contains("found an invariant broken"), "{document}");
}
