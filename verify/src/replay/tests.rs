//! What becomes of counterexamples when the file or the code has changed.
