//! One lane of one step: what is known of it, and what of that is new.

use super::escape::{Html, text};
use crate::world::{Cell, Fact, Kept, Lane, Shown};

/// Facts that say most: they are shown of lanes in which nothing happens, too.
fn is_key(at: usize, fact: &Fact) -> bool {
    at == 0 || matches!(fact.is, Shown::Log(_))
}

/// The facts of a lane, with what differs from `was`.
pub(super) fn facts(html: &mut Html, lane: &Lane, was: Option<&Lane>) {
    if lane.facts.iter().all(|fact| is_empty(&fact.is)) {
        html.raw("<div class=\"fact\"><span class=\"none\">nothing yet</span></div>\n");
    }
    for (at, fact) in lane.facts.iter().enumerate() {
        let before = was.and_then(|was| was.facts.get(at)).map(|fact| &fact.is);
        let changed = before.is_some_and(|before| *before != fact.is);
        if is_empty(&fact.is) && before.is_none_or(is_empty) {
            continue;
        }
        let key = if is_key(at, fact) { " key" } else { "" };
        let mark = if changed { " changed" } else { "" };
        html.open("div", &format!("fact{key}{mark}"));
        html.raw(&format!("<span class=\"what\">{}</span> ", text(fact.what)));
        match (&fact.is, before) {
            (Shown::Words(is), Some(Shown::Words(was))) if changed => changed_words(html, is, was),
            (Shown::Words(is), _) => html.raw(&format!("<span class=\"is\">{}</span>", lines(is))),
            (Shown::Log(is), Some(Shown::Log(was))) => cells(html, is, Some(was)),
            (Shown::Log(is), _) => cells(html, is, None),
        }
        html.close("div");
    }
}

fn is_empty(shown: &Shown) -> bool {
    match shown {
        Shown::Words(words) => words.is_empty(),
        Shown::Log(cells) => cells.is_empty(),
    }
}

fn lines(words: &str) -> String {
    words.lines().map(text).collect::<Vec<_>>().join("<br>")
}

/// The old value and the new one; of several lines those that differ.
fn changed_words(html: &mut Html, is: &str, was: &str) {
    html.raw("<span class=\"is\">");
    let (old, new): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    for line in old.iter().filter(|line| !new.contains(line)) {
        html.raw(&format!("<del>{}</del> ", text(line)));
    }
    for (at, line) in new.iter().enumerate() {
        let element = if old.contains(line) { "span" } else { "ins" };
        let gap = if at == 0 { "" } else { "<br>" };
        html.raw(&format!("{gap}<{element}>{}</{element}>", text(line)));
    }
    html.raw("</span>");
}

/// The records of a log, the high watermark as a bar, and after them what was cut.
fn cells(html: &mut Html, is: &[Cell], was: Option<&Vec<Cell>>) {
    html.raw("<span class=\"log\">");
    for (at, cell) in is.iter().enumerate() {
        let before = was.and_then(|was| was.iter().find(|old| old.offset == cell.offset));
        let mark = match (was, before) {
            (None, _) => "",
            (Some(_), Some(before)) if before == cell => "",
            (Some(_), Some(before)) if (&before.record, before.under) == (&cell.record, cell.under) => {
                " changed"
            }
            (Some(_), _) => " new",
        };
        html.raw(&of_cell(cell, mark));
        let ends = cell.covered && is.get(at + 1).is_none_or(|next| !next.covered);
        if ends && cell.kept.is_some() {
            html.raw("<span class=\"watermark\" title=\"high watermark\"></span>");
        }
    }
    let cut = was.into_iter().flatten().filter(|old| is.iter().all(|cell| !same_record(cell, old)));
    cut.for_each(|old| html.raw(&of_cell(old, " cut")));
    html.raw(if is.is_empty() { "<span class=\"none\">empty</span></span>" } else { "</span>" });
}

fn same_record(one: &Cell, other: &Cell) -> bool {
    (one.offset, &one.record, one.under) == (other.offset, &other.record, other.under)
}

fn of_cell(cell: &Cell, mark: &str) -> String {
    let (class, kept) = match cell.kept {
        Some(Kept::Submitted) => (" submitted", ", not written yet"),
        Some(Kept::Written) => (" written", ", written and not synced"),
        Some(Kept::Synced) => (" synced", ", synced"),
        None => ("", ""),
    };
    let covered = if cell.covered && cell.kept.is_some() { ", below the high watermark" } else { "" };
    let cut = if mark == " cut" { ", cut in this step" } else { "" };
    let title =
        format!("offset {}: record {}, epoch {}{kept}{covered}{cut}", cell.offset, cell.record, cell.under);
    let (title, record) = (text(&title), text(&cell.record));
    format!("<span class=\"cell{class}{mark}\" title=\"{title}\">{record}<sub>{}</sub></span>", cell.under)
}
