//! Listening sockets: TCP through the process's [`Listeners`], so that they outlive a reload, and Unix sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use component::{Host, StartError};
use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener, lookup_host};

use crate::endpoint::HostPort;
use crate::server::ServerSettings;
use crate::server::config::Transport;
use crate::socket::Socket;

/// A listening socket.
#[derive(Debug)]
pub struct Listener(Kind);

#[derive(Debug)]
enum Kind {
    /// The second one is held so that a component that replaces this one finds it.
    Tcp(TcpListener, #[expect(dead_code, reason = "held for its drop")] Arc<std::net::TcpListener>),
    /// The path is removed when dropped.
    Unix(UnixListener, #[expect(dead_code, reason = "held for its drop")] UnixPath),
}

#[derive(Debug)]
struct UnixPath(String);

impl Drop for UnixPath {
    fn drop(&mut self) {
        // Best effort: the path may be gone, or taken over.
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens on `endpoint`. A host name is listened on at its first address, IPv4 before IPv6, as in Go.
    ///
    /// # Errors
    /// Names that do not resolve, addresses in use, missing rights.
    pub async fn open(
        endpoint: &str,
        transport: Transport,
        host: &Host,
        settings: &ServerSettings,
    ) -> Result<Self, StartError> {
        let attempted = || format!("listen on `{endpoint}`");
        let fail = |source: io::Error| StartError::new(&settings.id, attempted(), source);
        if transport == Transport::Unix {
            return open_unix(endpoint).await.map_err(fail);
        }
        let parsed = HostPort::parse(endpoint)
            .map_err(|error| StartError::new(&settings.id, attempted(), io::Error::other(error)))?;
        let owner = owner(settings);
        let mut last = None;
        for address in addresses(&parsed, transport).await.map_err(fail)? {
            match host.listeners().listen(address, &owner) {
                Ok(shared) => {
                    // The duplicate shares the socket; accepting on both is fine.
                    let own = shared.try_clone().and_then(|own| {
                        own.set_nonblocking(true)?;
                        TcpListener::from_std(own)
                    });
                    let own = own.map_err(fail)?;
                    let bound = own.local_addr().unwrap_or(address);
                    let reachable = if bound.ip().is_loopback() { "this machine" } else { "the network" };
                    tracing::info!(component = %owner, address = %bound, reachable_from = reachable, "listening");
                    return Ok(Self(Kind::Tcp(own, shared)));
                }
                // Systems without IPv6 fall back to IPv4 for "every address".
                Err(error) => last = Some(error),
            }
        }
        Err(fail(last.unwrap_or_else(|| io::Error::other("the host has no address of this kind"))))
    }

    /// The address it is bound to; `None` for Unix sockets.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(listener, _) => listener.local_addr().ok(),
            Kind::Unix(..) => None,
        }
    }

    /// The next connection, small packets sent at once.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match &self.0 {
            Kind::Tcp(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                // Without these a connection is slower or lives longer, not wrong.
                let _slower = stream.set_nodelay(true);
                let _longer = SockRef::from(&stream).set_keepalive(true);
                Ok((Socket::Tcp(stream), Some(peer)))
            }
            Kind::Unix(listener, _) => Ok((Socket::Unix(listener.accept().await?.0), None)),
        }
    }
}

/// By what a reload knows whose socket it is: kind and ID, as the component's metrics are labelled.
fn owner(settings: &ServerSettings) -> String {
    match settings.telemetry.labels(&[]).first() {
        Some((kind, id)) => format!("{kind} {id}"),
        None => settings.id.to_string(),
    }
}

async fn open_unix(path: &str) -> io::Result<Listener> {
    use std::os::unix::fs::FileTypeExt as _;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && tokio::net::UnixStream::connect(path).await.is_err() {
        // Left behind by a process that was killed: nobody answers there.
        std::fs::remove_file(path)?;
    }
    Ok(Listener(Kind::Unix(UnixListener::bind(path)?, UnixPath(path.to_owned()))))
}

/// Candidates to listen on, in order of preference. Never empty.
async fn addresses(endpoint: &HostPort, transport: Transport) -> io::Result<Vec<SocketAddr>> {
    let (v4, v6) = (SocketAddr::from(([0, 0, 0, 0], endpoint.port)), SocketAddr::from(([0_u16; 8], endpoint.port)));
    if endpoint.host.is_empty() {
        return Ok(match transport {
            Transport::Tcp4 => vec![v4],
            Transport::Tcp6 => vec![v6],
            Transport::Tcp | Transport::Unix => vec![v6, v4],
        });
    }
    let found: Vec<SocketAddr> = lookup_host((endpoint.host.as_str(), endpoint.port)).await?.collect();
    let first = |v4: bool| found.iter().copied().find(|address| address.is_ipv4() == v4);
    let chosen = match transport {
        Transport::Tcp4 => first(true),
        Transport::Tcp6 => first(false),
        Transport::Tcp | Transport::Unix => first(true).or_else(|| first(false)),
    };
    chosen.map(|address| vec![address]).ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, format!("`{}` has no address of this kind", endpoint.host))
    })
}
