//! What a page holds, and what it must not.

use super::escape::text;
use super::page;
use crate::replay::tests::found;
use crate::story::Story;
use crate::world::{Message, Picture, Shown};

/// Elements that have no end.
const VOID: [&str; 3] = ["meta", "br", "input"];

/// Checks that elements are closed in the order in which they were opened; gives how many there are.
fn elements(page: &str) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut count = 0;
    let mut rest = page.strip_prefix("<!doctype html>").expect("a page says what it is");
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').expect("every tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "values are quoted: <{tag}>");
        let name = tag.split_whitespace().next().unwrap_or_default();
        rest = after;
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "</{closed}> closes what is open");
        } else {
            count += 1;
            if !VOID.contains(&name) {
                open.push(name);
            }
            if ["script", "style"].contains(&name) {
                let at = rest.find(&format!("</{name}>")).expect("what is no markup ends");
                rest = rest.get(at..).unwrap_or_default();
            }
        }
    }
    assert_eq!(open, Vec::<&str>::new(), "everything is closed");
    count
}

#[test]
fn a_page_is_well_formed_and_holds_every_step_and_the_broken_claim() {
    for (model, bug) in [("metadata", "B-13d"), ("replication", "B-01"), ("quorum", "B-35")] {
        let story = found(model, bug);
        let page = page(&story);

        assert!(elements(&page) > 50, "{bug}");
        for step in &story.steps {
            let at = step.step;
            let section = page.split(&format!("id=\"s{at}\"")).nth(1).expect("a section for every step");
            let section = section.split("</section>").next().unwrap_or_default();
            assert!(section.contains(&text(&step.words)), "{bug}, step {at}");
            let told = step.changes.iter().all(|change| section.contains(&text(change)));
            assert!(told, "{bug}, step {at}");
        }
        let claim = &story.claim;
        for words in [&claim.statement, &claim.values] {
            assert_eq!(page.matches(&text(words)).count(), 2, "{bug}: at the top, and where it breaks");
        }
        assert!(page.contains(claim.name) && page.contains(claim.rule), "{bug}");
    }
}

#[test]
fn a_page_refers_to_nothing_outside_of_itself() {
    let page = page(&found("metadata", "B-13d"));

    for reference in ["://", "src=", "<link", "@import", "url(", "srcset"] {
        assert!(!page.contains(reference), "{reference}");
    }
    let links = page.split("href=\"").skip(1);
    assert!(links.into_iter().all(|link| link.starts_with("#s")), "links lead to steps");
}

/// What would leave an element, an attribute or a script, if it were not escaped.
const EVIL: &str = "</script><script>alert(\"x\")</script>\" onclick=\"y";

fn spoil(words: &mut String) {
    words.push_str(EVIL);
}

fn spoil_message(message: &mut Message) {
    [&mut message.from, &mut message.to, &mut message.says].into_iter().for_each(spoil);
}

fn spoil_picture(picture: &mut Picture) {
    picture.in_flight.iter_mut().for_each(spoil_message);
    for lane in &mut picture.lanes {
        spoil(&mut lane.name);
        for fact in &mut lane.facts {
            fact.what = EVIL;
            match &mut fact.is {
                // Of an empty one there is nothing to tell.
                Shown::Words(words) if words.is_empty() => {}
                Shown::Words(words) => spoil(words),
                Shown::Log(cells) => cells.iter_mut().for_each(|cell| spoil(&mut cell.record)),
            }
        }
    }
}

/// Puts markup into every word of a story that a world, a core or a file may choose.
fn spoil_story(story: &mut Story) {
    [&mut story.claim.values, &mut story.claim.statement, &mut story.again].into_iter().for_each(spoil);
    (story.claim.name, story.claim.rule, story.model) = (EVIL, EVIL, EVIL);
    if let Some(planted) = &mut story.planted {
        (planted.id, planted.what) = (EVIL, EVIL);
    }
    for bound in &mut story.bounds {
        bound.key = EVIL;
        spoil(&mut bound.value);
    }
    spoil_picture(&mut story.start);
    for step in story.steps.iter_mut().chain(&mut story.aftermath) {
        spoil(&mut step.words);
        step.changes.iter_mut().chain(&mut step.lanes).for_each(spoil);
        let messages = step.takes.iter_mut().chain(&mut step.sent).chain(&mut step.gone);
        messages.for_each(spoil_message);
        step.after.iter_mut().for_each(spoil_picture);
    }
}

#[test]
fn nothing_that_is_told_becomes_markup() {
    for (model, bug) in [("metadata", "B-13d"), ("replication", "B-01"), ("quorum-liveness", "L-04")] {
        let mut story = found(model, bug);
        let elements_before = elements(&page(&story));
        spoil_story(&mut story);

        let page = page(&story);

        assert_eq!(elements(&page), elements_before, "{bug}");
        assert!(!page.contains("alert(\"") && !page.contains("onclick=\""), "{bug}");
        assert_eq!(page.matches("<script>").count(), 1, "{bug}");
    }
}
