//! The cluster state machine: brokers, topics, partitions, configuration.
