//! Listening sockets.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{
    ConnectionSettings, Peer, Service, connection,
    limits::{Connections, NotNow, Slot},
};

/// After a failed accept (no descriptors left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket of a named listener.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) name: Arc<str>,
    socket: TcpListener,
}

impl Bound {
    /// Binds `host:port`; an empty host means every address, port 0 any free port. Connections get a receive buffer of
    /// `receive_buffer_bytes`; the system's own choice without it.
    ///
    /// # Errors
    /// The address does not resolve or is taken.
    pub(crate) async fn bind(
        name: &str,
        host: &str,
        port: u16,
        backlog: u32,
        receive_buffer_bytes: Option<u32>,
    ) -> io::Result<Self> {
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        for address in lookup_host((host, port)).await? {
            match bind_one(address, backlog, receive_buffer_bytes) {
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

fn bind_one(address: SocketAddr, backlog: u32, receive_buffer_bytes: Option<u32>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    if let Some(bytes) = receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?; // before it listens, so that the window can grow to it
    }
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
        let Some(slot) = admitted(&connections, &bound.name, address, &settings).await else {
            settings.metrics.connections_refused.inc();
            continue;
        };
        prepare(&stream, settings.send_buffer_bytes);
        let peer = Peer { address, listener: Arc::clone(&bound.name), software: None };
        let (settings, service) = (settings.clone(), Arc::clone(&service));
        tokio::spawn(async move { connection::run(stream, peer, slot, settings, &*service).await });
    }
}

/// Waits, as long as there are too many or they come too fast; the next ones wait in the kernel's queue meanwhile. None
/// where the address has as many as it may.
async fn admitted(
    connections: &Arc<Connections>,
    listener: &Arc<str>,
    address: SocketAddr,
    settings: &ConnectionSettings,
) -> Option<Slot> {
    loop {
        let changed = connections.changed();
        match connections.admit(listener, address.ip(), settings.clock.now()) {
            Ok(slot) => return Some(slot),
            Err(NotNow::Address) => return None,
            Err(NotNow::Full) => changed.await,
            Err(NotNow::TooFast(pause)) => {
                tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }
}

fn prepare(stream: &TcpStream, send_buffer_bytes: Option<usize>) {
    if let Some(bytes) = send_buffer_bytes
        && let Err(error) = socket2::SockRef::from(stream).set_send_buffer_size(bytes)
    {
        tracing::debug!(%error, "SO_SNDBUF not set");
    }
    // An answer is one burst: waiting to fill a packet would only add delay.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY not set");
    }
    let keepalive = socket2::SockRef::from(stream).set_keepalive(true);
    if let Err(error) = keepalive {
        tracing::debug!(%error, "SO_KEEPALIVE not set");
    }
}
