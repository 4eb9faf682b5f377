//! Where the logs of a partition begin, and whether anything says why.

use super::findings::Report;
use super::replicas::{Group, Replica};

/// A log begins behind 0 because records were deleted, which is noted, here or by whom they were deleted with (R80).
pub(super) fn explained(group: &Group<'_>, is_whole: bool, report: &mut Report) {
    let noted = group.replicas.iter().filter_map(|replica| replica.log.noted_start).max().unwrap_or_default();
    for Replica { log, extent, .. } in group.replicas.iter().filter(|replica| replica.extent.base > noted) {
        let what = format!(
            "its first segment begins at {}, and no replica has a note that records up to there were deleted",
            extent.base
        );
        let place = log.place().offset(extent.base);
        if is_whole && log.begins_anew.is_none() {
            report.finding(place, "beginning of the log is missing", what);
        } else {
            report.note(place, "beginning of the log is not explained", what);
        }
    }
}

/// Replicas that begin at several places, though nothing lets records be deleted. A history that says what was acknowledged cannot be
/// judged up to there: a note of the start is all that hides a lost record.
pub(super) fn alike(group: &Group<'_>, is_told: bool, may_delete: bool, report: &mut Report) {
    let starts = || group.replicas.iter().map(|replica| replica.extent.start);
    let (Some(least), Some(last)) = (starts().min(), starts().max()) else { return };
    let Some(furthest) = group.replicas.iter().find(|replica| replica.extent.start == last) else { return };
    if least == last || may_delete {
        return;
    }
    let each: Vec<String> =
        group.replicas.iter().map(|one| format!("node {} at {}", one.log.node, one.extent.start)).collect();
    let what = format!(
        "its logs begin at several places, {}, and nothing that was set on the topic lets records be deleted",
        each.join(", ")
    );
    if is_told {
        report.gap(format!("{}: {what}", group.name));
    } else {
        report.note(furthest.log.place().offset(last), "log starts differ", what);
    }
}
