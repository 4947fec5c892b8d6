//! What classic consumers tell each other through the coordinator: a version, then a subscription or an assignment.
//!
//! A version that is not known yet is read as the newest that is: newer ones only append.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_controller::MetadataImage;
use ottla_wire::{
    DecodeError, EncodeError, Message, Reader, encode_versioned,
    messages::{
        consumer_protocol_assignment::{ConsumerProtocolAssignment, TopicPartition},
        consumer_protocol_subscription::ConsumerProtocolSubscription,
    },
};

use super::member::{Held, Partitions};

/// Protocol type of consumers.
pub(super) const CONSUMER: &str = "consumer";

/// Reads a member's subscription.
pub(super) fn subscription(bytes: &Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
    read(bytes)
}

/// Reads a member's assignment; one of no bytes is empty.
pub(super) fn assignment(bytes: &Bytes) -> Result<ConsumerProtocolAssignment, DecodeError> {
    if bytes.is_empty() { Ok(ConsumerProtocolAssignment::default()) } else { read(bytes) }
}

/// An assignment for a member whose subscription is `for_subscription`, in that version.
pub(super) fn assignment_bytes(
    partitions: &Partitions,
    image: &MetadataImage,
    for_subscription: &Bytes,
) -> Result<Bytes, EncodeError> {
    let version = version_of::<ConsumerProtocolAssignment>(for_subscription).unwrap_or(0);
    let topic = |(id, partitions): (_, &std::collections::BTreeSet<i32>)| {
        let topic = image.topic_by_id(id)?.name.to_string();
        Some(TopicPartition { topic, partitions: partitions.iter().copied().collect() })
    };
    let assigned_partitions = partitions.iter().filter_map(|(id, partitions)| topic((*id, partitions))).collect();
    encode_versioned(&ConsumerProtocolAssignment { assigned_partitions, user_data: None }, version)
}

/// Topics named, by id; those that do not exist are left out.
pub(super) fn by_id<'a>(topics: impl Iterator<Item = (&'a str, &'a [i32])>, image: &MetadataImage) -> Partitions {
    let mut partitions = Partitions::new();
    for (topic, numbers) in topics {
        let Some(topic) = image.topic(topic) else { continue };
        partitions.entry(topic.id).or_default().extend(numbers.iter().copied());
    }
    partitions
}

/// `partitions`, each had since `epoch`.
pub(super) fn held_since(partitions: &Partitions, epoch: i32) -> Held {
    let topic =
        |partitions: &std::collections::BTreeSet<i32>| partitions.iter().map(|number| (*number, epoch)).collect();
    partitions.iter().map(|(id, partitions)| (*id, topic(partitions))).collect()
}

/// `held` without epochs.
pub(super) fn without_epochs(held: &Held) -> Partitions {
    let numbers = |partitions: &BTreeMap<i32, i32>| partitions.keys().copied().collect();
    held.iter().map(|(id, partitions)| (*id, numbers(partitions))).collect()
}

fn read<M: Message>(bytes: &Bytes) -> Result<M, DecodeError> {
    let mut r = Reader::new(bytes.clone());
    let version = r.i16()?;
    M::decode(&mut r, version.min(M::VERSIONS.max))
}

/// The version that `bytes` begin with, if it can be read.
fn version_of<M: Message>(bytes: &Bytes) -> Option<i16> {
    let version = Reader::new(bytes.clone()).i16().ok()?;
    (version >= 0).then_some(version.min(M::VERSIONS.max))
}
