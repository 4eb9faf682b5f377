//! Folding batches of records.
