//! Acts and what is owed, in words.

use highwater_model::trace::Act;

use super::{Kind, Owed};

/// An act in words.
pub(super) fn shown<K: Kind>(act: &Act<K::Timer>) -> String {
    let Act::Sent { to, body, carried, has_link } = act else { return format!("{act:?}") };
    format!("Sent {{ to: {to}, {}, {carried:?}, link: {has_link} }}", K::spoken(body))
}

/// What is owed, in words.
pub(super) fn shown_owed<K: Kind>(owed: &Owed<K::Timer>) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "all others are words already")]
    match owed {
        Owed::Send { to, body } => format!("Send {{ to: {to}, {} }}", K::spoken(body)),
        Owed::Read(reading) => format!(
            "Read [{}, {}) for {}, {}",
            reading.from,
            reading.end,
            reading.to,
            K::spoken(&reading.body)
        ),
        _ => format!("{owed:?}"),
    }
}
