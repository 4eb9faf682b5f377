//! `highwater cluster monitors`: what each broker's runtime monitors have counted.

use highwater_client::error::ClientError;
use highwater_model::api::{MonitorCount, MonitorFinding, MonitorPlace, MonitorsDetail};
use highwater_model::id::NodeId;
use serde_json::{Value, json};

use crate::cli::failure::{Failure, exit};
use crate::cli::output::thousands;
use crate::cli::session::Session;

/// Where it is said what to do about a violation.
const HINT: &str = "docs/OPERATIONS.md says what to do; keep the brokers' logs and data";

/// What one broker said.
struct Told {
    node: NodeId,
    answer: Result<MonitorsDetail, ClientError>,
}

/// Asks every broker. Those that do not answer are said, and the others shown all the same.
pub(super) async fn run(session: &Session, all: bool) -> Result<u8, Failure> {
    let admin = session.client.admin();
    let cluster = admin.describe_cluster(false).await?;
    let mut told = Vec::new();
    for node in cluster.brokers.iter().map(|broker| broker.node) {
        told.push(Told { node, answer: admin.describe_monitors(node).await });
    }
    show(session, &told, all)?;
    let failures: Vec<Failure> = told.iter().filter_map(Told::failure).collect();
    let data: Vec<Value> = told.iter().map(Told::value).collect();
    session.output.document("cluster.monitors", Some(cluster.cluster), Some(&data), &failures)?;
    failures.iter().for_each(|failure| session.output.failure(failure));
    Ok(worst(&failures))
}

/// A violation is worse than a broker that does not answer, and that is worse than one that has evaluated nothing.
fn worst(failures: &[Failure]) -> u8 {
    let rank = |code: &u8| match *code {
        exit::CHECK_FAILED => 3,
        exit::INCONCLUSIVE => 1,
        _ => 2,
    };
    failures.iter().map(|failure| failure.exit).max_by_key(rank).unwrap_or(exit::DONE)
}

fn show(session: &Session, told: &[Told], all: bool) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = told.iter().map(Told::row).collect();
    session.output.table(&["BROKER", "MONITORS", "EVALUATIONS", "VIOLATIONS"], &rows)?;
    let counts: Vec<(NodeId, &MonitorCount)> = told.iter().flat_map(Told::counts).collect();
    let shown = counts.iter().filter(|(_, count)| all || count.violated > 0);
    let rows: Vec<Vec<String>> = shown.map(|(node, count)| property_row(*node, count)).collect();
    if !rows.is_empty() {
        session.output.text("")?;
        session.output.table(&["BROKER", "PROPERTY", "EVALUATIONS", "VIOLATIONS"], &rows)?;
    }
    for (node, count) in counts {
        for (which, found) in [("first", &count.first), ("last", &count.last)] {
            let Some(MonitorFinding { at_ms, place, values }) = found else { continue };
            let name = &count.name;
            session
                .output
                .text(format!("broker {node}, {place}: {name}, {which} at {at_ms} ms: {values}"))?;
        }
        if count.violated > 0 {
            session.output.text(places_line(node, count))?;
        }
    }
    Ok(())
}

/// Where a property is violated, and how often.
fn places_line(node: NodeId, count: &MonitorCount) -> String {
    let mut places: Vec<String> =
        count.places.iter().map(|at| format!("{} ({})", at.place, thousands(at.violated))).collect();
    if count.elsewhere > 0 {
        places.push(format!("others ({})", thousands(count.elsewhere)));
    }
    format!("broker {node}: {}, in all: {}", count.name, places.join(", "))
}

fn property_row(node: NodeId, count: &MonitorCount) -> Vec<String> {
    vec![node.to_string(), count.name.clone(), thousands(count.evaluated), thousands(count.violated)]
}

impl Told {
    fn counts(&self) -> impl Iterator<Item = (NodeId, &MonitorCount)> {
        let detail = self.answer.as_ref().ok();
        detail.into_iter().flat_map(|detail| detail.counts.iter().map(|count| (detail.node, count)))
    }

    fn evaluated(&self) -> u64 {
        self.counts().map(|(_, count)| count.evaluated).sum()
    }

    fn violated(&self) -> u64 {
        self.counts().map(|(_, count)| count.violated).sum()
    }

    fn row(&self) -> Vec<String> {
        let state = match &self.answer {
            Ok(MonitorsDetail { interval: Some(steps), .. }) => format!("every {steps} steps"),
            Ok(MonitorsDetail { interval: None, .. }) => "off".to_owned(),
            Err(_) => "no answer".to_owned(),
        };
        vec![self.node.to_string(), state, thousands(self.evaluated()), thousands(self.violated())]
    }

