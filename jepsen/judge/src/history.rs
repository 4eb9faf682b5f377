//! What clients did and were told: events, and the operations that they make up.
//!
//! An operation begins with an `invoke` event of a process and ends with an event of the same process: `ok`, it took
//! effect; `fail`, it certainly never does; `info`, nobody knows. A process whose operation ended with `info`, or not at
//! all, does nothing more: its successor has another number. The order of events is that of their indexes, in which one
//! recorder noted them, so that what ended before another began has the smaller index.

mod event;
mod line;
mod operation;
mod pairing;
mod reader;

pub use event::{Actor, Event, Phase};
pub use line::write;
pub use operation::{
    Acks, Assign, AssignFrom, CompareAndSet, Drained, EndRead, Fault, FaultStep, Operation, Polled, Register,
    SeenRecord, Send, SentRecord, What,
};
pub use pairing::{Malformed, Pairing};
pub use reader::{LINE_BYTES_MAX, ReadError, Reader};

#[cfg(test)]
mod tests;
