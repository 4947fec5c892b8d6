//! Listening sockets.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{ConnectionSettings, Peer, Service, connection, limits::Connections};

/// After a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket of a named listener.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: Arc<str>,
    socket: TcpListener,
}

impl Bound {
    /// Binds `host:port`; an empty host means every address, port 0 any free port.
    ///
    /// # Errors
    /// The address does not resolve or is taken.
    pub(crate) async fn bind(name: &str, host: &str, port: u16, backlog: u32) -> io::Result<Self> {
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in lookup_host((host, port)).await? {
            match bind_one(address, backlog) {
                Ok(socket) => return Ok(Self { name: name.into(), socket }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the socket says.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

fn bind_one(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// Accepts connections until the task is aborted.
pub(crate) async fn serve<S: Service>(
    bound: Bound,
    connections: Arc<Connections>,
    settings: ConnectionSettings,
    service: Arc<S>,
) {
    loop {
        let (stream, address) = match bound.socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, listener = %bound.name, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = connections.admit(address.ip(), settings.clock.now()) else {
            settings.metrics.connections_refused.inc();
            continue;
        };
        prepare(&stream);
        let peer = Peer { address, listener: Arc::clone(&bound.name), software: None };
        let (settings, service) = (settings.clone(), Arc::clone(&service));
        tokio::spawn(async move { connection::run(stream, peer, slot, settings, &*service).await });
    }
}

fn prepare(stream: &TcpStream) {
    // An answer is one burst: waiting to fill a packet would only add delay.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let keepalive = socket2::SockRef::from(stream).set_keepalive(true);
    if let Err(error) = keepalive {
        tracing::debug!(%error, "SO_KEEPALIVE not set");
    }
}
