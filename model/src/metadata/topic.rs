//! A topic: its name, its configuration, its partitions.

use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Partition, TopicConfig};
use crate::id::{Offset, PartitionIndex, TopicId, TopicPartition};

/// A topic and its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// What was set on it.
    pub config: TopicConfig,
    /// End of the batch that last changed its configuration, exclusive: what a compare-and-set expects.
    pub config_offset: Offset,
    /// Its partitions; the place is the index.
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// One of its partitions.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    /// Its partitions with their names.
    pub fn named_partitions(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        let named = |(index, partition)| {
            (TopicPartition { topic: self.id, partition: PartitionIndex(index) }, partition)
        };
        (0..).zip(&self.partitions).map(named)
    }
}
