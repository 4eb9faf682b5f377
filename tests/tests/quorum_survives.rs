//! What a cluster of real processes can do while voters of its metadata quorum are dead, and that it heals by itself.

use std::sync::Arc;
use std::time::Duration;

use highwater_client::settings::ProducerSettings;
use highwater_model::error_code::ErrorCode;
use highwater_model::id::NodeId;
use highwater_tests::processes::{Cluster, Ledger, Load, new_topic};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// Every node but these.
fn others(nodes: &[NodeId]) -> Vec<NodeId> {
    ALL.into_iter().filter(|node| !nodes.contains(node)).collect()
}

/// One partition led by each of three nodes, replicated to all.
fn everywhere() -> [[NodeId; 3]; 3] {
    let [first, second, third] = ALL;
    [[first, second, third], [second, third, first], [third, first, second]]
}

async fn create_everywhere(cluster: &mut Cluster, topic: &str) {
    let replicas = everywhere();
    let replicas: Vec<&[NodeId]> = replicas.iter().map(<[NodeId; 3]>::as_slice).collect();
    cluster.create_topic(topic, &replicas, 2).await;
    cluster.all_in_sync(&[topic]).await;
}

#[tokio::test]
async fn with_any_one_of_three_voters_killed_topics_are_created_and_leaders_elected() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    create_everywhere(&mut cluster, "visits").await;
    let visits = Arc::new(Ledger::new("visits", 3, 2));
    let load = Load::start(cluster.client(), &visits);
    load.until_more(200).await;

    for victim in ALL {
        let began = cluster.env().now();
        cluster.kill(&[victim]).await;
        let alive = others(&[victim]);
        cluster.led_by("visits", &alive).await;
        let led = cluster.env().now().since(began);
        let name = format!("without-{victim}");
        cluster.create_topic(&name, &[&alive], 2).await;
        eprintln!(
            "without {victim}: led after {led:?}, created after {:?}",
            cluster.env().now().since(began)
        );
        let ledger = Ledger::new(&name, 1, 1);
        let producer = cluster.client().producer(ProducerSettings::default());
        let outcomes = ledger.produce(&producer, 50).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        load.until_more(200).await;
        cluster.start(victim);
        cluster.all_in_sync(&["visits", &name]).await;
        ledger.assert_kept(cluster.client(), 50).await;
    }

    load.finish().await;
    visits.assert_kept(cluster.client(), 800).await;
    cluster.assert_replicas_agree("visits", 1_600).await;
}

#[tokio::test]
async fn with_two_of_three_voters_killed_leaders_serve_and_changes_time_out_naming_the_lost_quorum() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    create_everywhere(&mut cluster, "visits").await;
    let visits = Arc::new(Ledger::new("visits", 3, 1));
    let settings =
        ProducerSettings { delivery_timeout: Duration::from_secs(15), ..ProducerSettings::default() };
    let producer = cluster.client().producer(settings);
    let outcomes = visits.produce(&producer, 90).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");

    // Once the active controller stays behind and must notice that it has no quorum, once it is among the dead.
    for round in ["controller-left", "controller-dead"] {
        let controller = cluster.until("a controller", |answer| answer.controller.is_some()).await.controller;
        let controller = controller.expect("it was waited for");
        let survivor = match round {
            "controller-left" => controller,
            _ => others(&[controller])[0],
        };
        let alone = format!("alone-{round}");
        cluster.create_topic(&alone, &[&[survivor]], 1).await;
        // Only what the survivor knows to be committed can it serve.
        let ledger = Ledger::new(&alone, 1, 1);
        let outcomes = ledger.produce(&producer, 10).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let victims = others(&[survivor]);
        cluster.kill(&victims).await;

        changes_name_the_lost_quorum(&cluster, survivor, &victims).await;
        // What needs nobody else is served as ever.
        let outcomes = ledger.produce(&producer, 50).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        ledger.assert_kept(cluster.client(), 60).await;

        cluster.start_all(&victims);
        cluster.all_admitted().await;
        cluster.all_in_sync(&["visits", &alone]).await;
        cluster.create_topic(&format!("healed-{round}"), &[&ALL], 2).await;
        let outcomes = visits.produce(&producer, 90).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        ledger.assert_kept(cluster.client(), 60).await;
    }

    visits.assert_kept(cluster.client(), 270).await;
    cluster.assert_replicas_agree("visits", 540).await;
}

async fn changes_name_the_lost_quorum(cluster: &Cluster, survivor: NodeId, victims: &[NodeId]) {
    let began = cluster.env().now();
    let refused =
        cluster.new_client().admin().create_topic(new_topic("never", &[&[survivor]], 1), false).await;
    let error = refused.expect_err("nobody can decide it");
    eprintln!("survivor {survivor}, after {:?}: {error}", cluster.env().now().since(began));
    let text = error.to_string();
    assert_eq!(error.code(), Some(ErrorCode::RequestTimedOut), "{text}");
    assert!(text.contains("etadata quorum of 3, 2 needed"), "{text}");
    for victim in victims {
        assert!(text.contains(&format!("node {victim} is unreachable")), "{text}");
    }
}

#[tokio::test]
async fn one_broker_alone_killed_ten_times_under_load_loses_nothing_acknowledged() {
    let mut cluster = Cluster::combined(PROGRAM, 1).await;
    let only = NodeId(1);
    cluster.create_topic("visits", &[&[only], &[only]], 1).await;
    let visits = Arc::new(Ledger::new("visits", 2, 2));
    let load = Load::start(cluster.client(), &visits);
    load.until_more(200).await;

    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let began = cluster.env().now();
        cluster.kill(&[only]).await;
        cluster.start(only);
        load.until_more(1).await;
        slowest = slowest.max(cluster.env().now().since(began));
        load.until_more(150).await;
    }
    eprintln!("acknowledging again at the latest {slowest:?} after SIGKILL");

    load.finish().await;
    visits.assert_kept(cluster.client(), 1_700).await;
}

#[tokio::test]
async fn three_brokers_killed_at_once_under_load_come_back_with_nothing_acknowledged_lost() {
    let mut cluster = Cluster::combined(PROGRAM, 3).await;
    create_everywhere(&mut cluster, "visits").await;
    let visits = Arc::new(Ledger::new("visits", 3, 2));
    let load = Load::start(cluster.client(), &visits);

    for _ in 0..3 {
        load.until_more(300).await;
        let began = cluster.env().now();
        cluster.kill(&ALL).await;
        cluster.start_all(&ALL);
        load.until_more(1).await;
        eprintln!("acknowledging again {:?} after SIGKILL of all", cluster.env().now().since(began));
        cluster.all_in_sync(&["visits"]).await;
    }

    load.until_more(300).await;
    load.finish().await;
    visits.assert_kept(cluster.client(), 1_200).await;
    cluster.assert_replicas_agree("visits", 2_400).await;
}
