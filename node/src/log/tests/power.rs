//! Whatever is done to a log and whenever the power fails: what was synced is there, and what is there is a prefix of
//! what was written.

use std::time::Duration;

use highwater_transport::env::sim::{Config, Simulation};
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Operation {
    Append { count: u32, weight: usize },
    NextEpoch,
    Sync,
    Truncate { keep_per_cent: usize },
    RestartLater,
    Kill,
    PowerLoss { seed: u64 },
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (1_u32..4, 1_usize..400).prop_map(|(count, weight)| Operation::Append { count, weight }),
        2 => Just(Operation::NextEpoch),
        3 => Just(Operation::Sync),
        2 => (0_usize..100).prop_map(|keep_per_cent| Operation::Truncate { keep_per_cent }),
        1 => Just(Operation::RestartLater),
        1 => Just(Operation::Kill),
        2 => any::<u64>().prop_map(|seed| Operation::PowerLoss { seed }),
    ]
}

/// A log beside what it ought to hold.
struct Run {
    sim: SimDisk,
    log: PartitionLog,
    written: Vec<Batch>,
    /// How many of them are synced.
    synced: usize,
    epoch: u32,
}

impl Run {
    async fn new() -> Self {
        let (sim, disk) = simulated();
        let (log, _) = open(&disk, Hints::default()).await;
        Self { sim, log, written: Vec::new(), synced: 0, epoch: 1 }
    }

    async fn step(&mut self, operation: &Operation) {
        match operation {
            Operation::Append { count, weight } => {
                let batch = batch(self.log.end().0, self.epoch, *count, *weight);
                append_all(&mut self.log, std::slice::from_ref(&batch)).await;
                self.written.push(batch);
            }
            Operation::NextEpoch => {
                self.epoch += 1;
                self.log.begin_epoch(self.epoch).await.unwrap();
            }
            Operation::Sync => {
                self.log.sync().await.unwrap();
                self.synced = self.written.len();
            }
            Operation::Truncate { keep_per_cent } => self.truncate(*keep_per_cent).await,
            Operation::RestartLater => {
                self.log.restart_at(self.log.end().after(10)).await.unwrap();
                self.written.clear();
                self.synced = 0;
                self.epoch += 1;
            }
            Operation::Kill => {
                self.sim.kill();
                let recovered = self.reopen(Stop::Killed).await;
                assert_eq!((recovered.cut, recovered.batches), (None, headers(&self.written)));
            }
            Operation::PowerLoss { seed } => self.lose_power(*seed).await,
        }
    }

    async fn truncate(&mut self, keep_per_cent: usize) {
        let keep = self.written.len() * keep_per_cent / 100;
        let Some(first_gone) = self.written.get(keep) else { return };
        let end = first_gone.header().base_offset;
        assert_eq!(self.log.truncate(end).await.unwrap(), Truncated { end });
        self.written.truncate(keep);
        self.synced = self.synced.min(keep);
        self.epoch += 1;
    }

    async fn lose_power(&mut self, seed: u64) {
        self.sim.power_loss(seed);
        let recovered = self.reopen(Stop::Unknown).await;
        let kept = recovered.batches.len();
        assert!(kept >= self.synced, "{kept} batches are left of {} synced ones", self.synced);
        assert_eq!(contents(&self.log).await, self.written[..kept]);
        assert!(recovered.cut.is_none_or(|cut| !cut.is_damage));
        self.written.truncate(kept);
        self.synced = kept;
        // A leader that lost its tail never writes on in its old epoch (R60).
        self.epoch += 1;
    }

    async fn reopen(&mut self, stop: Stop) -> Recovered {
        let recovery_point = self.synced.checked_sub(1).map(|last| self.written[last].header().end_offset());
        let recovery_point = recovery_point.unwrap_or_default();
        let hints = Hints { recovery_point, stop, ..Hints::default() };
        let (log, recovered) = open(&self.sim.mount(None), hints).await;
        assert_eq!(recovered.end, log.end());
        self.log = log;
        recovered
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_synced_is_there_and_what_is_there_was_written(
        operations in prop::collection::vec(operation(), 1..40),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for operation in &operations {
                run.step(operation).await;
            }
            run.lose_power(seed).await;
            assert_eq!(contents(&run.log).await, run.written);
        });
    }
}

/// Appends and syncs that overlap, until the power fails in the midst of them: gives what was told to be flushed, what
/// was left, and how many syncs were under way.
async fn interrupted(simulation: Simulation, seed: u64) -> (Offset, Offset, usize) {
    let sim = SimDisk::new("sim", seed);
    let process = simulation.process("broker", "198.18.0.1".parse().unwrap());
    let env = process.env();
    let (mut log, _) = open(&sim.mount(Some(env.clone())), Hints::default()).await;
    let flushed = Arc::new(std::sync::Mutex::new(Offset::ZERO));
    let mut under_way = 0;
    for at in 0..30 {
        drop(log.append(&[batch(at * 3, 1, 3, 60)]));
        let sync = log.sync();
        let flushed = Arc::clone(&flushed);
        under_way += 1;
        drop(env.spawn("wait", async move {
            if let Ok(Flushed { end }) = sync.await {
                let mut flushed = flushed.lock().unwrap();
                *flushed = end.max(*flushed);
            }
        }));
        simulation.env().sleep(Duration::from_micros(500)).await;
    }
    process.kill();
    sim.power_loss(seed);
    let (_, recovered) = open(&sim.mount(None), Hints::default()).await;
    let flushed = *flushed.lock().unwrap();
    (flushed, recovered.end, under_way)
}

#[test]
fn a_sync_that_was_told_to_be_done_was_done() {
    for seed in 0..40 {
        let run =
            |_: ()| Simulation::run(seed, Config::default(), async |s| interrupted(s, seed).await).success();
        let (flushed, end, _) = run(());

        assert!(flushed > Offset::ZERO, "seed {seed}");
        assert!(flushed <= end, "seed {seed}: {flushed} was flushed, {end} is left");
        assert_eq!(run(()), run(()), "seed {seed}");
    }
}
