//! The Highwater broker: storage, drivers of the protocol cores, request handling and the command line.

pub mod cli;
pub mod config;
mod controller_client;
pub mod disk;
mod driver;
mod kept;
mod listener;
pub mod log;
pub mod monitor;
mod partitions;
mod peers;
mod requests;
pub mod server;
pub mod trace;
