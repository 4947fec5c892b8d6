//! One file per API: decode is done, here a machine or the log is asked and the answer put into words.

pub(crate) mod api_versions;
mod fetch;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod produce;

use std::sync::Arc;

use ottla_wire::messages::Request;

use crate::{
    net::{Answer, Peer},
    node::Node,
    service::ReplyTo,
};

/// Hands a request to its handler.
pub(crate) fn handle(node: &Arc<Node>, peer: &mut Peer, reply: ReplyTo, request: Request) -> Answer {
    match request {
        Request::ApiVersions(request) => api_versions::handle(node, peer, reply, request),
        Request::Produce(request) => produce::handle(node, reply, request),
        Request::Fetch(request) => fetch::handle(node, reply, request),
        Request::Metadata(request) => metadata::handle(node, peer, reply, request),
        Request::ListOffsets(request) => list_offsets::handle(node, reply, &request),
        Request::InitProducerId(request) => init_producer_id::handle(node, reply, request),
        other => {
            // The table of served APIs and this match have parted.
            tracing::error!(?other, "no handler");
            Answer::Close
        }
    }
}
