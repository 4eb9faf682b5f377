//! `highwater topic describe` on a cluster of real processes: leaders, in-sync and eligible replicas, and how far each is.

use highwater_client::settings::ProducerSettings;
use highwater_model::id::{NodeId, PartitionIndex};
use highwater_tests::processes::{Cluster, Ledger};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const DESCRIBE: [&str; 3] = ["topic", "describe", "visits"];
const BROKERS: [NodeId; 3] = [NodeId(4), NodeId(5), NodeId(6)];

/// The partitions of the only topic described.
fn partitions(data: &Value) -> &[Value] {
    data.pointer("/0/partitions")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .expect("one topic is described")
}

/// What is told of one replica of a partition.
fn replica<'a>(partition: &'a Value, node: &Value) -> &'a Value {
    let details = partition["replica_details"].as_array().expect("replicas are described");
    details.iter().find(|detail| detail["node"] == *node).expect("every replica is described")
}

/// A column of the table for people, partition by partition.
fn column(table: &str, heading: &str) -> Vec<String> {
    let mut lines = table.lines().skip_while(|line| !line.contains(heading));
    let headings = lines.next().expect("there is a line of headings").split_whitespace();
    let at = headings.into_iter().position(|word| word == heading).expect("the heading is a word");
    let words = lines.take(3).filter_map(|line| line.split_whitespace().nth(at));
    words.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_leader_tells_how_far_its_partition_is_and_who_is_missing() {
    let mut cluster = Cluster::with_controllers(PROGRAM, 3).await;
    let [first, second, third] = BROKERS;
    let assigned = [[first, second, third], [second, third, first], [third, first, second]];
    cluster.create_topic("visits", &assigned.each_ref().map(|replicas| replicas.as_slice()), 2).await;
    cluster.all_in_sync(&["visits"]).await;
    let visits = Ledger::new("visits", 3, 1);
    let outcomes = visits.produce(&cluster.client().producer(ProducerSettings::default()), 120).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let mut ends = Vec::new();
    for partition in (0..3).map(PartitionIndex) {
        ends.push(cluster.client().ends("visits", partition).await.expect("it is led").end.0);
    }
    assert_eq!(ends.iter().sum::<u64>(), 120);

    // A leader hears that its followers have everything a little after the last record is acknowledged.
    let all_told = |data: &Value| {
        partitions(data).iter().zip(&ends).all(|(partition, end)| {
            let details = partition["replica_details"].as_array().into_iter().flatten();
            details.filter(|detail| detail["log_end"] == *end).count() == 3
        })
    };
    let data = cluster.data_until(&DESCRIBE, "every replica to have everything", all_told).await;
    for ((partition, end), replicas) in partitions(&data).iter().zip(&ends).zip(assigned) {
        assert_eq!(partition["leader"], json!(replicas[0]));
        assert_eq!(partition["replicas"], json!(replicas));
        assert_eq!(partition["isr"], json!(replicas));
        assert_eq!(partition["eligible_leaders"], json!([]));
        let leader = replica(partition, &partition["leader"]);
        assert_eq!([&leader["log_start"], &leader["high_watermark"]], [&json!(0), &json!(end)]);
        assert_eq!(leader["missing_because"], Value::Null);
    }
    let output = cluster.highwater(&DESCRIBE).await;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(column(&table, "LEADER"), ["4", "5", "6"], "{table}");
    assert_eq!(column(&table, "ISR"), ["4,5,6", "5,6,4", "6,4,5"], "{table}");
    let told: Vec<String> = ends.iter().map(u64::to_string).collect();
    assert_eq!((column(&table, "HW"), column(&table, "END")), (told.clone(), told), "{table}");

    // With two of three gone the ISR is below the two that are asked for, and who left last stays eligible.
    cluster.kill(&[third]).await;
    cluster.led_by("visits", &[first, second]).await;
    cluster.kill(&[second]).await;
    cluster.led_by("visits", &[first]).await;
    let data = cluster
        .data_until(&DESCRIBE, "the second broker to be eligible", |data| {
            partitions(data).iter().all(|partition| {
                // Nobody but the leader tells how far it is, and it may be slow to answer.
                let is_told = replica(partition, &json!(first))["log_end"].is_u64();
                is_told && partition["eligible_leaders"] == json!([second])
            })
        })
        .await;
    for (partition, end) in partitions(&data).iter().zip(&ends) {
        assert_eq!((&partition["leader"], &partition["isr"]), (&json!(first), &json!([first])));
        assert_eq!(replica(partition, &json!(first))["log_end"], json!(end));
        for missing in [second, third] {
            let because = replica(partition, &json!(missing))["missing_because"].as_str().unwrap_or_default();
            assert!(because.contains("its session ended"), "{because}");
        }
    }
    let output = cluster.highwater(&DESCRIBE).await;
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(column(&table, "ELIGIBLE"), ["5", "5", "5"], "{table}");
    assert!(table.contains("replica 6 is missing: "), "{table}");
}
