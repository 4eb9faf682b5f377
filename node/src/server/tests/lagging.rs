//! What a broker says that has not heard everything yet.

use highwater_model::api::{Answer, Request};
use highwater_model::error_code::ErrorCode;
use highwater_transport::rpc::Caller;
use highwater_transport::{api, quic::Lane};

use super::snapshots::{Cluster, TOPIC, host};
use super::*;

#[test]
fn a_broker_says_that_there_is_no_topic_only_of_what_the_controller_has() {
    let run = Simulation::run(4, Config::default(), async |sim| {
        let cluster = Cluster::formatted(&sim, 4).await;
        let _servers = cluster.start(0..3).await;
        let quorum = cluster.client.admin().describe_quorum().await.unwrap();
        let lagging = if quorum.leader == Some(NodeId(3)) { 2 } else { 3 };
        let others = (1..=3).filter(|number| *number != lagging);
        others.for_each(|number| sim.cut(host(lagging), host(number)));
        cluster.create_topic().await;

        let asker = sim.process("asker", host(101)).env();
        let local = SocketAddr::new(host(101), 0);
        let endpoint = Endpoint::bind(&asker, local, &cluster.identity, quic::Settings::default()).unwrap();
        let dialled = endpoint.connect(SocketAddr::new(host(lagging), PORT), Expect::AnyBroker).await;
        let caller = Caller::new(&asker, dialled.unwrap().open(Lane::Control).await.unwrap());
        let ask = async |topic: &str| {
            let request = Request::DescribeConfigs { topic: topic.to_owned(), linearizable: false };
            let frame = api::request(&request, Vec::new()).unwrap();
            caller.call(frame, Duration::from_secs(30)).await.unwrap().decoded::<Answer>().unwrap()
        };
        let cut_off = ask(TOPIC).await;
        sim.heal_all();
        (cut_off, ask(TOPIC).await, ask("no-such-topic").await)
    });

    let (cut_off, described, missing) = run.success();
    let code = |answer: &Answer| if let Answer::Refused(error) = answer { Some(error.code) } else { None };
    assert_eq!(code(&cut_off), Some(ErrorCode::RequestTimedOut), "{cut_off:?}");
    assert!(matches!(described, Answer::Configs(_)), "{described:?}");
    assert_eq!(code(&missing), Some(ErrorCode::UnknownTopicOrPartition), "{missing:?}");
}
