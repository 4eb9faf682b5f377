//! The metadata quorum: Raft in pull form.
