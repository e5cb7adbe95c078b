//! Listening TCP sockets that outlive the receiver that uses them.
//!
//! A reload may replace a receiver and keep its address. The socket stays open in between (the kernel queues new
//! connections), so no client is refused.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The process's listening sockets by address.
#[derive(Debug, Default)]
pub struct Listeners {
    open: Mutex<BTreeMap<SocketAddr, Weak<TcpListener>>>,
    kept: Mutex<Vec<Arc<TcpListener>>>,
}

impl Listeners {
    /// Listens on `address`: on a socket that is open already if there is one. The socket closes when the last holder
    /// drops it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What binding answers.
    pub fn listen(&self, address: SocketAddr) -> io::Result<Arc<TcpListener>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = open.get(&address).and_then(Weak::upgrade) {
            return Ok(listener);
        }
        let socket =
            if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = Arc::new(socket.listen(BACKLOG)?.into_std()?);
        let bound = listener.local_addr()?;
        open.retain(|_, listener| listener.strong_count() > 0);
        // Port 0 asks for a new port each time; remember only what was really bound.
        open.insert(bound, Arc::downgrade(&listener));
        Ok(listener)
    }

    /// Keeps every open socket open until [`Listeners::release`], so that a receiver can be replaced.
    pub fn hold(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = open.values().filter_map(Weak::upgrade).collect();
    }

    /// Lets go of the sockets that nobody took over.
    pub fn release(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_socket_is_handed_to_the_next_holder() {
        let listeners = Listeners::default();
        let first = listeners.listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        listeners.hold();
        drop(first);
        let second = listeners.listen(address).unwrap();
        listeners.release();
        assert_eq!(second.local_addr().unwrap(), address);
        drop(second);
        let third = listeners.listen(address).unwrap();
        assert_eq!(third.local_addr().unwrap(), address);
    }
}
