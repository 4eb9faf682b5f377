//! What connections and channels promise.
