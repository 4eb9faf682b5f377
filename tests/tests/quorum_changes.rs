//! Voters of the metadata quorum come and go by the command line, and the cluster's metadata changes on.

use highwater_model::id::NodeId;
use highwater_tests::processes::Cluster;
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_highwater-planted");
const STATUS: [&str; 2] = ["quorum", "status"];

/// The nodes in a list of a quorum's status.
fn nodes(status: &Value, list: &str) -> Vec<u64> {
    let entries = status[list].as_array().expect("a status has this list");
    let mut nodes: Vec<u64> = entries.iter().filter_map(|entry| entry["node"].as_u64()).collect();
    nodes.sort_unstable();
    nodes
}

/// Waits until these vote, one of them leads, and all the others follow.
async fn voters(cluster: &Cluster, wanted: &[u64]) -> Value {
    let what = format!("{wanted:?} to vote");
    let all = [1, 2, 3, 4].into_iter();
    let others: Vec<u64> = all.filter(|node| !wanted.contains(node)).collect();
    cluster
        .data_until(&STATUS, &what, |status| {
            let is_led = status["leader"].as_u64().is_some_and(|leader| wanted.contains(&leader));
            is_led && nodes(status, "voters") == wanted && nodes(status, "observers") == others
        })
        .await
}

/// A topic on every broker that is given can still be created.
async fn create(cluster: &mut Cluster, name: &str, brokers: &[NodeId]) {
    cluster.create_topic(name, &[brokers], 1).await;
    cluster.all_in_sync(&[name]).await;
}

#[tokio::test]
async fn a_voter_is_added_and_two_are_removed_the_leader_among_them() {
    let mut cluster = Cluster::with_observer(PROGRAM, 3).await;
    let brokers = cluster.brokers();
    let begun = voters(&cluster, &[1, 2, 3]).await;
    create(&mut cluster, "with-three", &brokers).await;
    let refused = cluster.highwater(&["quorum", "add", "9"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("node 9 is no observer"));

    let added = cluster.data(&["quorum", "add", "4"]).await;
    assert_eq!(added["node"], 4);
    voters(&cluster, &[1, 2, 3, 4]).await;
    create(&mut cluster, "with-four", &brokers).await;
    let text = cluster.highwater(&STATUS).await;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert_eq!(text.lines().filter(|line| line.contains("voter")).count(), 3, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("leader")).count(), 2, "{text}");

    // A voter that does not lead, then the one that does.
    let status = voters(&cluster, &[1, 2, 3, 4]).await;
    let leader = status["leader"].as_u64().expect("it was waited for");
    let follower = [1, 2, 3].into_iter().find(|node| *node != leader).expect("only one of them leads");
    cluster.data(&["quorum", "remove", &follower.to_string()]).await;
    let left: Vec<u64> = [1, 2, 3, 4].into_iter().filter(|node| *node != follower).collect();
    let status = voters(&cluster, &left).await;
    create(&mut cluster, "without-a-follower", &brokers).await;
    let leader = status["leader"].as_u64().expect("it was waited for");
    cluster.data(&["quorum", "remove", &leader.to_string()]).await;
    let left: Vec<u64> = left.into_iter().filter(|node| *node != leader).collect();
    let status = voters(&cluster, &left).await;
    assert!(status["quorum_epoch"].as_u64() > begun["quorum_epoch"].as_u64());
    create(&mut cluster, "without-a-leader", &brokers).await;

    // Who does not vote is not needed.
    let removed: Vec<NodeId> =
        [1, 2, 3, 4].into_iter().filter(|node| !left.contains(&u64::from(*node))).map(NodeId).collect();
    let alive: Vec<NodeId> = brokers.into_iter().filter(|node| !removed.contains(node)).collect();
    cluster.kill(&removed).await;
    create(&mut cluster, "with-the-voters-alone", &alive).await;
    cluster.start_all(&removed);
    cluster.all_admitted().await;

    // All of them at once, and all of them forget who voted but for what is in their logs.
    let all = [1, 2, 3, 4].map(NodeId);
    cluster.kill(&all).await;
    cluster.start_all(&all);
    cluster.all_admitted().await;
    voters(&cluster, &left).await;
    let topics =
        ["with-three", "with-four", "without-a-follower", "without-a-leader", "with-the-voters-alone"];
    cluster.all_in_sync(&topics).await;
}
