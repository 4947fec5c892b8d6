//! From a frame to a handler and back.
//!
//! Invariants: only what [`crate::served`] lists reaches a handler; a request that cannot be read ends its connection, as
//! nothing is known of the answer's shape, except that `ApiVersions` of any version is answered.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use ottla_wire::{
    ApiKey, Message,
    frame::{self, RequestHeader},
    messages::Request,
};

use crate::{
    handlers,
    latency::{ApiLatency, Phase, Timing},
    net::{Answer, Frame, FrameFuture, Peer, Service},
    node::Node,
    served,
};

/// Hands requests to the node's handlers.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) node: Arc<Node>,
}

/// Where the answer of one request goes.
#[derive(Clone, Debug)]
pub(crate) struct ReplyTo {
    pub(crate) api: ApiKey,
    pub(crate) version: i16,
    /// What the client calls itself.
    pub(crate) client_id: Option<String>,
    correlation_id: i32,
    arrived: Instant,
    latency: Option<Arc<ApiLatency>>,
}

impl Service for Requests {
    fn call(&self, peer: &mut Peer, frame: Bytes, arrived: Instant) -> Answer {
        let begun = Instant::now();
        let (header, mut body) = match frame::parse_request(frame) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::info!(peer = %peer.address, %error, "connection closed");
                return Answer::Close;
            }
        };
        let latency = self.node.metrics.latency(header.api);
        let reply = ReplyTo::new(&header, arrived, latency.cloned());
        if header.api == ApiKey::ApiVersions && !header.is_supported() {
            return handlers::api_versions::unsupported(&reply);
        }
        if !served::range(header.api).is_some_and(|range| range.contains(header.version)) {
            tracing::info!(peer = %peer.address, api = header.api.name(), version = header.version, "not served, connection closed");
            return Answer::Close;
        }
        let answer = match Request::decode(header.api, header.version, &mut body) {
            Ok(request) => handlers::handle(&self.node, peer, reply, request),
            Err(error) => {
                tracing::info!(peer = %peer.address, api = header.api.name(), %error, "connection closed");
                Answer::Close
            }
        };
        if let Some(latency) = latency {
            let done = Instant::now();
            latency.observe(Phase::RequestQueue, begun.saturating_duration_since(arrived));
            latency.observe(Phase::Local, done - begun);
            if matches!(answer, Answer::Nothing) {
                latency.observe(Phase::Total, done.saturating_duration_since(arrived));
            }
        }
        answer
    }
}

impl ReplyTo {
    fn new(header: &RequestHeader, arrived: Instant, latency: Option<Arc<ApiLatency>>) -> Self {
        Self {
            api: header.api,
            version: header.version,
            client_id: header.client_id.clone(),
            correlation_id: header.correlation_id,
            arrived,
            latency,
        }
    }

    /// The response frame, or none where `body` cannot be expressed in the request's version.
    pub(crate) fn frame<M: Message>(&self, body: &M) -> Option<Frame> {
        self.frame_of(self.version, body)
    }

    /// As [`Self::frame`], in a version of the caller's choice.
    pub(crate) fn frame_of<M: Message>(&self, version: i16, body: &M) -> Option<Frame> {
        match frame::encode_response_of(self.api, version, self.correlation_id, body) {
            Ok(encoded) => Some(Frame { segments: encoded.segments, timing: self.timing() }),
            Err(error) => {
                tracing::error!(api = self.api.name(), version, %error, "response cannot be expressed");
                None
            }
        }
    }

    fn timing(&self) -> Option<Timing> {
        let latency = Arc::clone(self.latency.as_ref()?);
        Some(Timing { latency, arrived: self.arrived, encoded: Instant::now() })
    }

    /// The answer that is there now.
    pub(crate) fn now<M: Message>(&self, body: &M) -> Answer {
        self.frame(body).map_or(Answer::Close, Answer::Now)
    }

    /// An answer that later requests may overtake at work, though not on the wire.
    pub(crate) fn later<M: Message>(self, body: impl Future<Output = M> + Send + 'static) -> Answer {
        Answer::Later(self.future(body))
    }

    /// An answer that the next request waits for.
    pub(crate) fn exclusive<M: Message>(self, body: impl Future<Output = M> + Send + 'static) -> Answer {
        Answer::Exclusive(self.future(body))
    }

    fn future<M: Message>(self, body: impl Future<Output = M> + Send + 'static) -> FrameFuture {
        let begun = Instant::now();
        Box::pin(async move {
            let body = body.await;
            if let Some(latency) = &self.latency {
                latency.observe(Phase::Remote, begun.elapsed());
            }
            self.frame(&body)
        })
    }
}
