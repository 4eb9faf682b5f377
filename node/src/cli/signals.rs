//! Signals that end a command: Ctrl-C, SIGTERM, and SIGHUP of a closed terminal. All mean the same.
//!
//! What ends with the command is left to whoever is dropped.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::{Failure, exit};

/// The signals that ask a command to end. While this lives none of them ends the process by itself.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Begins to listen.
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::failed(format!("no signals: {error}"), ""));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: (!ignores_hangup()).then(|| listen(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next of them.
    pub(super) async fn recv(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// Whether this process was started to outlive its terminal (`nohup`).
fn ignores_hangup() -> bool {
    let status = super::files::read("/proc/self/status".as_ref()).unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The first bit is the first signal, which is SIGHUP.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Ends a command when it is asked to.
pub(super) async fn until_interrupted(
    command: impl Future<Output = Result<u8, Failure>>,
) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        biased;
        () = signals.recv() => Err(Failure::new(exit::INTERRUPTED, "interrupted", "")),
        done = command => done,
    }
}

/// Has the system kill this process when the one that started it ends.
#[cfg(target_os = "linux")]
pub(super) fn end_with_parent(parent: u32) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("cannot follow the end of process {parent}: {error}"), "");
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).map_err(failed)?;
    let now = rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero);
    // It may have ended just before.
    if now.is_none_or(|now| u32::try_from(now.get()) != Ok(parent)) {
        return Err(Failure::failed(format!("process {parent}, which started this one, has ended"), ""));
    }
    Ok(())
}

/// Only Linux offers this: elsewhere a process that is started outlives the one that started it, if that is killed.
#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_parent(_parent: u32) -> Result<(), Failure> {
    Ok(())
}
