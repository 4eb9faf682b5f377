//! The steps, one below the other, each across all lanes.

use super::escape::{Html, text};
use super::journey::{Ending, Journey, in_flight, journeys, received};
use super::lane::facts;
use crate::story::{Story, Telling};
use crate::world::{LaneKind, Message, Picture};

/// The board of a story.
pub(super) fn board(html: &mut Html, story: &Story) {
    let journeys = journeys(story);
    let lanes = story.start.lanes.len();
    html.raw(&format!("<div class=\"board\" style=\"--lanes:{}\">\n", lanes.max(1)));
    heads(html, &story.start);
    start(html, story, &journeys);
    let mut was = &story.start;
    let last = story.steps.len() + story.aftermath.len();
    for step in story.steps.iter().chain(&story.aftermath) {
        let place = Place { story, journeys: &journeys, step, was, is_last: step.step == last };
        place.section(html);
        was = step.after.as_ref().unwrap_or(was);
    }
    if last == 0 {
        callout(html, story);
    }
    html.close("div");
}

fn heads(html: &mut Html, start: &Picture) {
    html.raw("<div class=\"row heads\"><span></span>");
    for lane in &start.lanes {
        let kind = match lane.kind {
            LaneKind::Broker => "broker",
            LaneKind::Controller => "controller",
            LaneKind::Clients => "clients",
        };
        html.raw(&format!("<span class=\"lane-name {kind}\">{}</span>", text(&lane.name)));
    }
    html.close("div");
}

fn start(html: &mut Html, story: &Story, journeys: &[Journey<'_>]) {
    html.raw("<section class=\"step start\" id=\"s0\">\n<h2><a class=\"number\" href=\"#s0\">0</a> ");
    html.raw("<span class=\"words\">The start</span></h2>\n<div class=\"row\"><span></span>");
    for lane in &story.start.lanes {
        html.open("div", "lane");
        facts(html, lane, None);
        html.close("div");
    }
    html.close("div");
    more(html, &[], journeys, 0);
    html.close("section");
}

/// The broken claim, where it breaks.
fn callout(html: &mut Html, story: &Story) {
    html.raw("<div class=\"callout\"><p><span class=\"broken\">Broken here</span> ");
    html.text(&story.claim.statement);
    html.raw(&format!(" <span class=\"rule\">{}</span></p>", text(story.claim.rule)));
    html.raw(&format!("<pre class=\"values\">{}</pre></div>\n", text(&story.claim.values)));
}

/// What the panel shows of a step, and what is folded away without it: the changes in words, and what is in flight.
fn more(html: &mut Html, changes: &[String], journeys: &[Journey<'_>], step: usize) {
    let flying: Vec<&Journey<'_>> = in_flight(journeys, step).collect();
    html.raw(&format!("<details class=\"more\"><summary>{} in flight, and the step in words", flying.len()));
    html.raw("</summary>\n<div class=\"told\"><h3>What changed</h3>\n<ul class=\"changes\">");
    for change in changes {
        html.raw(&format!("<li>{}</li>", text(change)));
    }
    html.raw(if changes.is_empty() { "<li class=\"none\">nothing</li></ul>\n" } else { "</ul>\n" });
    html.raw(&format!(
        "<h3>In flight <span class=\"count\">{}</span></h3>\n<ul class=\"flying\">",
        flying.len()
    ));
    for journey in flying {
        let (message, new) =
            (journey.message, if journey.sent == step && step > 0 { " class=\"new\"" } else { "" });
        let (from, to, says) = (text(&message.from), text(&message.to), text(&message.says));
        let since = match journey.sent {
            0 => "since the start".to_owned(),
            sent => format!("sent in step {sent}"),
        };
        html.raw(&format!("<li{new}><b>{from} → {to}</b> {says} <span class=\"since\">{since}</span></li>"));
    }
    html.raw("</ul></div>\n</details>\n");
}

/// A step and what it is shown beside.
struct Place<'a> {
    story: &'a Story,
    journeys: &'a [Journey<'a>],
    step: &'a Telling,
    was: &'a Picture,
    is_last: bool,
}

impl Place<'_> {
    fn section(&self, html: &mut Html) {
        let at = self.step.step;
        let broken = if self.is_last { " breaks" } else { "" };
        let follows = if self.step.action.is_none() { " follows" } else { "" };
        html.raw(&format!("<section class=\"step{broken}{follows}\" id=\"s{at}\">\n"));
        html.raw(&format!("<h2><a class=\"number\" href=\"#s{at}\">{at}</a> <span class=\"words\">"));
        html.raw(&format!("{}</span></h2>\n", text(&self.step.words)));
        if let Some(taken) = &self.step.takes {
            let note = match received(self.journeys, self.step).map(|journey| journey.sent) {
                Some(0) => "since the start".to_owned(),
                Some(sent) => format!("from step <a href=\"#s{sent}\">{sent}</a>"),
                None => String::new(),
            };
            self.arrow(html, taken, "received", &note);
        }
        self.lanes(html);
        for journey in self.journeys.iter().filter(|journey| journey.sent == at) {
            self.arrow(html, journey.message, "sent", &fate(journey));
        }
        if self.is_last {
            callout(html, self.story);
        }
        more(html, &self.step.changes, self.journeys, at);
        html.close("section");
    }

    fn lanes(&self, html: &mut Html) {
        let Some(after) = &self.step.after else { return };
        html.raw("<div class=\"row\"><span></span>");
        for (at, lane) in after.lanes.iter().enumerate() {
            let was = self.was.lanes.get(at);
            let same = if was == Some(lane) { " same" } else { "" };
            let acts = if self.step.lanes.contains(&lane.name) { " acts" } else { "" };
            html.open("div", &format!("lane{same}{acts}"));
            facts(html, lane, was);
            html.close("div");
        }
        html.close("div");
    }

    /// A message from lane to lane.
    fn arrow(&self, html: &mut Html, message: &Message, how: &str, note: &str) {
        let lane = |name: &str| self.story.start.lanes.iter().position(|lane| lane.name == name);
        // What the words of the step say already is not said twice.
        let is_said = how == "received" && self.step.words.contains(&message.says);
        let says = if is_said { String::new() } else { text(&message.says) };
        let note =
            if note.is_empty() { String::new() } else { format!(" <span class=\"note\">{note}</span>") };
        let (Some(from), Some(to)) = (lane(&message.from), lane(&message.to)) else {
            let (from, to) = (text(&message.from), text(&message.to));
            return html.raw(&format!("<p class=\"message {how}\">{from} → {to}: {says}{note}</p>\n"));
        };
        let (left, right) = (from.min(to), from.max(to));
        let way = if from <= to { "rightward" } else { "leftward" };
        let place = format!("grid-column:{} / {};--span:{}", left + 2, right + 3, right - left + 1);
        html.raw("<div class=\"row arrows\">");
        html.raw(&format!("<div class=\"message {how} {way}\" style=\"{place}\">"));
        html.raw(&format!(
            "<span class=\"says\">{says}{note}</span><span class=\"shaft\"></span></div></div>\n"
        ));
    }
}

/// What becomes of a message that was sent.
fn fate(journey: &Journey<'_>) -> String {
    match journey.end {
        Some(Ending::Received(step)) => format!("arrives in step <a href=\"#s{step}\">{step}</a>"),
        Some(Ending::Dropped(step)) => format!("comes to nothing in step <a href=\"#s{step}\">{step}</a>"),
        None => "still in flight at the end".to_owned(),
    }
}
