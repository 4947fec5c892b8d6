//! What consumers tell each other in their join metadata, as far as the broker wants to know it.

use bytes::Bytes;
use ottla_wire::{Message, Reader, messages::consumer_protocol_subscription::ConsumerProtocolSubscription};

/// The topics of a subscription, or `None` where the bytes are not one. Every version begins as version 0 does, so
/// that this reads those that are yet to come.
pub(super) fn topics(metadata: Bytes) -> Option<Vec<String>> {
    let mut reader = Reader::new(metadata);
    reader.i16().ok()?;
    Some(ConsumerProtocolSubscription::decode(&mut reader, 0).ok()?.topics)
}
