//! DeleteTopics, by name or by id.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::ErrorCode;

use super::Decision;
use crate::{
    command::{DeleteTopics, DeletedTopic, Reply, TopicRef},
    image::MetadataImage,
    record::RemoveTopic,
};

/// Why a topic was not deleted; the messages are those that users of Kafka know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteTopicError {
    /// No topic of that name.
    #[error("This server does not host this topic-partition.")]
    UnknownName,
    /// No topic of that id.
    #[error("This server does not host this topic ID.")]
    UnknownId,
    /// One request names it twice.
    #[error("Duplicate topic name.")]
    DuplicateName,
    /// One request names it twice.
    #[error("Duplicate topic id.")]
    DuplicateId,
}

impl DeleteTopicError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::UnknownName => ErrorCode::UnknownTopicOrPartition,
            Self::UnknownId => ErrorCode::UnknownTopicId,
            Self::DuplicateName | Self::DuplicateId => ErrorCode::InvalidRequest,
        }
    }
}

pub(super) fn delete_topics(image: &MetadataImage, ask: &DeleteTopics) -> Decision {
    // A topic named both by name and by id counts as named twice.
    let mut times: BTreeMap<TopicRef, u32> = BTreeMap::new();
    ask.topics.iter().for_each(|topic| *times.entry(resolved(image, topic)).or_default() += 1);
    let (mut records, mut results, mut done) = (Vec::new(), Vec::new(), BTreeSet::new());
    for topic in &ask.topics {
        if !done.insert(topic) {
            continue;
        }
        let result = match topic {
            _ if times[&resolved(image, topic)] > 1 => Err(duplicate(topic)),
            TopicRef::Name(name) => image.topic(name).ok_or(DeleteTopicError::UnknownName),
            TopicRef::Id(id) => image.topic_by_id(*id).ok_or(DeleteTopicError::UnknownId),
        };
        let result = result.map(|found| DeletedTopic { name: found.name.clone(), id: found.id });
        records.extend(result.iter().map(|deleted| RemoveTopic { id: deleted.id }.into()));
        results.push((topic.clone(), result));
    }
    Decision::new(records, Reply::DeleteTopics(results))
}

/// The topic's id where there is such a topic, else the reference itself.
fn resolved(image: &MetadataImage, topic: &TopicRef) -> TopicRef {
    match topic {
        TopicRef::Name(name) => image.topic(name).map_or_else(|| topic.clone(), |found| TopicRef::Id(found.id)),
        TopicRef::Id(_) => topic.clone(),
    }
}

fn duplicate(topic: &TopicRef) -> DeleteTopicError {
    match topic {
        TopicRef::Name(_) => DeleteTopicError::DuplicateName,
        TopicRef::Id(_) => DeleteTopicError::DuplicateId,
    }
}
