//! Commands, answers and offices.
