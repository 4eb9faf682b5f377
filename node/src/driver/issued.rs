//! Operations that were issued and whose ends are to be reported in the order of their issue.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::task::Poll;

/// Futures in the order in which they were issued, each with what its completion must carry.
#[derive(Debug)]
pub(crate) struct Issued<F, G> {
    waiting: VecDeque<(F, G)>,
}

impl<F: Future + Unpin, G> Issued<F, G> {
    /// Nothing is under way.
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    /// Notes an operation that was issued just now.
    pub(crate) fn push(&mut self, operation: F, tag: G) {
        self.waiting.push_back((operation, tag));
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The end of the oldest operation; waits for ever while there is none. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> (F::Output, G) {
        poll_fn(|context| {
            let Some((operation, _)) = self.waiting.front_mut() else { return Poll::Pending };
            let Poll::Ready(output) = std::pin::Pin::new(operation).poll(context) else {
                return Poll::Pending;
            };
            let (_, tag) = self.waiting.pop_front().expect("the operation that just ended is at the front");
            Poll::Ready((output, tag))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Ready, ready};

    #[test]
    fn ends_are_reported_in_the_order_of_issue() {
        let mut issued: Issued<Ready<u8>, &str> = Issued::new();
        issued.push(ready(1), "first");
        issued.push(ready(2), "second");
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut poll = || std::pin::pin!(issued.next()).poll(&mut context);

        assert_eq!(poll(), Poll::Ready((1, "first")));
        assert_eq!(poll(), Poll::Ready((2, "second")));
        assert_eq!(poll(), Poll::Pending);
    }
}
