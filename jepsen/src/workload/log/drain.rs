//! The end of a run: once all is mended, one process reads every partition from its beginning to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_client::Client;
use highwater_client::consumer::Start;
use highwater_client::settings::ConsumerSettings;
use highwater_model::id::PartitionIndex;
use highwater_transport::env::Instant;
use jepsen_judge::history::{Assign, AssignFrom, Drained, EndRead, What};

use super::read::{assign, poll};
use crate::workload::{Stage, TOPIC};

/// How long one reader tries before another one takes over.
const TRIED_FOR: Duration = Duration::from_secs(20);

/// Reads everything, for at most `patience`; says which partitions were not read to their ends in time.
///
/// # Errors
/// If no client can be made, or not everything could be read.
pub async fn drain(stage: &Stage, partitions: u32, patience: Duration) -> Result<(), String> {
    let deadline = stage.env.now() + patience;
    let mut left: Vec<u32> = (0..partitions).collect();
    while !left.is_empty() && stage.env.now() < deadline {
        let client = (stage.new_client)().map_err(|error| error.to_string())?;
        let until = deadline.min(stage.env.now() + TRIED_FOR);
        left = Box::pin(one_reader(stage, &client, (left, partitions), until)).await;
    }
    match left.as_slice() {
        [] => Ok(()),
        left => {
            Err(format!("partitions {left:?} could not be read to their ends in {} s", patience.as_secs()))
        }
    }
}

/// Reads as one process; gives what is left.
async fn one_reader(
    stage: &Stage,
    client: &Client,
    (keys, partitions): (Vec<u32>, u32),
    until: Instant,
) -> Vec<u32> {
    let process = stage.recorder.new_process();
    let Some(mut ends) = ends(stage, process, client, &keys).await else { return keys };
    let mut consumer = client.consumer(ConsumerSettings::default());
    let from_beginning = Assign { keys: keys.clone(), from: AssignFrom::Beginning };
    if !assign(stage, process, &mut consumer, (from_beginning, Start::Beginning, partitions)).await {
        return keys;
    }
    loop {
        ends.retain(|key, end| {
            let position = consumer.position(TOPIC, PartitionIndex(*key)).map_or(0, |position| position.0);
            let is_read = position >= *end;
            if is_read {
                let drained = What::Drained(Drained { key: *key, end: *end });
                stage.recorder.begin(process, drained.clone()).ok(drained);
            }
            !is_read
        });
        if ends.is_empty() || stage.env.now() >= until || !poll(stage, process, &mut consumer).await {
            return ends.into_keys().collect();
        }
    }
}

/// Where each partition ends, with every record acknowledged before.
async fn ends(stage: &Stage, process: u32, client: &Client, keys: &[u32]) -> Option<BTreeMap<u32, u64>> {
    let mut ends = BTreeMap::new();
    for key in keys {
        let what = |end| What::End(EndRead { key: *key, end, linearizable: true });
        let begun = stage.recorder.begin(process, what(None));
        match client.linearizable_end(TOPIC, PartitionIndex(*key)).await {
            Ok(end) => {
                begun.ok(what(Some(end.0)));
                ends.insert(*key, end.0);
            }
            Err(error) => {
                begun.fail(what(None), error);
                return None;
            }
        }
    }
    Some(ends)
}
