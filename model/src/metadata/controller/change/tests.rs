//! The rules of elections.
