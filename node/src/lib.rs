//! The Highwater broker: storage, drivers of the protocol cores, request handling and the command line.

pub mod config;
mod driver;
pub mod server;
