//! One UDP socket, from which connections are dialled and, by a broker, accepted.
//!
//! All randomness, time and tasks of quinn come from the [`Env`], so that a simulated run repeats itself. What is done
//! with a connection is left to [`super::Connection`].

use super::budget::{Bound, Budget};
use super::connection::Connection;
use super::error::{BindError, ConnectError, LossReason};
use super::settings::Settings;
use super::socket::CappedSocket;
use super::{CloseCode, PROTOCOL_VERSION, tls};
use crate::env::{Env, Task};
use crate::identity::{Expect, Identity, Principal, PrincipalError};
use core::fmt;
use core::time::Duration;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig, TransportConfig, VarInt};
use ring::{hkdf, hmac};
use rustls_pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, Semaphore, mpsc};

/// The hello of the accepting side, which tells the dialling side that it was admitted.
const HELLO: [u8; 3] = [b'H', b'W', PROTOCOL_VERSION];

/// Longest hello of any version, in bytes.
const HELLO_BYTES_MAX: usize = 64;

/// How long closing waits for peers to take notice.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// A socket with an identity. A cheap handle; when the last one is dropped, connections live on until they are closed
/// but no more are accepted.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    quinn: quinn::Endpoint,
    identity: Identity,
    settings: Arc<Settings>,
    transport: Arc<TransportConfig>,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    acceptor: Option<Task>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(acceptor) = &self.acceptor {
            acceptor.abort();
        }
    }
}

impl Endpoint {
    /// Opens an endpoint at `address`, where port 0 picks a free one. Only a broker's identity accepts connections; a
    /// client's endpoint dials alone.
    ///
    /// # Errors
    /// A [`BindError`] that names the address, the setting or the identity at fault.
    pub fn bind(
        env: &Env,
        address: SocketAddr,
        identity: &Identity,
        settings: Settings,
    ) -> Result<Self, BindError> {
        let transport = Arc::new(settings.transport(address)?);
        let datagram_bytes = settings.datagram_bytes(address);
        let server = match identity.principal() {
            Principal::Broker(_) => Some(server_config(env, identity, &transport).map_err(BindError::Tls)?),
            Principal::Client(_) => None,
        };
        let socket = env.udp_bind(address).map_err(|source| BindError::Socket { address, source })?;
        let socket = Arc::new(CappedSocket::new(socket, datagram_bytes));
        let config = endpoint_config(env, identity, datagram_bytes)?;
        let accepts = server.is_some();
        let quinn = quinn::Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(env.clone()))
            .map_err(|source| BindError::Socket { address, source })?;
        let settings = Arc::new(settings);
        let (sender, accepted) = mpsc::channel(settings.accept_queue_max);
        let acceptor = accepts.then(|| {
            let acceptor =
                Acceptor { env: env.clone(), quinn: quinn.clone(), settings: Arc::clone(&settings), sender };
            env.spawn("accept connections", acceptor.run())
        });
        let (env, identity, accepted) = (env.clone(), identity.clone(), Mutex::new(accepted));
        let inner = Inner { env, quinn, identity, settings, transport, accepted, acceptor };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The address that the socket is bound to, with its port.
    ///
    /// # Panics
    /// Never: a bound socket has an address.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.inner.quinn.local_addr().expect("a bound socket has an address")
    }

    /// The identity that it proves.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.inner.identity
    }

    /// The settings that it was opened with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Dials a broker, and returns when it has proven to be whom `expect` says and has admitted us.
    ///
    /// # Errors
    /// A [`ConnectError`] that says who did not accept whom; at the latest after the connect timeout.
    pub async fn connect(&self, address: SocketAddr, expect: Expect) -> Result<Connection, ConnectError> {
        let inner = &self.inner;
        let dialled = self.dial(address, expect);
        match inner.env.timeout(inner.settings.connect_timeout, dialled).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut(address)),
        }
    }

    /// The next connection that a peer made, handshake done and peer known; none when the endpoint is closed or is a
    /// client's.
    pub async fn accept(&self) -> Option<Connection> {
        self.inner.accepted.lock().await.recv().await
    }

    /// Closes all connections and accepts no more; returns when the peers know, or after half a second.
    pub async fn close(&self) {
        if let Some(acceptor) = &self.inner.acceptor {
            acceptor.abort();
        }
        self.inner.quinn.close(VarInt::from_u32(CloseCode::Done.number()), b"endpoint closed");
        // Peers that do not answer notice by their idle timeout.
        let _ = self.inner.env.timeout(CLOSE_WAIT, self.inner.quinn.wait_idle()).await;
    }

    async fn dial(&self, address: SocketAddr, expect: Expect) -> Result<Connection, ConnectError> {
        let inner = &self.inner;
        let undialable = |reason: String| ConnectError::Undialable { address, reason };
        let (crypto, findings) = tls::client(&inner.env, &inner.identity, expect)
            .map_err(|error| undialable(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::clone(&inner.transport));
        config.token_store(Arc::new(quinn::NoneTokenStore));
        let env = inner.env.clone();
        config.initial_dst_cid_provider(Arc::new(move || connection_id(&env)));
        // The name is not compared; TLS wants one to be said.
        let connecting = inner
            .quinn
            .connect_with(config, address, "broker.highwater")
            .map_err(|error| undialable(error.to_string()))?;
        let quinn = connecting.await.map_err(|error| refusal(error, address, expect, &findings))?;
        let peer = findings.principal().ok_or(ConnectError::Nameless(PrincipalError::Missing))?;
        let connection = Connection::new(quinn, peer, &inner.env, &inner.settings, None);
        admission(&connection, address, expect, &findings).await?;
        Ok(connection)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("identity", &self.inner.identity).finish_non_exhaustive()
    }
}

