//! Listening TCP sockets that outlive the receiver that uses them.
//!
//! A reload may replace a receiver and keep its address. The socket stays open in between (the kernel queues new
//! connections), so no client is refused. Only between [`Listeners::hold`] and [`Listeners::release`] can an open socket be
//! taken over, and once: otherwise two components on one address would share its connections without anybody noticing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The process's listening sockets by address.
#[derive(Debug, Default)]
pub struct Listeners {
    open: Mutex<BTreeMap<SocketAddr, Weak<TcpListener>>>,
    held: Mutex<Option<Held>>,
}

/// What a reload holds open.
#[derive(Debug)]
struct Held {
    /// Kept open, whoever drops them.
    sockets: Vec<Arc<TcpListener>>,
    taken: BTreeSet<SocketAddr>,
}

impl Listeners {
    /// Listens on `address`: during a reload on a socket that is open already, if there is one. The socket closes when
    /// the last holder drops it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What binding answers; `AddrInUse` also for an address that another component of this process listens on.
    pub fn listen(&self, address: SocketAddr) -> io::Result<Arc<TcpListener>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = open.get(&address).and_then(Weak::upgrade) {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            return match held.as_mut().is_some_and(|held| held.taken.insert(address)) {
                true => Ok(listener),
                false => Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "address already in use by another component of this process",
                )),
            };
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
        let sockets = open.values().filter_map(Weak::upgrade).collect();
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held { sockets, taken: BTreeSet::new() });
    }

    /// Lets go of the sockets that nobody took over.
    pub fn release(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(held.map(|held| held.sockets));
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
    #[tokio::test]
    async fn two_components_cannot_share_an_address() {
        let listeners = Listeners::default();
        let first = listeners.listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = first.local_addr().unwrap();
        let in_use = |listeners: &Listeners| {
            assert_eq!(listeners.listen(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        };
        in_use(&listeners);
        listeners.hold();
        let _second = listeners.listen(address).unwrap();
        in_use(&listeners);
        listeners.release();
        in_use(&listeners);
    }
}
