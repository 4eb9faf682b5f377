//! An event as a line of JSON: `{"index","time","process","type","f","value","error","node"}`.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::event::{Actor, Event, Phase};
use super::operation::What;

#[derive(Serialize)]
struct Written<'a, T> {
    index: u64,
    time: u64,
    process: Actor,
    #[serde(rename = "type")]
    phase: Phase,
    f: Function,
    value: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<u32>,
}

#[derive(Deserialize)]
struct Line<'a> {
    index: u64,
    time: u64,
    process: Actor,
    #[serde(rename = "type")]
    phase: Phase,
    f: Function,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
    #[serde(default)]
    node: Option<u32>,
}

/// Names of what operations do.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Function {
    Send,
    Poll,
    Assign,
    End,
    Drained,
    Crash,
    Read,
    Write,
    Cas,
    Fault,
}

/// Writes an event as one line.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, event: &Event) -> io::Result<()> {
    match &event.what {
        What::Send(value) => one(out, event, Function::Send, value),
        What::Poll(value) => one(out, event, Function::Poll, value),
        What::Assign(value) => one(out, event, Function::Assign, value),
        What::End(value) => one(out, event, Function::End, value),
        What::Drained(value) => one(out, event, Function::Drained, value),
        What::Crash => one(out, event, Function::Crash, ()),
        What::Read(value) => one(out, event, Function::Read, value),
        What::Write(value) => one(out, event, Function::Write, value),
        What::CompareAndSet(value) => one(out, event, Function::Cas, value),
        What::Fault(value) => one(out, event, Function::Fault, value),
    }
}

fn one(out: &mut impl Write, event: &Event, f: Function, value: impl Serialize) -> io::Result<()> {
    let line = Written {
        index: event.index,
        time: event.time_ns,
        process: event.actor,
        phase: event.phase,
        f,
        value,
        error: event.error.as_deref(),
        node: event.node,
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Reads what [`write`] wrote.
pub(super) fn parse(text: &str) -> Result<Event, serde_json::Error> {
    let line: Line<'_> = serde_json::from_str(text)?;
    let value = line.value.map_or("null", RawValue::get);
    let what = match line.f {
        Function::Send => What::Send(serde_json::from_str(value)?),
        Function::Poll => What::Poll(serde_json::from_str(value)?),
        Function::Assign => What::Assign(serde_json::from_str(value)?),
        Function::End => What::End(serde_json::from_str(value)?),
        Function::Drained => What::Drained(serde_json::from_str(value)?),
        Function::Crash => What::Crash,
        Function::Read => What::Read(serde_json::from_str(value)?),
        Function::Write => What::Write(serde_json::from_str(value)?),
        Function::Cas => What::CompareAndSet(serde_json::from_str(value)?),
        Function::Fault => What::Fault(serde_json::from_str(value)?),
    };
    Ok(Event {
        index: line.index,
        time_ns: line.time,
        actor: line.process,
        phase: line.phase,
        what,
        error: line.error.map(Cow::into_owned),
        node: line.node,
    })
}
