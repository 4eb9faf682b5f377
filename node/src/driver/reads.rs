//! Messages that wait until the records that they carry are read.
//!
//! Reads begin when they are put here and go on side by side. Messages are handed over in order for each node: who is far
//! behind, and needs what no cache holds, holds up no other. What is sent and what not is for the drivers to do.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use highwater_model::id::{NodeId, Offset};
use highwater_transport::env::Instant;

use crate::disk::Fault;
use crate::peers::Drops;

/// Bytes to be read.
pub(crate) type Reading = Pin<Box<dyn Future<Output = Result<Bytes, Fault>> + Send>>;

/// What came of a read, the number of cuts before it, and the message that waited for it.
pub(crate) type Read<M> = (Result<Bytes, Fault>, (u64, NodeId, M));

/// Messages in the order in which they were put here.
pub(crate) struct Reads<M> {
    waiting: VecDeque<Waiting<M>>,
    drops: Drops,
}

/// A message that waits.
pub(crate) struct Waiting<M> {
    /// For whom.
    pub(crate) to: NodeId,
    /// How often the log had been cut when the read was begun.
    pub(crate) cuts: u64,
    /// From where on is read, inclusive, and where to stop, exclusive.
    pub(crate) range: (Offset, Offset),
    /// The message.
    pub(crate) message: M,
    /// What is to be read for it.
    pub(crate) read: Progress,
}

/// How far a read has come.
pub(crate) enum Progress {
    Begun(Reading),
    Done(Result<Bytes, Fault>),
}

impl Progress {
    /// Begins a read: it is under way when this returns.
    pub(crate) fn begin(reading: impl Future<Output = Result<Bytes, Fault>> + Send + 'static) -> Self {
        let mut begun = Self::Begun(Box::pin(reading));
        // Whoever waits for it looks again.
        begun.advance(&mut Context::from_waker(Waker::noop()));
        begun
    }

    /// Whether it is done.
    fn advance(&mut self, context: &mut Context<'_>) -> bool {
        if let Self::Begun(reading) = self {
            match reading.as_mut().poll(context) {
                Poll::Ready(read) => *self = Self::Done(read),
                Poll::Pending => return false,
            }
        }
        true
    }
}

impl<M> Reads<M> {
    /// Nobody waits.
    pub(crate) fn new() -> Self {
        Self { waiting: VecDeque::new(), drops: Drops::default() }
    }

    /// Puts a message here whose read has begun.
    pub(crate) fn push(&mut self, waiting: Waiting<M>) {
        self.waiting.push_back(waiting);
    }

    /// How many messages wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many wait for one node.
    pub(crate) fn count(&self, to: NodeId) -> usize {
        self.waiting.iter().filter(|waiting| waiting.to == to).count()
    }

    /// Takes the oldest message to this node out. Its read can be gone on with.
    pub(crate) fn withdraw(&mut self, to: NodeId) -> Option<Waiting<M>> {
        let place = self.waiting.iter().position(|waiting| waiting.to == to)?;
        self.waiting.remove(place)
    }

    /// Forgets all messages, and gives for whom they were, in their order.
    pub(crate) fn forget(&mut self) -> impl Iterator<Item = NodeId> + use<M> {
        std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.to)
    }

    /// Counts a message that is not sent because reads take too long. The count, when it is time to tell it.
    pub(crate) fn note_dropped(&mut self, now: Instant) -> Option<u64> {
        self.drops.note(now)
    }

    /// The next message whose records are read and that no other to the same node is before; waits for ever while there is
    /// none. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Read<M> {
        poll_fn(|context| {
            let mut held_up: Vec<NodeId> = Vec::new();
            let mut is_next = |waiting: &mut Waiting<M>| {
                let is_done = waiting.read.advance(context);
                let is_first = !held_up.contains(&waiting.to);
                held_up.push(waiting.to);
                is_first && is_done
            };
            let Some(place) = self.waiting.iter_mut().position(&mut is_next) else { return Poll::Pending };
            match self.waiting.remove(place) {
                Some(Waiting { to, cuts, message, read: Progress::Done(read), .. }) => {
                    Poll::Ready((read, (cuts, to, message)))
                }
                Some(_) | None => unreachable!("it was found at that place, and done"),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    type Disk = oneshot::Sender<Bytes>;

    /// A message whose records come when the disk gives them.
    fn waiting(to: u32, message: &'static str) -> (Disk, Waiting<&'static str>) {
        let (disk, read) = oneshot::channel();
        let read = Progress::begin(async { Ok(read.await.expect("the disk gives them")) });
        let range = (Offset(0), Offset(9));
        (disk, Waiting { to: NodeId(to), cuts: 0, range, message, read })
    }

    /// The messages that are handed over now.
    fn handed_over(reads: &mut Reads<&'static str>) -> Vec<&'static str> {
        let mut context = Context::from_waker(Waker::noop());
        let mut next = || match std::pin::pin!(reads.next()).poll(&mut context) {
            Poll::Ready((_, (_, _, message))) => Some(message),
            Poll::Pending => None,
        };
        std::iter::from_fn(&mut next).collect()
    }

    #[test]
    fn a_slow_read_holds_up_its_own_node_and_no_other() {
        let mut reads = Reads::new();
        let (slow, first) = waiting(1, "first of 1");
        let (quick, second) = waiting(1, "second of 1");
        let (other, of_2) = waiting(2, "first of 2");
        [first, second, of_2].into_iter().for_each(|waiting| reads.push(waiting));
        assert_eq!(handed_over(&mut reads), [""; 0]);

        quick.send(Bytes::new()).expect("it is read");
        other.send(Bytes::new()).expect("it is read");
        assert_eq!(handed_over(&mut reads), ["first of 2"]);
        slow.send(Bytes::new()).expect("it is read");
        assert_eq!(handed_over(&mut reads), ["first of 1", "second of 1"]);
    }

    #[test]
    fn a_read_is_under_way_though_nobody_has_waited_for_it_yet() {
        let (begun, is_begun) = oneshot::channel();
        let _progress = Progress::begin(async {
            begun.send(()).expect("the test waits");
            std::future::pending().await
        });

        assert_eq!(is_begun.blocking_recv(), Ok(()));
    }

    #[test]
    fn a_message_that_is_withdrawn_is_the_oldest_to_that_node_and_its_read_goes_on() {
        let mut reads = Reads::new();
        let (of_2, other) = waiting(2, "of 2");
        let (disk, former) = waiting(1, "former");
        [other, former].into_iter().for_each(|waiting| reads.push(waiting));

        let former = reads.withdraw(NodeId(1)).expect("it waits");
        assert_eq!((former.message, reads.count(NodeId(1)), reads.len()), ("former", 0, 1));
        reads.push(Waiting { message: "newer", ..former });
        disk.send(Bytes::new()).expect("it is read still");
        assert_eq!(handed_over(&mut reads), ["newer"]);
        assert_eq!(reads.forget().collect::<Vec<_>>(), [NodeId(2)]);
        drop(of_2);
    }
}
