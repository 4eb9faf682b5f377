//! What the machine is, what else it does, and what a process uses of it. From `/proc`: elsewhere nothing is known.

use std::path::Path;

use serde::Serialize;

use crate::cli::files;

/// The machine that was measured on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Machine {
    /// Model of its first processor.
    pub(super) cpu: Option<String>,
    /// Logical processors that this process may use.
    pub(super) cores: Option<usize>,
    /// Memory in bytes.
    pub(super) memory_bytes: Option<u64>,
    /// The operating system.
    pub(super) os: &'static str,
    /// Release of its kernel.
    pub(super) kernel: Option<String>,
    /// The file system of the brokers' files, as `/proc/mounts` has it: device, type, options.
    pub(super) file_system: Option<String>,
}

impl Machine {
    /// This one, with files in `dir`.
    pub(super) fn this(dir: &Path) -> Self {
        let info = text("/proc/cpuinfo");
        Self {
            cpu: field(&info, "model name"),
            cores: std::thread::available_parallelism().ok().map(std::num::NonZero::get),
            memory_bytes: kib(&text("/proc/meminfo"), "MemTotal"),
            os: std::env::consts::OS,
            kernel: Some(text("/proc/sys/kernel/osrelease").trim().to_owned()).filter(|it| !it.is_empty()),
            file_system: file_system(&text("/proc/mounts"), dir),
        }
    }
}

/// Runnable and waiting processes, on average over the last minute: what else the machine had to do.
pub(super) fn load_average() -> Option<f64> {
    text("/proc/loadavg").split_whitespace().next()?.parse().ok()
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    /// Processor time, user and system, of all its threads, in seconds.
    pub(super) cpu_s: f64,
    /// Resident memory, in bytes.
    pub(super) resident_bytes: u64,
    /// The most resident memory that it had.
    pub(super) resident_bytes_max: u64,
}

/// What the process of this id has used, if it is there; this process, if no id is given.
pub(super) fn used(process: Option<u32>) -> Option<Used> {
    let name = process.map_or_else(|| "self".to_owned(), |process| process.to_string());
    let status = text(&format!("/proc/{name}/status"));
    Some(Used {
        cpu_s: cpu_s(&text(&format!("/proc/{name}/stat")), rustix::param::clock_ticks_per_second())?,
        resident_bytes: kib(&status, "VmRSS")?,
        resident_bytes_max: kib(&status, "VmHWM")?,
    })
}

/// Processor time from a line of `/proc/PID/stat`. The name of the program, in parentheses, may contain anything.
fn cpu_s(stat: &str, ticks_per_second: u64) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / ticks_per_second as f64)
}

fn text(path: &str) -> String {
    files::read(Path::new(path)).unwrap_or_default()
}

/// The value of a line `NAME : VALUE`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.split_once(':').filter(|(have, _)| have.trim() == name));
    line.map(|(_, value)| value.trim().to_owned())
}

fn kib(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The mount with the longest path above `dir`.
fn file_system(mounts: &str, dir: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let (device, at, kind) = (words.next()?, words.next()?, words.next()?);
        let described = format!("{device} {kind} {}", words.next()?);
        dir.starts_with(at).then_some((at.len(), described))
    });
    mounts.max_by_key(|(length, _)| *length).map(|(_, described)| described)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 9 0 0 0 250 150 11 12 20 0 5 0 1 2 3";

        assert_eq!(cpu_s(stat, 100), Some(4.0));
        assert_eq!(cpu_s("7 (a) S", 100), None);
    }

    #[test]
    fn the_file_system_is_that_of_the_nearest_mount_above() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /data xfs rw,noatime 0 0\n";

        let of = |dir: &str| file_system(mounts, Path::new(dir));
        assert_eq!(of("/data/x").as_deref(), Some("/dev/b xfs rw,noatime"));
        assert_eq!(of("/database").as_deref(), Some("/dev/a ext4 rw"));
    }

    #[test]
    fn memory_is_told_in_bytes() {
        assert_eq!(kib("VmPeak:\t  9 kB\nVmRSS:\t  12 kB\n", "VmRSS"), Some(12 << 10));
        assert_eq!(kib("", "VmRSS"), None);
    }
}
