//! Lines written and read back, and what is no history.

use std::io::Cursor;

use super::*;

fn event(index: u64, process: u32, phase: Phase, what: What) -> Event {
    Event { index, time_ns: index * 10, actor: Actor::Process(process), phase, what, error: None, node: None }
}

fn send(offset: Option<u64>) -> What {
    let records = vec![SentRecord { key: 3, value: 17, offset }];
    What::Send(Send { acks: Acks::All, idempotent: true, records })
}

/// One of each kind, with everything that it can hold.
fn every_kind() -> Vec<What> {
    let seen = SeenRecord { key: 3, offset: 9, value: None };
    vec![
        send(Some(4)),
        What::Poll(Polled { records: vec![seen, SeenRecord { value: Some(17), ..seen }] }),
        What::Assign(Assign { keys: vec![0, 3], from: AssignFrom::Position }),
        What::End(EndRead { key: 3, end: Some(5), linearizable: true }),
        What::Drained(Drained { key: 3, end: 5 }),
        What::Crash,
        What::Read(Register { key: 1, value: None }),
        What::Write(Register { key: 1, value: Some(2) }),
        What::CompareAndSet(CompareAndSet { key: 1, expected: Some(2), value: 3 }),
        What::Fault(Fault { kind: "kill".into(), step: FaultStep::HealAll, detail: "[1]".into() }),
    ]
}

fn read(text: &str) -> Vec<Result<Event, String>> {
    Reader::new(Cursor::new(text.to_owned())).map(|event| event.map_err(|error| error.to_string())).collect()
}

#[test]
fn every_kind_of_event_is_read_as_it_was_written() {
    let mut text = Vec::new();
    let mut events = Vec::new();
    for (index, what) in (0..).zip(every_kind()) {
        let mut event = event(index, 7, Phase::Ok, what);
        event.error = Some("why \"so\"\n".to_owned());
        event.node = Some(2);
        write(&mut text, &event).unwrap();
        events.push(Ok(event));
    }
    events.push(Ok(Event { actor: Actor::Nemesis, ..event(99, 0, Phase::Info, What::Crash) }));
    write(&mut text, events.last().unwrap().as_ref().unwrap()).unwrap();

    assert_eq!(read(&String::from_utf8(text).unwrap()), events);
}

#[test]
fn a_line_has_the_form_that_is_documented() {
    let mut text = Vec::new();
    write(&mut text, &event(5, 7, Phase::Ok, send(Some(4)))).unwrap();

    let expected = r#"{"index":5,"time":50,"process":7,"type":"ok","f":"send","value":{"acks":"all","idempotent":true,"records":[[3,17,4]]}}"#;
    assert_eq!(String::from_utf8(text).unwrap().trim_end(), expected);
}

#[test]
fn what_is_no_event_is_refused_by_its_line() {
    let good = r#"{"index":5,"time":50,"process":7,"type":"ok","f":"crash","value":null}"#;
    for bad in [
        "nonsense",
        "{}",
        "",
        r#"{"index":-1}"#,
        r#"{"index":6,"time":1,"process":1,"type":"ok","f":"send"}"#,
    ] {
        let read = read(&format!("{good}\n{bad}\n{good}\n"));

        assert_eq!(read.len(), 2, "{bad:?}: {read:?}");
        let error = read.last().unwrap().as_ref().unwrap_err();
        assert!(error.starts_with("line 2 "), "{error}");
    }
}

fn pair(events: &[Event]) -> Result<Vec<Operation>, Malformed> {
    let mut pairing = Pairing::default();
    let mut operations = Vec::new();
    for event in events {
        operations.extend(pairing.take(event.clone())?);
    }
    operations.extend(pairing.finish());
    Ok(operations)
}

#[test]
fn an_operation_has_both_its_ends() {
    let events = [
        event(0, 1, Phase::Invoke, send(None)),
        event(1, 2, Phase::Invoke, What::Crash),
        event(4, 1, Phase::Ok, send(Some(9))),
    ];

    let operations = pair(&events).unwrap();

    let spans: Vec<_> = operations
        .iter()
        .map(|operation| (operation.invoked, operation.completed, operation.outcome))
        .collect();
    assert_eq!(spans, [(0, 4, Phase::Ok), (1, u64::MAX, Phase::Info)]);
    assert_eq!(operations[0].what, send(Some(9)));
}

#[test]
fn what_cannot_be_a_history_is_refused() {
    let begin = |index, process| event(index, process, Phase::Invoke, send(None));
    let end = |index, phase| event(index, 1, phase, send(Some(1)));
    let actor = Actor::Process(1);

    assert_eq!(pair(&[begin(0, 1), begin(1, 1)]), Err(Malformed::Busy { index: 1, actor }));
    assert_eq!(pair(&[end(0, Phase::Ok)]), Err(Malformed::NotBegun { index: 0, actor }));
    assert_eq!(
        pair(&[begin(0, 1), end(1, Phase::Info), begin(2, 1)]),
        Err(Malformed::Retired { index: 2, actor })
    );
    assert_eq!(
        pair(&[begin(0, 1), event(1, 1, Phase::Ok, What::Crash)]),
        Err(Malformed::Another { index: 1, actor })
    );
    let other = SentRecord { key: 3, value: 18, offset: Some(1) };
    let other = What::Send(Send { acks: Acks::All, idempotent: true, records: vec![other] });
    assert_eq!(
        pair(&[begin(0, 1), event(1, 1, Phase::Ok, other)]),
        Err(Malformed::Another { index: 1, actor })
    );
    assert_eq!(pair(&[begin(3, 1), begin(3, 2)]), Err(Malformed::Order { index: 3, last: 3 }));
    let mut early = begin(2, 2);
    early.time_ns = 3;
    assert_eq!(pair(&[begin(1, 1), early]), Err(Malformed::Time { index: 2, time_ns: 3, last_ns: 10 }));
}
