//! What can be said of directories before any log in them is read: small files that cannot be understood, logs that are gone, and
//! what is there twice under two names.

use std::collections::BTreeMap;

use super::directory::{Directory, Fault};
use super::findings::{Place, Report};
use super::segment::Unreadable;

/// Reports all of it.
pub(super) fn judge(directories: &[Directory], report: &mut Report) -> Result<(), Unreadable> {
    report.judged.directories = directories.len() as u64;
    for directory in directories {
        not_understood(directory, report);
        without_points(directory, report);
        missing(directory, report);
    }
    alike(directories, report);
    shared(directories, report)
}

fn not_understood(directory: &Directory, report: &mut Report) {
    for Fault { path, what } in &directory.faults {
        let what = format!("{what}; it is replaced as a whole, which neither a kill nor a power loss undoes");
        report.finding(Place::of(directory.node, path), "file cannot be understood", what);
    }
}

/// The first is written some seconds after the first record, the last before the marker of a clean stop; a full disk takes it away (R60).
fn without_points(directory: &Directory, report: &mut Report) {
    let holds_something = directory.logs.iter().any(|log| !log.segments.is_empty());
    if directory.has_points || !holds_something {
        return;
    }
    let place = Place::of(directory.node, &directory.path);
    let what = "recovery-point-offset-checkpoint is not there: what is missing at the ends of its logs may go unnoticed";
    if directory.is_clean {
        let what = format!("{what}; and it is written before the marker of a clean stop, which is there");
        report.finding(place, "no recovery points", what);
    } else {
        report.note(place, "no recovery points", what.to_owned());
    }
}

/// Logs that were there once: each has a recovery point, and those of deleted ones are lowered first (R60).
fn missing(directory: &Directory, report: &mut Report) {
    for (name, point) in &directory.missing {
        let what = format!("it was synced up to {point}, and is not there");
        report.finding(Place::of(directory.node, &directory.path.join(name)), "log is missing", what);
    }
}

/// No two directories have one id: one of them is a copy, which counts as what it is not (X12).
fn alike(directories: &[Directory], report: &mut Report) {
    let mut known: BTreeMap<u128, &Directory> = BTreeMap::new();
    for directory in directories {
        if let Some(first) = known.insert(directory.id, directory) {
            let what = format!("{} has the same directory.id", first.path.display());
            report.finding(Place::of(directory.node, &directory.path), "directory is a copy", what);
        }
    }
}

/// A file that two logs have, by links, is one replica that looks like two.
#[cfg(unix)]
fn shared(directories: &[Directory], report: &mut Report) -> Result<(), Unreadable> {
    use std::os::unix::fs::MetadataExt as _;

    let mut known = BTreeMap::new();
    for log in directories.iter().flat_map(|directory| &directory.logs) {
        for (base, path) in &log.segments {
            let file = std::fs::metadata(path).map_err(Unreadable::of(path))?;
            if let Some(first) = known.insert((file.dev(), file.ino()), path) {
                let what =
                    format!("it is the same file as {}, by a link: one replica, not two", first.display());
                report.finding(Place::of(log.node, path).offset(*base), "file is in two logs", what);
            }
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn shared(_: &[Directory], _: &mut Report) -> Result<(), Unreadable> {
    Ok(())
}
