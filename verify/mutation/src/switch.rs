//! The switch that an instrumented crate carries: one atomic that says which mutant is on.
//!
//! It is read once, from the environment: `HIGHWATER_MUTANT=17` turns 17 on, and `HIGHWATER_MUTANT=note:FILE` turns none on
//! and writes down which are met.

use proc_macro2::TokenStream;
use quote::quote;

/// The environment variable that the switch reads.
pub(crate) const VARIABLE: &str = "HIGHWATER_MUTANT";

/// The module that holds the switch, in the root of an instrumented crate.
pub(crate) const MODULE: &str = "mutation_switch";

/// Whether mutant `number` is on, as an expression of an instrumented crate.
pub(crate) fn on(number: u32) -> TokenStream {
    quote!(crate::mutation_switch::on(#number))
}

/// The source of the module, for a crate of fewer than 65,536 mutants.
pub(crate) const SOURCE: &str = r#"//! Which mutant is on.
extern crate std;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::io::Write as _;

const NONE: u32 = u32::MAX - 2;
const NOTE: u32 = u32::MAX - 1;
const UNREAD: u32 = u32::MAX;

static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static MET: [AtomicU32; 2048] = [const { AtomicU32::new(0) }; 2048];

#[inline(always)]
pub fn on(number: u32) -> bool {
    let active = ACTIVE.load(Relaxed);
    if active >= NOTE { slowly(active, number) } else { active == number }
}

#[cold]
#[inline(never)]
fn slowly(active: u32, number: u32) -> bool {
    if active == UNREAD {
        let read = match std::env::var("HIGHWATER_MUTANT") {
            Ok(asked) if asked.starts_with("note:") => NOTE,
            Ok(asked) => asked.parse().unwrap_or(NONE),
            Err(_) => NONE,
        };
        ACTIVE.store(read, Relaxed);
        return on(number);
    }
    let bit = 1 << (number % 32);
    let word = &MET[(number / 32) as usize];
    if word.load(Relaxed) & bit == 0 && word.fetch_or(bit, Relaxed) & bit == 0 {
        let asked = std::env::var("HIGHWATER_MUTANT").expect("the switch was read from it");
        let path = asked.strip_prefix("note:").expect("the switch was read so");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("notes can be written");
        file.write_all(std::format!("{number}\n").as_bytes()).expect("notes can be written");
    }
    false
}
"#;
