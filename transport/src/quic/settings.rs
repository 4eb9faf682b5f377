//! The settings of an endpoint, and why each has the value that it has (measurements: `docs/TRANSPORT.md`).
//!
//! Leaves their use to the endpoint.

use super::error::BindError;
use crate::frame::FrameLimits;
use core::time::Duration;
use quinn::congestion::CubicConfig;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use std::net::SocketAddr;
use std::sync::Arc;

/// The largest UDP payload that an Ethernet link carries over IPv6 too.
const ETHERNET_DATAGRAM_BYTES: u16 = 1452;

/// The largest datagram used on loopback: throughput is 2.4 times that of Ethernet-sized ones.
const LOOPBACK_DATAGRAM_BYTES: u16 = 65_000;

/// How much may wait in a channel's queue towards the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Frames.
    pub frames_max: usize,
    /// Bytes; one larger frame may wait alone.
    pub bytes_max: u32,
}

/// How an endpoint treats its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Silence after which a peer counts as gone. Both sides state one, the smaller binds.
    pub idle_timeout: Duration,
    /// How often an otherwise silent connection is spoken on; several must fit into the idle timeout.
    pub keep_alive: Duration,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// The round trip assumed before one was measured. Lost packets of a handshake are sent again after three of it,
    /// which must fit into the idle timeout a few times; a longer way only costs packets sent twice.
    pub initial_round_trip: Duration,
    /// Unread bytes that a peer may have under way on one channel.
    pub stream_window_bytes: u32,
    /// Unread bytes that a peer may have under way on one connection. Above twice the stream window, so that one
    /// channel that nobody reads does not stop the others; all connections of a socket together should stay below its
    /// receive buffer.
    pub connection_window_bytes: u32,
    /// Bytes sent and not yet acknowledged that a connection may hold.
    pub send_window_bytes: u32,
    /// The congestion window at the start.
    pub initial_window_bytes: u32,
    /// The largest datagram to look for; by the address bound when none is given: 65,000 on loopback, else 1452.
    pub datagram_bytes_max: Option<u16>,
    /// The most channels that a peer may have open on one connection.
    pub channels_max: u16,
    /// The largest frames sent on channels that were opened here, and accepted on those that the peer opened.
    pub frame_limits: FrameLimits,
    /// The same the other way: what comes back on channels that were opened here. It may be more, because whoever opens a
    /// channel wants what comes back, and anybody may open one.
    pub answer_limits: FrameLimits,
    /// What may wait in a channel's queue before a sender has to, where nothing else is said when it is opened.
    pub queue: Queue,
    /// Bytes of requests that are held of one connection, from the reading of their header until they are answered.
    pub request_bytes_per_connection_max: u32,
    /// The same of all clients together; other brokers are not among them.
    pub request_bytes_of_clients_max: u32,
    /// A peer that sends less than 256 KiB more of a frame within this time has given the channel up.
    pub frame_stall_max: Duration,
    /// Connections that may wait to be accepted, and handshakes that may be under way; at most half of these are with
    /// peers whose address is not proven.
    pub accept_queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_millis(1200),
            keep_alive: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(2),
            initial_round_trip: Duration::from_millis(50),
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 5 << 19,
            send_window_bytes: 4 << 20,
            initial_window_bytes: 256 << 10,
            datagram_bytes_max: None,
            channels_max: 64,
            frame_limits: FrameLimits::default(),
            answer_limits: FrameLimits { body_bytes_max: 16 << 20, ..FrameLimits::default() },
            queue: Queue { frames_max: 256, bytes_max: 8 << 20 },
            request_bytes_per_connection_max: 128 << 20,
            request_bytes_of_clients_max: 512 << 20,
            frame_stall_max: Duration::from_secs(10),
            accept_queue_max: 1024,
        }
    }
}

impl Settings {
    /// The largest datagram to look for on a socket bound to `address`.
    pub(super) fn datagram_bytes(&self, address: SocketAddr) -> u16 {
        let usual =
            if address.ip().is_loopback() { LOOPBACK_DATAGRAM_BYTES } else { ETHERNET_DATAGRAM_BYTES };
        self.datagram_bytes_max.unwrap_or(usual).clamp(1200, LOOPBACK_DATAGRAM_BYTES)
    }

    /// The same as quinn wants it.
    pub(super) fn transport(&self, address: SocketAddr) -> Result<TransportConfig, BindError> {
        let idle =
            IdleTimeout::try_from(self.idle_timeout).map_err(|_| BindError::Setting("idle_timeout"))?;
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(self.datagram_bytes(address));
        let mut cubic = CubicConfig::default();
        cubic.initial_window(u64::from(self.initial_window_bytes));
        let mut transport = TransportConfig::default();
        transport
            .max_idle_timeout(Some(idle))
            .keep_alive_interval(Some(self.keep_alive))
            .initial_rtt(self.initial_round_trip)
            .stream_receive_window(VarInt::from_u32(self.stream_window_bytes))
            .receive_window(VarInt::from_u32(self.connection_window_bytes))
            .send_window(u64::from(self.send_window_bytes))
            .max_concurrent_bidi_streams(VarInt::from_u32(u32::from(self.channels_max)))
            .max_concurrent_uni_streams(VarInt::from_u32(1))
            .datagram_receive_buffer_size(None)
            .mtu_discovery_config(Some(discovery))
            .congestion_controller_factory(Arc::new(cubic));
        Ok(transport)
    }
}
