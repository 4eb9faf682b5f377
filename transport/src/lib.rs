//! What the broker stands on: time, timers, randomness, spawning and datagrams, real or simulated from a seed
//! ([`mod@env`]); identities and certificates ([`identity`], [`certs`]); frames over QUIC ([`frame`], [`quic`]) and calls
//! over frames ([`rpc`]).
//!
//! It moves bytes between proven identities and never takes a protocol decision: it compares no epochs and does not
//! know what a partition is for. `docs/TRANSPORT.md` describes the wire and the settings.
#![forbid(unsafe_code)]

pub mod api;
pub mod batch;
pub mod certs;
pub mod env;
pub mod frame;
pub mod identity;
pub mod quic;
pub mod rpc;
pub mod watch;
