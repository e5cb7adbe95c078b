//! Fewer, larger TCP segments from an HTTP/2 connection.
//!
//! h2 hands over one DATA frame (16 KiB with most peers) per write and flushes after each; with Nagle off every one of
//! them is pushed through the network stack alone. Here the socket is corked from the first large write until a flush
//! with nothing written since the flush before: h2's sign that it has no more to send in this turn. The kernel sends full
//! segments meanwhile, and lets go of a forgotten cork after 200 ms (`tcp(7)`).

use socket2::SockRef;

use crate::socket::Socket;

/// Writes below this are sent at once: window updates, pings, headers.
const LARGE_WRITE_BYTES: usize = 8 << 10;

/// Whether a connection is corked.
#[derive(Debug, Default)]
pub(super) struct Cork {
    corked: bool,
    wrote: bool,
}

impl Cork {
    /// Before a write of `bytes`.
    pub(super) fn before_write(&mut self, socket: &Socket, bytes: usize) {
        self.wrote = true;
        if !self.corked && bytes >= LARGE_WRITE_BYTES {
            self.corked = set(socket, true);
        }
    }

    /// At a flush.
    pub(super) fn at_flush(&mut self, socket: &Socket) {
        if self.corked && !self.wrote {
            set(socket, false);
            self.corked = false;
        }
        self.wrote = false;
    }
}

/// Whether it could be set; where it cannot, segments are smaller, not wrong.
#[cfg(target_os = "linux")]
fn set(socket: &Socket, corked: bool) -> bool {
    match socket {
        Socket::Tcp(stream) => SockRef::from(stream).set_tcp_cork(corked).is_ok(),
        Socket::Unix(_) => false,
    }
}

#[cfg(not(target_os = "linux"))]
fn set(_: &Socket, _: bool) -> bool {
    false
}
