//! Catching a core's failed assertion, with its message, without noise on the terminal.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// `None` outside of [`quietly`]; inside, the message of the panic, once there is one.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `act`; a panic in it becomes an error that tells its message and place.
pub(crate) fn quietly<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(install);
    CAUGHT.with_borrow_mut(|caught| *caught = Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(act));
    let message = CAUGHT.take();
    result.map_err(|_| message.unwrap_or_default())
}

/// Puts a hook before the present one that records the panics of [`quietly`] and leaves all others alone.
fn install() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let quiet = CAUGHT.with_borrow_mut(|caught| {
            caught.as_mut().map(|message| {
                let place = info.location().map(ToString::to_string).unwrap_or_default();
                *message = format!("{} at {place}", text_of(info.payload()));
            })
        });
        if quiet.is_none() {
            loud(info);
        }
    }));
}

fn text_of(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::quietly;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(quietly(|| 3), Ok(3));
        let message = quietly(|| assert_eq!(1, 2, "one is not two")).expect_err("a panic");

        assert!(message.contains("one is not two"));
        assert!(message.contains("quiet.rs"));
    }
}
