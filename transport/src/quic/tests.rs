//! What connections and channels promise, over real sockets on loopback and over the simulated network.

mod real;
mod simulated;

use super::*;
use crate::certs::LabAuthority;
use crate::env::Env;
use crate::frame::Frame;
use crate::identity::{Expect, Identity, Principal};
use bytes::Bytes;
use highwater_model::id::NodeId;
use std::net::SocketAddr;

fn authority() -> LabAuthority {
    LabAuthority::new("test").unwrap()
}

fn bind(env: &Env, address: SocketAddr, identity: &Identity) -> Endpoint {
    Endpoint::bind(env, address, identity, Settings::default()).unwrap()
}

fn frame(correlation: u64, payload: usize) -> Frame {
    let chunk = Bytes::from(vec![u8::try_from(correlation % 251).unwrap(); payload]);
    Frame { kind: 1, version: 1, correlation, body: Bytes::from_static(b"body"), payload: vec![chunk] }
}

/// Accepts connections and sends every frame back on its channel, for as long as the endpoint lives.
fn echo(env: &Env, endpoint: &Endpoint) {
    let (endpoint, env) = (endpoint.clone(), env.clone());
    env.clone().spawn("echo", async move {
        while let Some(connection) = endpoint.accept().await {
            let env_of_connection = env.clone();
            env.spawn("echo connection", async move {
                while let Ok(mut channel) = connection.accept().await {
                    env_of_connection.spawn("echo channel", async move {
                        while let Ok(Some(frame)) = channel.receive().await {
                            if channel.send(frame).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            });
        }
    });
}
