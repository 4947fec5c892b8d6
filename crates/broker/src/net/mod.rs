//! Connections: sockets in, frames up, answers down.
//!
//! One task per connection reads frames, hands each to the [`Service`] in arrival order and sends the answers in the same
//! order; an answer that has to wait is awaited while later frames are taken in.
//!
//! Invariants: answers leave in the order of their requests; what one peer sends or fails to read holds up nobody else;
//! memory taken for a frame follows the bytes that arrived, not the length that was announced.

mod answers;
mod buffers;
mod connection;
mod frames;
mod limits;
mod listener;
mod send;
#[cfg(test)]
mod tests;

use std::{future::Future, pin::Pin, time::Instant};

use bytes::Bytes;
use ottla_wire::Segment;

pub(crate) use buffers::FrameMemory;
pub(crate) use connection::{ConnectionSettings, Peer};
pub(crate) use limits::{ConnectionLimits, Connections, Limit};
pub(crate) use listener::{Bound, serve};

use crate::latency::Timing;

/// A response frame, length prefix included, as the pieces to send.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) segments: Vec<Segment>,
    /// Who counts how long the request took, if somebody does.
    pub(crate) timing: Option<Timing>,
}

/// A response that will be there later; none where it cannot be expressed, which ends the connection.
pub(crate) type FrameFuture = Pin<Box<dyn Future<Output = Option<Frame>> + Send>>;

/// What a request is answered with.
pub(crate) enum Answer {
    /// The response.
    Now(Frame),
    /// A response to wait for, while requests behind it are already taken in.
    Later(FrameFuture),
    /// A response to wait for before the next request is looked at.
    Exclusive(FrameFuture),
    /// No response, as for a produce request without acknowledgement.
    Nothing,
    /// The connection ends once earlier answers are out.
    Close,
}

/// What is done with a request.
pub(crate) trait Service: Send + Sync + 'static {
    /// Takes one frame, without its length prefix, that was complete at `arrived`. What has to happen in arrival order (an append) happens before this
    /// returns.
    fn call(&self, peer: &mut Peer, frame: Bytes, arrived: Instant) -> Answer;
}
