//! Producing records: idempotent by default, in order per partition, with a typed outcome for every record.

pub mod queue;
