//! How long the checkers take for large histories: `cargo run --release -p jepsen-judge --example speed [OPERATIONS]`.
//!
//! A log of so many sends and polls, half each, written as lines of JSON and read back, by 50 processes over 12 partitions
//! with one in a hundred sends of unknown outcome; and 100,000 operations on 100 registers by 50 processes, one in a hundred of
//! unknown outcome. Both are as one correct copy would have them, and what is printed are the times of this machine.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement for a person to read")]

use std::io::{BufReader, BufWriter, Write as _};
use std::time::Instant;

use jepsen_judge::history::{
    Acks, Actor, CompareAndSet, Drained, Event, Pairing, Phase, Polled, Reader, Register, SeenRecord, Send,
    SentRecord, What, write,
};
use jepsen_judge::verdict::Verdict;
use jepsen_judge::{linearizable, log};

const PROCESSES: u64 = 50;
const PARTITIONS: u64 = 12;

/// Numbers that look random (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Gives events their places, and processes their numbers.
struct Script<F: FnMut(Event)> {
    next: u64,
    process: Vec<u32>,
    fresh: u32,
    take: F,
}

impl<F: FnMut(Event)> Script<F> {
    fn new(take: F) -> Self {
        let process: Vec<u32> = (0..).take(usize::try_from(PROCESSES).unwrap_or_default()).collect();
        Self { next: 0, fresh: u32::try_from(process.len()).unwrap_or_default(), process, take }
    }

    fn event(&mut self, who: u64, phase: Phase, what: What) {
        let place = usize::try_from(who).unwrap_or_default();
        let Some(process) = self.process.get_mut(place) else { return };
        let index = self.next;
        self.next += 1;
        let actor = Actor::Process(*process);
        if phase == Phase::Info {
            (*process, self.fresh) = (self.fresh, self.fresh + 1);
        }
        (self.take)(Event { index, time_ns: index, actor, phase, what, error: None, node: None });
    }
}

fn send(value: u64, key: u64, offset: Option<u64>) -> What {
    let key = u32::try_from(key).unwrap_or_default();
    What::Send(Send { acks: Acks::All, idempotent: true, records: vec![SentRecord { key, value, offset }] })
}

fn log_history(operations: u64, take: impl FnMut(Event)) {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut script = Script::new(take);
    let mut logs: Vec<Vec<u64>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
    let mut read = vec![vec![0_usize; logs.len()]; usize::try_from(PROCESSES).unwrap_or_default()];
    for value in 0..operations / 2 {
        let (who, key) = (numbers.below(PROCESSES / 2), numbers.below(PARTITIONS));
        let Some(log) = logs.get_mut(usize::try_from(key).unwrap_or_default()) else { continue };
        script.event(who, Phase::Invoke, send(value, key, None));
        log.push(value);
        let unknown = numbers.below(100) == 0;
        let offset = (!unknown).then(|| log.len() as u64 - 1);
        script.event(who, if unknown { Phase::Info } else { Phase::Ok }, send(value, key, offset));
        let reader = PROCESSES / 2 + numbers.below(PROCESSES / 2);
        script.event(reader, Phase::Invoke, What::Poll(Polled::default()));
        let positions = read.get_mut(usize::try_from(reader).unwrap_or_default());
        let position = positions.and_then(|read| read.get_mut(usize::try_from(key).unwrap_or_default()));
        let mut records = Vec::new();
        if let Some(position) = position {
            for (offset, value) in log.iter().enumerate().skip(*position).take(4) {
                let key = u32::try_from(key).unwrap_or_default();
                records.push(SeenRecord { key, offset: offset as u64, value: Some(*value) });
            }
            *position += records.len();
        }
        script.event(reader, Phase::Ok, What::Poll(Polled { records }));
    }
    for (key, log) in (0..).zip(&logs) {
        let seen =
            |(offset, value): (usize, &u64)| SeenRecord { key, offset: offset as u64, value: Some(*value) };
        let what = What::Poll(Polled { records: log.iter().enumerate().map(seen).collect() });
        // A reader that has polled nothing yet.
        script.event(0, Phase::Invoke, What::Crash);
        script.event(0, Phase::Info, What::Crash);
        script.event(0, Phase::Invoke, What::Poll(Polled::default()));
        script.event(0, Phase::Ok, what);
        let drained = What::Drained(Drained { key, end: log.len() as u64 });
        script.event(0, Phase::Invoke, drained.clone());
        script.event(0, Phase::Ok, drained);
    }
}

