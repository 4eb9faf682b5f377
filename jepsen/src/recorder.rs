//! Notes every event of a run in one order, as it happens.

use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use highwater_transport::env::{Env, Instant};
use jepsen_judge::history::{Acks, Actor, Event, Fault, FaultStep, Phase, What, write};

/// Complaints that are kept.
const COMPLAINTS_MAX: usize = 16;

/// Where events go. A cheap handle.
#[derive(Clone, Debug)]
pub struct Recorder {
    env: Env,
    began: Instant,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    out: BufWriter<Box<dyn Write + Send>>,
    next_index: u64,
    next_process: u32,
    counts: Counts,
    /// The first failure to write.
    failed: Option<io::Error>,
    /// Whether nothing more is taken.
    is_finished: bool,
    complaints: Vec<String>,
    complained: u64,
}

/// What happened so far, for those who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Operations that took effect.
    pub ok: u64,
    /// Operations that certainly did not.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// Faults that began.
    pub faults: u64,
    /// Records that were acknowledged at acks=all.
    pub acknowledged: u64,
}

/// An operation that has begun and must end.
#[must_use = "an operation that began must be ended, or nobody knows what became of it"]
#[derive(Debug)]
pub struct Begun {
    recorder: Recorder,
    process: u32,
}

impl Recorder {
    /// Notes what happens from here on.
    pub fn new(env: &Env, out: Box<dyn Write + Send>) -> Self {
        let shared = Shared {
            out: BufWriter::new(out),
            next_index: 0,
            next_process: 0,
            counts: Counts::default(),
            failed: None,
            is_finished: false,
            complaints: Vec::new(),
            complained: 0,
        };
        Self { env: env.clone(), began: env.now(), shared: Arc::new(Mutex::new(shared)) }
    }

    /// The number of a process that has done nothing yet.
    #[must_use]
    pub fn new_process(&self) -> u32 {
        let mut shared = self.shared();
        shared.next_process += 1;
        shared.next_process - 1
    }

    /// A process begins an operation.
    pub fn begin(&self, process: u32, what: What) -> Begun {
        self.note(Actor::Process(process), Phase::Invoke, what, None);
        Begun { recorder: self.clone(), process }
    }

    /// Something was broken or mended.
    pub fn fault(&self, kind: &str, step: FaultStep, detail: String) {
        let what = What::Fault(Fault { kind: kind.to_owned(), step, detail });
        self.note(Actor::Nemesis, Phase::Info, what, None);
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared().counts
    }

    /// A client was told what nobody may be told, and no checker sees.
    pub fn complain(&self, what: impl ToString) {
        let mut shared = self.shared();
        shared.complained += 1;
        if shared.complaints.len() < COMPLAINTS_MAX {
            shared.complaints.push(what.to_string());
        }
    }

    /// The first complaints, and how many there were.
    #[must_use]
    pub fn complaints(&self) -> (Vec<String>, u64) {
        let shared = self.shared();
        (shared.complaints.clone(), shared.complained)
    }

    /// Sees to it that all of it is written. What happens later belongs to no run.
    ///
    /// # Errors
    /// The first failure to write any of it.
    pub fn finish(&self) -> io::Result<()> {
        let mut shared = self.shared();
        shared.is_finished = true;
        match shared.failed.take() {
            Some(error) => Err(error),
            None => shared.out.flush(),
        }
    }

    fn note(&self, actor: Actor, phase: Phase, what: What, error: Option<String>) {
        let mut shared = self.shared();
        if shared.is_finished {
            return;
        }
        shared.counts.add(phase, &what);
        // Under the lock, so that the clock and the index agree on the order.
        let time_ns = u64::try_from(self.env.now().since(self.began).as_nanos()).unwrap_or(u64::MAX);
        let index = shared.next_index;
        shared.next_index += 1;
        let event = Event { index, time_ns, actor, phase, what, error, node: None };
        if let Err(error) = write(&mut shared.out, &event) {
            shared.failed.get_or_insert(error);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// It took effect.
    pub fn ok(self, what: What) {
        self.recorder.note(Actor::Process(self.process), Phase::Ok, what, None);
    }

    /// It certainly never takes effect.
    pub fn fail(self, what: What, error: impl ToString) {
        self.recorder.note(Actor::Process(self.process), Phase::Fail, what, Some(error.to_string()));
    }

    /// Nobody knows; the process must do nothing more.
    pub fn info(self, what: What, error: impl ToString) {
        self.recorder.note(Actor::Process(self.process), Phase::Info, what, Some(error.to_string()));
    }
}

impl Counts {
    fn add(&mut self, phase: Phase, what: &What) {
        match (what, phase) {
            (What::Fault(fault), _) => self.faults += u64::from(fault.step == FaultStep::Start),
            (What::Send(send), Phase::Ok | Phase::Info) if send.acks == Acks::All => {
                self.acknowledged +=
                    send.records.iter().filter(|record| record.offset.is_some()).count() as u64;
                let count = if phase == Phase::Ok { &mut self.ok } else { &mut self.info };
                *count += 1;
            }
            (_, Phase::Ok) => self.ok += 1,
            (_, Phase::Fail) => self.fail += 1,
            (_, Phase::Info) => self.info += 1,
            (_, Phase::Invoke) => {}
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("next_index", &self.next_index).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use jepsen_judge::history::{Drained, Reader};

    use super::*;

    /// What is written, to be looked at.
    #[derive(Clone, Debug, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_happens_after_the_end_belongs_to_no_run() {
        let written = Written::default();
        let recorder = Recorder::new(&Env::real(), Box::new(written.clone()));
        let drained = What::Drained(Drained { key: 0, end: 1 });
        let late = recorder.begin(recorder.new_process(), drained.clone());

        recorder.finish().unwrap();
        late.ok(drained);
        recorder.finish().unwrap();

        let bytes = written.0.lock().unwrap().clone();
        let events: Vec<Event> = Reader::new(bytes.as_slice()).collect::<Result<_, _>>().unwrap();
        assert_eq!(events.iter().map(|event| event.phase).collect::<Vec<_>>(), [Phase::Invoke]);
    }

    #[tokio::test]
    async fn complaints_are_counted_and_the_first_are_kept() {
        let recorder = Recorder::new(&Env::real(), Box::new(Vec::new()));
        (0..100).for_each(|number| recorder.complain(number));

        let (first, count) = recorder.complaints();
        assert_eq!((first.len(), count), (COMPLAINTS_MAX, 100));
        assert_eq!(first[0], "0");
    }
}
