//! One connection: read, hand over, answer.
//!
//! Invariants: requests reach the service in arrival order; a peer that does not read its answers is not read from.

use std::{net::SocketAddr, sync::Arc};

use ottla_disk::Clock;
use tokio::net::TcpStream;

use super::{
    FrameMemory, Service,
    answers::Answers,
    frames::{FrameError, FrameReader},
    limits::Slot,
};
use crate::metrics::NetworkMetrics;

/// What all connections share.
#[derive(Clone)]
pub(crate) struct ConnectionSettings {
    pub(crate) memory: Arc<FrameMemory>,
    pub(crate) frame_bytes_max: usize,
    /// `socket.send.buffer.bytes`; none for the system's own.
    pub(crate) send_buffer_bytes: Option<usize>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<NetworkMetrics>,
}

/// The other end, as the handlers see it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    /// Name of the listener it came in by: metadata answers with that listener's advertised address.
    pub(crate) listener: Arc<str>,
    /// What the client said of itself in `ApiVersions`.
    pub(crate) software: Option<(String, String)>,
}

/// Serves one connection until either side ends it.
pub(crate) async fn run(
    stream: TcpStream,
    mut peer: Peer,
    slot: Slot,
    settings: ConnectionSettings,
    service: &impl Service,
) {
    let mut frames = FrameReader::new(Arc::clone(&settings.memory), settings.frame_bytes_max);
    let mut answers = Answers::default();
    while !answers.is_closed() {
        let mut sent = 0;
        let step = tokio::select! {
            biased;
            result = answers.advance(&stream, &mut sent), if !answers.is_empty() => result.map_err(FrameError::from).map(|()| Step::Sent),
            frame = frames.next(&stream), if answers.has_room() => frame.map(Step::Frame),
            () = slot.ended() => Ok(Step::End),
        };
        settings.metrics.bytes_sent.inc_by(sent);
        match step {
            Ok(Step::Sent) => {}
            Ok(Step::Frame(Some(frame))) => {
                slot.touch(settings.clock.now());
                settings.metrics.requests.inc();
                answers.push(service.call(&mut peer, frame, frames.arrived()));
            }
            Ok(Step::Frame(None)) | Ok(Step::End) => answers.close(),
            Err(error) => {
                tracing::debug!(peer = %peer.address, %error, "connection ended");
                return;
            }
        }
    }
}

enum Step {
    Sent,
    Frame(Option<bytes::Bytes>),
    End,
}
