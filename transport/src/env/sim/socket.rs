//! A simulated UDP socket, as quinn uses it.
//!
//! Leaves the fate of what it sends to [`super::network`]. Segmentation offload is off, so that every datagram has a
//! fate of its own.

use super::super::locked;
use super::World;
use super::network::Datagram;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use quinn::udp::{RecvMeta, Transmit};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// The receive buffer of a simulated socket, in bytes; what comes when it is full is lost.
const RECEIVE_BUFFER_BYTES: usize = super::super::SOCKET_BUFFER_BYTES;

/// What has arrived at a socket and was not read yet.
#[derive(Debug)]
pub(super) struct Mailbox {
    address: SocketAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    bytes: usize,
    queue: VecDeque<Datagram>,
    reader: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, state: Mutex::new(State::default()) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a datagram in, if there is room.
    pub(super) fn put(&self, datagram: Datagram) -> bool {
        let mut state = locked(&self.state);
        let bytes = state.bytes + datagram.bytes.len();
        if state.closed || bytes > RECEIVE_BUFFER_BYTES {
            return false;
        }
        state.bytes = bytes;
        state.queue.push_back(datagram);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Ends the socket: nothing is sent or received through it any more.
    pub(super) fn close(&self) {
        let mut state = locked(&self.state);
        state.closed = true;
        state.queue.clear();
    }

    fn is_closed(&self) -> bool {
        locked(&self.state).closed
    }

    fn poll_take(&self, context: &Context<'_>) -> Poll<io::Result<Datagram>> {
        let mut state = locked(&self.state);
        if let Some(datagram) = state.queue.pop_front() {
            state.bytes -= datagram.bytes.len();
            return Poll::Ready(Ok(datagram));
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }
}

/// The socket that quinn holds. Its address is free again when the last handle is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Socket {
    world: Arc<World>,
    mailbox: Arc<Mailbox>,
}

impl Socket {
    pub(super) fn new(world: Arc<World>, mailbox: Arc<Mailbox>) -> Self {
        Self { world, mailbox }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        locked(&self.world.network).unbind(&self.mailbox);
    }
}

impl quinn::AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn quinn::UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.mailbox.is_closed() {
            return Ok(());
        }
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        let now_us = self.world.now_us();
        let mut network = locked(&self.world.network);
        for bytes in transmit.contents.chunks(segment) {
            let (from, to, ecn) = (self.mailbox.address(), transmit.destination, transmit.ecn);
            network.send(now_us, Datagram { from, to, ecn, bytes: bytes.into() });
        }
        drop(network);
        self.world.arrivals.notify_one();
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            match self.mailbox.poll_take(context) {
                Poll::Ready(Ok(datagram)) => receive(&datagram, buffer, meta),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if count == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
            count += 1;
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.mailbox.address())
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

/// Copies a datagram out as `recvmsg` does: what does not fit is cut off.
fn receive(datagram: &Datagram, buffer: &mut [u8], meta: &mut RecvMeta) {
    let length = datagram.bytes.len().min(buffer.len());
    if let (Some(to), Some(from)) = (buffer.get_mut(..length), datagram.bytes.get(..length)) {
        to.copy_from_slice(from);
    }
    *meta = RecvMeta {
        addr: datagram.from,
        len: length,
        stride: length,
        ecn: datagram.ecn,
        dst_ip: Some(datagram.to.ip()),
    };
}

/// The simulated network takes everything at once.
#[derive(Debug)]
struct AlwaysWritable;

impl quinn::UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
