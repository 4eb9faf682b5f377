//! What a page holds, and what it must not.

use super::escape::text;
use super::page;
use crate::replay::tests::found;

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

#[test]
fn nothing_that_is_told_becomes_markup() {
    let mut story = found("metadata", "B-13d");
    let evil = "</script><script>alert(\"x\")</script>";
    story.claim.values = evil.to_owned();
    story.claim.statement = evil.to_owned();
    story.again = evil.to_owned();
    for step in &mut story.steps {
        step.words = evil.to_owned();
        step.changes = vec![evil.to_owned()];
        for message in
            step.sent.iter_mut().chain(step.after.iter_mut().flat_map(|after| &mut after.in_flight))
        {
            (message.from, message.to, message.says) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
        }
    }

    let page = page(&story);

    elements(&page);
    assert!(!page.contains("alert(\""));
    assert_eq!(page.matches("<script>").count(), 1);
}
