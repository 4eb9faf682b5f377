//! Producer, consumer and admin for Highwater over QUIC.
//!
//! A [`Client`] knows the cluster; from it come a [`Producer`], a [`Consumer`] and an [`Admin`]. Everything runs on a
//! [`highwater_transport::env::Env`], so that it also runs in the simulator.

pub mod admin;
mod client;
pub mod consumer;
pub mod error;
mod link;
pub mod metadata;
pub mod partitioner;
pub mod producer;
pub mod settings;

pub use admin::Admin;
pub use client::Client;
pub use consumer::Consumer;
pub use producer::Producer;
