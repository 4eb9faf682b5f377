//! A socket that never asks the kernel for more segments than fit into one send, nor quinn for more buffer than one
//! receive can fill.
//!
//! quinn sends up to ten segments at once; with large datagrams that is more than the 65,535 bytes that the kernel
//! takes, the error is dropped, and the path is taken for a black hole. For receiving, quinn reserves the largest
//! datagram times the segments that may come coalesced, 32 times over; but what the kernel coalesces never exceeds
//! 65,535 bytes either. All else is left to the socket within.

use core::pin::Pin;
use core::task::{Context, Poll};
use quinn::udp::{RecvMeta, Transmit};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;

/// The most bytes of UDP payload in one send.
const SEND_BYTES_MAX: usize = 65_507;

/// The most bytes of one receive.
const RECEIVE_BYTES_MAX: usize = 65_535;

/// A socket with a bound on segments per send.
#[derive(Debug)]
pub(super) struct CappedSocket {
    inner: Arc<dyn quinn::AsyncUdpSocket>,
    segments_max: usize,
    receive_segments_max: usize,
}

impl CappedSocket {
    /// Wraps a socket on which datagrams grow up to `datagram_bytes`.
    pub(super) fn new(inner: Arc<dyn quinn::AsyncUdpSocket>, datagram_bytes: u16) -> Self {
        let datagram_bytes = usize::from(datagram_bytes).max(1);
        let segments_max = (SEND_BYTES_MAX / datagram_bytes).max(1);
        let receive_segments_max = RECEIVE_BYTES_MAX.div_ceil(datagram_bytes);
        Self { inner, segments_max, receive_segments_max }
    }
}

impl quinn::AsyncUdpSocket for CappedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn quinn::UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments().min(self.segments_max)
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments().min(self.receive_segments_max)
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
