//! Listening TCP sockets that outlive the receiver that uses them.
//!
//! A reload may replace a receiver and keep its address. The socket stays open in between (the kernel queues new
//! connections), so no client is refused. Only between [`Listeners::hold`] and [`Listeners::release`] can an open socket be
//! taken over, once, and from a component that the reload replaces: otherwise two components on one address would share its
//! connections without anybody noticing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The process's listening sockets by address.
#[derive(Debug, Default)]
pub struct Listeners {
    open: Mutex<BTreeMap<SocketAddr, Open>>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Open {
    socket: Weak<TcpListener>,
    owner: String,
}

/// What a reload holds open.
#[derive(Debug)]
struct Held {
    /// Kept open, whoever drops them.
    sockets: Vec<Arc<TcpListener>>,
    /// Whose sockets may be taken over.
    replaced: BTreeSet<String>,
    /// The new owners.
    taken: BTreeMap<SocketAddr, String>,
}

impl Listeners {
    /// Listens on `address` on behalf of `owner` (`receiver otlp`): during a reload on a socket that is open already, if
    /// its owner is being replaced. The socket closes when the last holder drops it. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What binding answers; `AddrInUse` also for an address that another component of this process listens on.
    pub fn listen(&self, address: SocketAddr, owner: &str) -> io::Result<Arc<TcpListener>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((listener, before)) =
            open.get(&address).and_then(|open| Some((open.socket.upgrade()?, open.owner.as_str())))
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(held) = held.as_mut()
                && held.replaced.contains(before)
                && !held.taken.contains_key(&address)
            {
                held.taken.insert(address, owner.to_owned());
                return Ok(listener);
            }
            let message = format!("address already in use by another component of this process, the {before}");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
        }
        let socket =
            if address.is_ipv4() { tokio::net::TcpSocket::new_v4()? } else { tokio::net::TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = Arc::new(socket.listen(BACKLOG)?.into_std()?);
        let bound = listener.local_addr()?;
        open.retain(|_, open| open.socket.strong_count() > 0);
        // Port 0 asks for a new port each time; remember only what was really bound.
        open.insert(bound, Open { socket: Arc::downgrade(&listener), owner: owner.to_owned() });
        Ok(listener)
    }

    /// Keeps every open socket open until [`Listeners::release`], so that the owners in `replaced` can be replaced.
    pub fn hold(&self, replaced: BTreeSet<String>) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let sockets = open.values().filter_map(|open| open.socket.upgrade()).collect();
        let held = Held { sockets, replaced, taken: BTreeMap::new() };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
    }

    /// Lets go of the sockets that nobody took over. `succeeded`: those that were taken over belong to whom took them.
    pub fn release(&self, succeeded: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        for (address, owner) in held.taken.into_iter().filter(|_| succeeded) {
            if let Some(open) = open.get_mut(&address) {
                open.owner = owner;
            }
        }
        drop(held.sockets);
    }
}

/// Connections that may wait to be accepted; the kernel caps it at `somaxconn`.
const BACKLOG: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn only(owner: &str) -> BTreeSet<String> {
        BTreeSet::from([owner.to_owned()])
    }

    #[tokio::test]
    async fn a_held_socket_is_handed_to_the_next_holder() {
        let listeners = Listeners::default();
        let first = listeners.listen(ANY, "a").unwrap();
        let address = first.local_addr().unwrap();
        listeners.hold(only("a"));
        drop(first);
        let second = listeners.listen(address, "b").unwrap();
        listeners.release(true);
        assert_eq!(second.local_addr().unwrap(), address);
        drop(second);
        let third = listeners.listen(address, "c").unwrap();
        assert_eq!(third.local_addr().unwrap(), address);
    }

    #[tokio::test]
    async fn two_components_cannot_share_an_address() {
        let listeners = Listeners::default();
        let first = listeners.listen(ANY, "a").unwrap();
        let address = first.local_addr().unwrap();
        let in_use = |owner: &str| {
            let error = listeners.listen(address, "other").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            assert!(error.to_string().ends_with(&format!("the {owner}")), "{error}");
        };
        in_use("a");
        // Somebody else is replaced.
        listeners.hold(only("b"));
        in_use("a");
        listeners.release(true);
        // A takeover that came to nothing.
        listeners.hold(only("a"));
        let second = listeners.listen(address, "b").unwrap();
        in_use("a");
        listeners.release(false);
        drop(second);
        in_use("a");
        listeners.hold(only("a"));
        let _third = listeners.listen(address, "c").unwrap();
        listeners.release(true);
        in_use("c");
    }
}