/// Waits for the hello, by which the acceptor says that it has verified us in turn.
async fn admission(
    connection: &Connection,
    address: SocketAddr,
    expect: Expect,
    findings: &tls::Findings,
) -> Result<(), ConnectError> {
    let quinn = connection.quinn();
    let mut stream = quinn.accept_uni().await.map_err(|error| refusal(error, address, expect, findings))?;
    match stream.read_to_end(HELLO_BYTES_MAX).await {
        // Later versions may say more after these bytes.
        Ok(hello) if hello.starts_with(&HELLO) => Ok(()),
        Ok(_) | Err(quinn::ReadToEndError::TooLong) => {
            connection.close(CloseCode::Protocol, "unknown hello");
            Err(ConnectError::Protocol)
        }
        Err(quinn::ReadToEndError::Read(quinn::ReadError::ConnectionLost(error))) => {
            Err(refusal(error, address, expect, findings))
        }
        Err(quinn::ReadToEndError::Read(error)) => {
            Err(ConnectError::Lost(LossReason::Transport(error.to_string())))
        }
    }
}

/// Why a dialled connection was not made.
fn refusal(
    error: quinn::ConnectionError,
    address: SocketAddr,
    expect: Expect,
    findings: &tls::Findings,
) -> ConnectError {
    if let Some(found) = findings.principal().filter(|found| !expect.admits(found)) {
        return ConnectError::WrongPeer { expected: expect, found };
    }
    match error {
        quinn::ConnectionError::TimedOut => ConnectError::TimedOut(address),
        quinn::ConnectionError::TransportError(error) => ConnectError::Unverified(error.to_string()),
        quinn::ConnectionError::ConnectionClosed(close) => ConnectError::Refused(close.to_string()),
        quinn::ConnectionError::ApplicationClosed(close) => {
            ConnectError::Refused(String::from_utf8_lossy(&close.reason).into_owned())
        }
        other @ (quinn::ConnectionError::VersionMismatch
        | quinn::ConnectionError::Reset
        | quinn::ConnectionError::LocallyClosed
        | quinn::ConnectionError::CidsExhausted) => ConnectError::Lost(LossReason::of(other)),
    }
}

/// Brings handshakes to their end, side by side.
struct Acceptor {
    env: Env,
    quinn: quinn::Endpoint,
    settings: Arc<Settings>,
    sender: mpsc::Sender<Connection>,
}

