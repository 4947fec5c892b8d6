//! `OffsetFetch`, versions 1 to 10, of one group.
//!
//! What is not known, be it the group or a partition, has offset −1 and no error. Since version 10 topics are given by
//! id, in the request and in the answer.

use std::collections::BTreeMap;

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, LeaderEpoch, Uuid};
use ottla_wire::messages::{
    offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    offset_fetch_response::{OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics},
};

use super::{CommittedOffset, Slot, commit::TOPIC_IDS_VERSION};
use crate::{
    request::GroupReply,
    shard::{Decided, GroupShard},
};

/// Offset of a partition that nothing is known of.
const UNKNOWN_OFFSET: i64 = -1;

/// See the file's head. `require_stable` refuses partitions in which a transaction wrote and did not end.
pub(crate) fn fetch(
    shard: &GroupShard,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    require_stable: bool,
    group: OffsetFetchRequestGroup,
) -> Decided {
    let fetch = Fetch { shard, image, by_id: version >= TOPIC_IDS_VERSION, require_stable, group: &group.group_id };
    let checked = shard
        .consumer(&group.group_id)
        .map_or(Ok(()), |consumer| consumer.check_fetch(group.member_id.as_deref(), group.member_epoch));
    let answer = checked.map(|()| match &group.topics {
        Some(topics) => fetch.asked(topics),
        None => fetch.all(),
    });
    let error_code = answer.as_ref().err().map_or(0, |error| error.code());
    let topics = answer.unwrap_or_default();
    let response = OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code };
    Decision::reply(from, GroupReply::FetchOffsets(response))
}

struct Fetch<'a> {
    shard: &'a GroupShard,
    image: &'a MetadataImage,
    by_id: bool,
    require_stable: bool,
    group: &'a str,
}

impl Fetch<'_> {
    /// Topics in the order of the request; those of unknown id after them.
    fn asked(&self, topics: &[OffsetFetchRequestTopics]) -> Vec<OffsetFetchResponseTopics> {
        let (known, strange): (Vec<_>, Vec<_>) =
            topics.iter().map(|topic| (topic, self.name(topic))).partition(|(_, name)| name.is_some());
        let known = known.into_iter().filter_map(|(topic, name)| Some(self.topic(topic, name?)));
        let strange = strange.into_iter().map(|(topic, _)| OffsetFetchResponseTopics {
            name: String::new(),
            topic_id: topic.topic_id,
            partitions: all_of(topic, |partition| nothing(partition, ErrorCode::UnknownTopicId)),
        });
        known.chain(strange).collect()
    }

    fn name<'t>(&'t self, topic: &'t OffsetFetchRequestTopics) -> Option<&'t str> {
        if self.by_id { Some(self.image.topic_by_id(topic.topic_id)?.name.as_str()) } else { Some(&topic.name) }
    }

    /// Id of the topic that has the name now; zero where none has.
    fn current_id(&self, name: &str) -> Uuid {
        self.image.topic(name).map_or(Uuid::ZERO, |topic| topic.id)
    }

    fn topic(&self, topic: &OffsetFetchRequestTopics, name: &str) -> OffsetFetchResponseTopics {
        let slots = self.shard.offsets.topic(self.group, name);
        let current = if self.by_id { topic.topic_id } else { self.current_id(name) };
        let slot = |partition: &i32| slots.and_then(|slots: &BTreeMap<i32, Slot>| slots.get(partition));
        OffsetFetchResponseTopics {
            name: name.to_owned(),
            topic_id: topic.topic_id,
            partitions: all_of(topic, |partition| self.partition(partition, slot(&partition), current)),
        }
    }

    /// All that the group has committed. With ids, only of topics that have one now.
    fn all(&self) -> Vec<OffsetFetchResponseTopics> {
        let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
        let mut current = Uuid::ZERO;
        for (name, partition, slot) in self.shard.offsets.slots(self.group) {
            if slot.committed.is_none() {
                continue;
            }
            if topics.last().is_none_or(|topic| topic.name != name) {
                current = self.current_id(name);
                let topic_id = if self.by_id { current } else { Uuid::ZERO };
                topics.push(OffsetFetchResponseTopics { name: name.to_owned(), topic_id, partitions: Vec::new() });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(self.partition(partition, Some(slot), current));
            }
        }
        topics.retain(|topic| !self.by_id || !topic.topic_id.is_zero());
        topics
    }

    fn partition(&self, partition: i32, slot: Option<&Slot>, topic_id: Uuid) -> OffsetFetchResponsePartitions {
        if self.require_stable && slot.is_some_and(|slot| !slot.pending.is_empty()) {
            return nothing(partition, ErrorCode::UnstableOffsetCommit);
        }
        match slot.and_then(|slot| slot.committed.as_ref()).filter(|committed| is_of(committed, topic_id)) {
            Some(committed) => OffsetFetchResponsePartitions {
                partition_index: partition,
                committed_offset: committed.offset.0,
                committed_leader_epoch: committed.leader_epoch.0,
                metadata: Some(committed.metadata.clone()),
                error_code: ErrorCode::None.code(),
            },
            None => nothing(partition, ErrorCode::None),
        }
    }
}

/// Whether the offset was not committed to another topic that had the same name.
fn is_of(committed: &CommittedOffset, topic_id: Uuid) -> bool {
    committed.topic_id.is_zero() || topic_id.is_zero() || committed.topic_id == topic_id
}

fn all_of(
    topic: &OffsetFetchRequestTopics,
    answer: impl Fn(i32) -> OffsetFetchResponsePartitions,
) -> Vec<OffsetFetchResponsePartitions> {
    topic.partition_indexes.iter().map(|partition| answer(*partition)).collect()
}

fn nothing(partition: i32, error: ErrorCode) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: partition,
        committed_offset: UNKNOWN_OFFSET,
        committed_leader_epoch: LeaderEpoch::UNKNOWN.0,
        metadata: Some(String::new()),
        error_code: error.code(),
    }
}
