//! Over real sockets on loopback.

use super::*;
use core::time::Duration;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn frames_come_back_and_both_sides_know_each_other() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(3)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());

    let dialled = client.connect(broker.local_address(), Expect::Broker(NodeId(3))).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let mut here = dialled.open(Lane::Control).await.unwrap();
    let mut there = accepted.accept().await.unwrap();
    here.send(frame(7, 10)).await.unwrap();
    there.send(frame(8, 20)).await.unwrap();

    assert_eq!(dialled.peer(), &Principal::Broker(NodeId(3)));
    assert_eq!(accepted.peer(), &Principal::Client("alice".to_owned()));
    assert_eq!(there.lane(), Lane::Control);
    assert_eq!(there.receive().await, Ok(Some(frame(7, 10))));
    assert_eq!(here.receive().await, Ok(Some(frame(8, 20))));
}

#[tokio::test]
async fn eight_mebibytes_go_through_in_one_frame() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    echo(&env, &broker);

    let connection = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let mut channel = connection.open(Lane::Data).await.unwrap();
    let big = frame(1, 8 << 20);
    channel.send(big.clone()).await.unwrap();

    assert_eq!(channel.receive().await, Ok(Some(big)));
}

#[tokio::test]
async fn a_dropped_sender_ends_the_channel_after_what_it_queued() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let channel = dialled.open(Lane::Data).await.unwrap();
    for correlation in 0..20 {
        channel.send(frame(correlation, 100_000)).await.unwrap();
    }
    drop((channel, dialled));

    let mut received = accepted.accept().await.unwrap();
    for correlation in 0..20 {
        assert_eq!(received.receive().await, Ok(Some(frame(correlation, 100_000))));
    }
    assert_eq!(received.receive().await, Ok(None));
}

#[tokio::test]
async fn a_channel_is_ended_after_what_it_queued_whoever_holds_it() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let channel = dialled.open(Lane::Data).await.unwrap();
    let other = channel.sender().clone();
    for correlation in 0..20 {
        channel.send(frame(correlation, 100_000)).await.unwrap();
    }
    channel.sender().end().await;

    let mut received = accepted.accept().await.unwrap();
    for correlation in 0..20 {
        assert_eq!(received.receive().await, Ok(Some(frame(correlation, 100_000))));
    }
    assert_eq!(received.receive().await, Ok(None));
    assert_eq!(other.send(frame(20, 1)).await, Err(SendError::Closed));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_too_large_a_frame_for_ever() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let channel = dialled.open(Lane::Data).await.unwrap();

    let refused = core::iter::repeat_with(|| channel.sender().try_send(frame(1, 1 << 20))).take(100);
    assert!(refused.into_iter().any(|sent| sent == Err(TrySendError::Full)));
    assert!(matches!(channel.send(frame(1, 65 << 20)).await, Err(SendError::Frame(_))));
    accepted.close(CloseCode::Done, "enough");
    channel.sender().closed().await;
    assert_eq!(channel.sender().try_send(frame(1, 1)), Err(TrySendError::Send(SendError::Closed)));
    assert_eq!(
        dialled.closed().await.reason,
        LossReason::ClosedByPeer { code: 0, reason: "enough".to_owned() }
    );
}

#[tokio::test]
async fn who_is_not_whom_we_dialled_is_refused() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let dialler = bind(&env, LOCAL, &authority.broker(NodeId(2)).unwrap());

    let refused = dialler.connect(broker.local_address(), Expect::Broker(NodeId(3))).await.unwrap_err();

    let found = Principal::Broker(NodeId(1));
    assert_eq!(refused, ConnectError::WrongPeer { expected: Expect::Broker(NodeId(3)), found });
}

#[tokio::test]
async fn a_broker_of_another_authority_is_not_believed() {
    let env = Env::real();
    let broker = bind(&env, LOCAL, &authority().broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority().client("alice").unwrap());

    let refused = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap_err();

    assert!(matches!(refused, ConnectError::Unverified(_)), "{refused:?}");
}