impl Acceptor {
    async fn run(self) {
        let limit = self.settings.accept_queue_max;
        let handshakes = Arc::new(Semaphore::new(limit));
        let of_clients = Bound::new(self.settings.request_bytes_of_clients_max);
        while let Some(incoming) = self.quinn.accept().await {
            // Half of the places are kept for those who have shown that they receive at the address that they send
            // from: the others are told to show it, at no cost here. Anybody can send from a forged address.
            if !incoming.remote_address_validated() && handshakes.available_permits() <= limit / 2 {
                if let Err(error) = incoming.retry() {
                    error.into_incoming().refuse();
                }
                continue;
            }
            let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let (env, settings, sender) = (self.env.clone(), Arc::clone(&self.settings), self.sender.clone());
            let of_clients = of_clients.clone();
            self.env.spawn("handshake", async move {
                let _permit = permit;
                let limit = settings.connect_timeout;
                let address = incoming.remote_address();
                match env.timeout(limit, admit(&env, &settings, of_clients, incoming)).await {
                    // The endpoint may have been dropped meanwhile, and with it the wish for connections.
                    Ok(Ok(connection)) => drop(sender.send(connection).await),
                    Ok(Err(reason)) => tracing::info!(%address, %reason, "connection refused"),
                    Err(_) => tracing::info!(%address, "handshake took too long"),
                }
            });
        }
    }
}

/// Completes one handshake from the accepting side and greets the peer.
async fn admit(
    env: &Env,
    settings: &Arc<Settings>,
    of_clients: Bound,
    incoming: quinn::Incoming,
) -> Result<Connection, String> {
    let quinn = incoming.await.map_err(|error| error.to_string())?;
    let peer = match certified(&quinn) {
        Ok(peer) => peer,
        Err(error) => {
            let reason = error.to_string();
            quinn.close(VarInt::from_u32(CloseCode::NotAdmitted.number()), reason.as_bytes());
            return Err(reason);
        }
    };
    let mut hello = quinn.open_uni().await.map_err(|error| error.to_string())?;
    hello.write_all(&HELLO).await.map_err(|error| error.to_string())?;
    hello.finish().map_err(|error| error.to_string())?;
    let shared = matches!(peer, Principal::Client(_)).then_some(of_clients);
    let budget = Budget::new(Bound::new(settings.request_bytes_per_connection_max), shared);
    Ok(Connection::new(quinn, peer, env, settings, Some(budget)))
}

/// Whom the peer's verified certificate names.
fn certified(quinn: &quinn::Connection) -> Result<Principal, PrincipalError> {
    let identity = quinn.peer_identity().and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let leaf = identity.as_deref().and_then(|chain| chain.first()).ok_or(PrincipalError::Missing)?;
    Principal::from_certificate(leaf)
}

fn server_config(
    env: &Env,
    identity: &Identity,
    transport: &Arc<TransportConfig>,
) -> Result<quinn::ServerConfig, rustls::Error> {
    let crypto = tls::server(env, identity)?;
    let mut secret = [0; 64];
    env.random_bytes(&mut secret);
    let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret);
    let mut config = quinn::ServerConfig::new(Arc::new(crypto), Arc::new(token_key));
    config.transport_config(Arc::clone(transport));
    config.time_source(Arc::new(TokenClock(env.clone())));
    let mut tokens = quinn::ValidationTokenConfig::default();
    tokens.sent(0);
    config.validation_token_config(tokens);
    Ok(config)
}

fn endpoint_config(env: &Env, identity: &Identity, datagram_bytes: u16) -> Result<EndpointConfig, BindError> {
    // The key survives a restart, so that peers of the former run learn at their next datagram that it is over.
    let mut secret = b"highwater stateless reset".to_vec();
    secret.extend_from_slice(identity.key().secret_der());
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    let mut seed = [0; 32];
    env.random_bytes(&mut seed);
    config.rng_seed(Some(seed));
    let env = env.clone();
    config.cid_generator(move || Box::new(EnvConnectionIds(env.clone())));
    config
        .max_udp_payload_size(datagram_bytes.max(1472))
        .map_err(|_| BindError::Setting("datagram_bytes_max"))?;
    Ok(config)
}

/// Connection ids of eight bytes, drawn from the environment.
struct EnvConnectionIds(Env);

impl ConnectionIdGenerator for EnvConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        connection_id(&self.0)
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn connection_id(env: &Env) -> ConnectionId {
    ConnectionId::new(&env.random_u64().to_le_bytes())
}

/// The clock of handshake tokens.
struct TokenClock(Env);

impl quinn::TimeSource for TokenClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.wall_ms())
    }
}