    fn value(&self) -> Value {
        let finding = |found: &Option<MonitorFinding>| {
            let found = found.as_ref();
            found.map(|found| json!({"at_ms": found.at_ms, "place": found.place, "values": found.values}))
        };
        let place = |at: &MonitorPlace| json!({"place": at.place, "violated": at.violated});
        let count = |(_, count): (NodeId, &MonitorCount)| {
            json!({"property": count.name, "evaluated": count.evaluated, "violated": count.violated,
                   "first": finding(&count.first), "last": finding(&count.last),
                   "places": count.places.iter().map(place).collect::<Vec<_>>(),
                   "elsewhere": count.elsewhere})
        };
        let steps = self.answer.as_ref().ok().and_then(|detail| detail.interval);
        json!({"broker": self.node, "answered": self.answer.is_ok(), "steps": steps,
               "evaluated": self.evaluated(), "violated": self.violated(),
               "monitors": self.counts().map(count).collect::<Vec<_>>()})
    }

    /// What is wrong with this broker, if anything.
    fn failure(&self) -> Option<Failure> {
        let failure = match &self.answer {
            Err(error) => Failure::from(error.clone()),
            Ok(_) if self.violated() > 0 => {
                let message = format!("{} evaluations found an invariant broken", thousands(self.violated()));
                Failure::new(exit::CHECK_FAILED, message, HINT)
            }
            Ok(MonitorsDetail { interval: None, .. }) => {
                Failure::new(exit::INCONCLUSIVE, "its monitors are off", "set monitor.enable=true")
            }
            Ok(_) if self.evaluated() == 0 => Failure::new(
                exit::INCONCLUSIVE,
                "its monitors have evaluated nothing",
                "ask again in a while",
            ),
            Ok(_) => return None,
        };
        Some(failure.on(format!("broker {}", self.node)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(interval: Option<u32>, counts: &[(u64, u64)]) -> Told {
        let count = |(evaluated, violated): &(u64, u64)| MonitorCount {
            name: "replication/watermark_order".to_owned(),
            evaluated: *evaluated,
            violated: *violated,
            first: None,
            last: None,
            places: Vec::new(),
            elsewhere: 0,
        };
        let detail = MonitorsDetail { node: NodeId(3), interval, counts: counts.iter().map(count).collect() };
        Told { node: NodeId(3), answer: Ok(detail) }
    }

    #[test]
    fn a_violation_is_a_check_that_said_no_and_no_evaluation_says_nothing() {
        let exit_of = |told: Told| told.failure().map(|failure| failure.exit);

        assert_eq!(exit_of(told(Some(256), &[(9, 0), (0, 0)])), None);
        assert_eq!(exit_of(told(Some(256), &[(9, 0), (5, 1)])), Some(exit::CHECK_FAILED));
        assert_eq!(exit_of(told(Some(256), &[(0, 0)])), Some(exit::INCONCLUSIVE));
        assert_eq!(exit_of(told(None, &[])), Some(exit::INCONCLUSIVE), "nobody has looked");
    }

    #[test]
    fn a_violation_comes_before_a_broker_that_is_not_heard_and_that_before_one_that_says_nothing() {
        let codes = |codes: &[u8]| -> Vec<Failure> {
            codes.iter().map(|code| Failure::new(*code, String::new(), String::new())).collect()
        };

        assert_eq!(worst(&[]), exit::DONE);
        assert_eq!(worst(&codes(&[exit::INCONCLUSIVE])), exit::INCONCLUSIVE);
        let both = [exit::INCONCLUSIVE, exit::UNREACHABLE, exit::INCONCLUSIVE];
        assert_eq!(worst(&codes(&both)), exit::UNREACHABLE);
        assert_eq!(worst(&codes(&[both.as_slice(), &[exit::CHECK_FAILED]].concat())), exit::CHECK_FAILED);
    }

    #[test]
    fn every_place_is_named_with_how_often() {
        let at = |place: &str, violated| MonitorPlace { place: place.to_owned(), violated };
        let places = vec![at("partition 1-2", 1_234), at("partition 1-5", 1)];
        let count = MonitorCount {
            name: "replication/watermark_order".to_owned(),
            evaluated: 2_000,
            violated: 1_245,
            first: None,
            last: None,
            places,
            elsewhere: 10,
        };
        let line = places_line(NodeId(3), &count);
        assert_eq!(
            line,
            "broker 3: replication/watermark_order, in all: partition 1-2 (1 234), partition 1-5 (1), others (10)"
        );
    }

    #[test]
    fn a_row_says_how_often_and_what_came_of_it() {
        assert_eq!(told(Some(256), &[(1_234, 1), (1, 2)]).row(), ["3", "every 256 steps", "1 235", "3"]);
        assert_eq!(told(None, &[]).row(), ["3", "off", "0", "0"]);
    }
}