#[tokio::test]
async fn a_client_of_another_authority_is_not_admitted() {
    let (env, ours, other) = (Env::real(), authority(), authority());
    let broker = bind(&env, LOCAL, &ours.broker(NodeId(1)).unwrap());
    let issued = other.issue_client("mallory").unwrap();
    let (certificate, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    let mallory = Identity::from_pem(certificate, key, ours.certificate_pem().as_bytes()).unwrap();
    let client = bind(&env, LOCAL, &mallory);

    let refused = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap_err();

    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_client_certificate_never_serves_as_a_brokers() {
    let (env, authority) = (Env::real(), authority());
    let impostor = authority.client("mallory").unwrap();
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    // A client's endpoint accepts nothing, so the impostor builds its own.
    let crypto = tls::server(&env, &impostor).unwrap();
    let token_key = ring::hkdf::Salt::new(ring::hkdf::HKDF_SHA256, &[]).extract(&[0; 32]);
    let config = quinn::ServerConfig::new(std::sync::Arc::new(crypto), std::sync::Arc::new(token_key));
    let socket = std::net::UdpSocket::bind(LOCAL).unwrap();
    let address = socket.local_addr().unwrap();
    let endpoint = quinn::EndpointConfig::default();
    let server =
        quinn::Endpoint::new(endpoint, Some(config), socket, std::sync::Arc::new(env.clone())).unwrap();
    env.spawn("impostor", async move {
        while let Some(incoming) = server.accept().await {
            drop(incoming.await);
        }
    });

    let refused = client.connect(address, Expect::AnyBroker).await.unwrap_err();

    assert!(matches!(refused, ConnectError::Unverified(_)), "{refused:?}");
}

#[tokio::test]
async fn a_dial_that_nobody_answers_ends() {
    let (env, authority) = (Env::real(), authority());
    let silent = std::net::UdpSocket::bind(LOCAL).unwrap();
    let address = silent.local_addr().unwrap();
    let settings = Settings { connect_timeout: Duration::from_millis(100), ..Settings::default() };
    let client = Endpoint::bind(&env, LOCAL, &authority.client("alice").unwrap(), settings).unwrap();

    let refused = client.connect(address, Expect::AnyBroker).await.unwrap_err();

    assert_eq!(refused, ConnectError::TimedOut(address));
}

#[tokio::test]
async fn a_closed_endpoint_tells_its_peers() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();

    broker.close().await;

    assert_eq!(accepted.closed().await.reason, LossReason::ClosedHere);
    assert!(matches!(dialled.closed().await.reason, LossReason::ClosedByPeer { code: 0, .. }));
    assert!(broker.accept().await.is_none());
}

#[tokio::test]
async fn a_peer_that_opens_no_known_channel_is_cut_off() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let (mut send, _receive) = dialled.quinn().open_bi().await.unwrap();
    send.write_all(&[PROTOCOL_VERSION, 9]).await.unwrap();

    assert_eq!(accepted.accept().await.unwrap_err().reason, LossReason::ClosedHere);

    let reason = "unknown channel".to_owned();
    assert_eq!(dialled.closed().await.reason, LossReason::ClosedByPeer { code: 2, reason });
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_channel_with_a_typed_error() {
    let (env, authority) = (Env::real(), authority());
    let broker = bind(&env, LOCAL, &authority.broker(NodeId(1)).unwrap());
    let client = bind(&env, LOCAL, &authority.client("alice").unwrap());
    let dialled = client.connect(broker.local_address(), Expect::AnyBroker).await.unwrap();
    let accepted = broker.accept().await.unwrap();
    let (mut send, _receive) = dialled.quinn().open_bi().await.unwrap();
    send.write_all(&[PROTOCOL_VERSION, Lane::Data.code(), 0xff, 0xff]).await.unwrap();

    let mut channel = accepted.accept().await.unwrap();

    let error = ReceiveError::Frame(crate::frame::FrameError::HeaderTooLarge { length: 0xffff });
    assert_eq!(channel.receive().await, Err(error.clone()));
    assert_eq!(channel.receive().await, Err(error));
}
