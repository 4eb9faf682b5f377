//! Producer, consumer and admin for Highwater over QUIC.

pub mod error;
pub mod metadata;
pub mod partitioner;
pub mod producer;
pub mod settings;