/// An operation on a register that has begun.
#[derive(Clone)]
struct Begun {
    what: What,
    /// What it came to, if it has taken effect.
    effect: Option<(What, Phase)>,
    is_known: bool,
}

/// Lets an operation take effect.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other kinds are made here")]
fn effect(what: &What, register: &mut Option<u64>) -> (What, Phase) {
    match what {
        What::Read(read) => (What::Read(Register { value: *register, ..*read }), Phase::Ok),
        What::CompareAndSet(cas) if cas.expected != *register => (what.clone(), Phase::Fail),
        What::CompareAndSet(cas) => {
            *register = Some(cas.value);
            (what.clone(), Phase::Ok)
        }
        other => {
            if let What::Write(write) = other {
                *register = write.value;
            }
            (other.clone(), Phase::Ok)
        }
    }
}

/// Operations that take effect when they begin or when they end, by chance.
fn register_history(operations: u64, take: impl FnMut(Event)) {
    let mut numbers = Numbers(521_288_629);
    let mut script = Script::new(take);
    let mut registers: Vec<Option<u64>> = vec![None; 100];
    let mut busy: Vec<Option<(usize, Begun)>> = vec![None; usize::try_from(PROCESSES).unwrap_or_default()];
    let mut done = 0;
    while done < operations {
        let who = numbers.below(PROCESSES);
        let Some(slot) = busy.get_mut(usize::try_from(who).unwrap_or_default()) else { return };
        if let Some((place, begun)) = slot.take() {
            let Some(register) = registers.get_mut(place) else { return };
            let (what, phase) = begun.effect.unwrap_or_else(|| effect(&begun.what, register));
            script.event(who, if begun.is_known { phase } else { Phase::Info }, what);
            continue;
        }
        done += 1;
        let key = u32::try_from(numbers.below(100)).unwrap_or_default();
        let Some(register) = registers.get_mut(key as usize) else { return };
        let what = match numbers.below(3) {
            0 => What::Read(Register { key, value: None }),
            1 => What::Write(Register { key, value: Some(numbers.below(5)) }),
            _ => What::CompareAndSet(CompareAndSet { key, expected: *register, value: numbers.below(5) }),
        };
        script.event(who, Phase::Invoke, what.clone());
        let effect = (numbers.below(2) == 0).then(|| effect(&what, register));
        *slot = Some((key as usize, Begun { what, effect, is_known: numbers.below(100) > 0 }));
    }
}

fn show(what: &str, began: Instant, verdict: Option<&Verdict>) {
    let validity =
        verdict.map_or_else(String::new, |verdict| format!("{}, {:?}", verdict.validity, verdict.counts));
    println!("{what:<44} {:6.1} s  {validity}", began.elapsed().as_secs_f64());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let operations = std::env::args().nth(1).map_or(Ok(10_000_000), |text| text.parse())?;
    let path = std::env::temp_dir().join(format!("jepsen-speed-{}.jsonl", std::process::id()));
    let began = Instant::now();
    let mut out = BufWriter::new(std::fs::File::create(&path)?);
    let mut failed = None;
    log_history(operations, |event| failed = failed.take().or_else(|| write(&mut out, &event).err()));
    failed.map_or(Ok(()), Err)?;
    out.flush()?;
    show(&format!("log: {operations} operations made and written"), began, None);

    let began = Instant::now();
    let (mut pairing, mut checker) = (Pairing::default(), log::Checker::default());
    for event in Reader::new(BufReader::new(std::fs::File::open(&path)?)) {
        pairing.take(event?)?.iter().for_each(|operation| checker.take(operation));
    }
    let verdict = checker.finish();
    show("log: read and judged", began, Some(&verdict));
    std::fs::remove_file(&path)?;

    let (mut pairing, mut operations) = (Pairing::default(), Vec::new());
    register_history(100_000, |event| {
        if let Ok(done) = pairing.take(event) {
            operations.extend(done);
        }
    });
    operations.extend(pairing.finish());
    let began = Instant::now();
    let mut checker = linearizable::Checker::default();
    operations.iter().for_each(|operation| checker.take(operation));
    show("registers: 100,000 operations judged", began, Some(&checker.finish(50_000_000)));
    Ok(())
}
