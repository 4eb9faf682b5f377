//! A counterexample as one page that needs nothing but itself: lanes side by side, time downward.
//!
//! It reads without scripts; with them, keys go from step to step. Nothing from a story reaches the page unescaped.

use crate::story::{Bound, Claim, Story};

mod board;
mod escape;
mod journey;
mod lane;

#[cfg(test)]
mod tests;

use escape::{Html, text};

/// The page of a counterexample.
#[must_use]
pub fn page(story: &Story) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    html.text(&format!("{}: {}", story.claim.name, bug(story)));
    html.raw("</title>\n<style>\n");
    html.raw(include_str!("html/page.css"));
    html.raw("</style>\n</head>\n<body>\n");
    head(&mut html, story);
    html.raw("<div class=\"frame\">\n<main>\n");
    board::board(&mut html, story);
    html.raw("</main>\n<aside class=\"panel\" hidden></aside>\n</div>\n<script>\n");
    html.raw(include_str!("html/page.js"));
    html.raw("</script>\n</body>\n</html>\n");
    html.into_string()
}

fn bug(story: &Story) -> String {
    story.planted.map_or_else(|| story.model.to_owned(), |bug| format!("{}, {}", story.model, bug.id))
}

fn head(html: &mut Html, story: &Story) {
    let steps = story.steps.len() + story.aftermath.len();
    html.raw("<header class=\"top\">\n<p class=\"kicker\">Counterexample in ");
    html.raw(&format!("{steps} steps · "));
    html.text(story.model);
    html.raw("</p>\n");
    claim(html, &story.claim);
    html.raw("<dl class=\"about\">\n");
    if let Some(bug) = story.planted {
        pair(html, "planted bug", &format!("<b>{}</b> {}", text(bug.id), text(bug.what)));
    }
    pair(html, "bounds", &bounds(story));
    pair(html, "find it again", &format!("<code>{}</code>", text(&story.again)));
    html.raw("</dl>\n");
    html.raw(include_str!("html/legend.html"));
    html.raw("</header>\n");
}

fn pair(html: &mut Html, what: &str, is: &str) {
    html.raw(&format!("<dt>{what}</dt><dd>{is}</dd>\n"));
}

/// The broken claim, and the values that break it.
fn claim(html: &mut Html, claim: &Claim) {
    html.raw("<h1><span class=\"broken\">Broken</span> ");
    html.text(&claim.statement);
    html.raw("</h1>\n<p class=\"claim\"><code>");
    html.text(claim.name);
    html.raw("</code> <span class=\"rule\">");
    html.text(claim.rule);
    html.raw("</span></p>\n<pre class=\"values\">");
    html.text(&claim.values);
    html.raw("</pre>\n");
}

/// The bounds that are not as they are by default, and the others folded away.
fn bounds(story: &Story) -> String {
    let (usual, own): (Vec<&Bound>, Vec<&Bound>) = story.bounds.iter().partition(|bound| bound.usual);
    let list = |bounds: Vec<&Bound>| bounds.into_iter().map(bound).collect::<Vec<_>>().join(" ");
    let others = format!("<details class=\"usual\"><summary>{} as by default</summary>", usual.len());
    format!("{} {others}{}</details>", list(own), list(usual))
}

fn bound(bound: &Bound) -> String {
    format!("<span class=\"bound\">{}=<b>{}</b></span>", text(bound.key), text(&bound.value))
}
