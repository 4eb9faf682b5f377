//! The Highwater broker: storage, drivers of the protocol cores, request handling and the command line.

pub mod config;
mod controller_client;
pub mod disk;
mod driver;
pub mod log;
mod kept;
mod peers;
pub mod server;
