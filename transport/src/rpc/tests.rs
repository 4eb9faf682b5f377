//! What calls promise.
