//! `OffsetDelete`, and what follows from the deletion of topics.

use std::collections::HashMap;

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis, PartitionIndex};
use ottla_wire::messages::{
    offset_delete_request::{OffsetDeleteRequest, OffsetDeleteRequestTopic},
    offset_delete_response::{OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
};

use super::{Offsets, expire::Round, tombstone};
use crate::{
    classic::ClassicGroup,
    record::GroupRecord,
    request::GroupReply,
    shard::{Decided, Group, GroupShard},
};

/// Protocol type of groups whose members say what they read.
pub(super) const CONSUMER_PROTOCOL: &str = "consumer";

/// Deletes offsets of partitions that the group does not read. That there is none is no error.
pub(crate) fn delete(shard: &GroupShard, image: &MetadataImage, from: Ticket, request: OffsetDeleteRequest) -> Decided {
    if let Err(error) = check(shard, &request.group_id) {
        let response = OffsetDeleteResponse { error_code: error.code(), ..OffsetDeleteResponse::default() };
        return Decision::reply(from, GroupReply::DeleteOffsets(response));
    }
    let group = shard.groups.get(&request.group_id);
    let mut answer = Answer::default();
    let mut records = Vec::new();
    let mut asked = Vec::new();
    for topic in &request.topics {
        let (there, missing) = sort_out(image, topic);
        if !missing.is_empty() {
            answer.add(&topic.name, &missing, ErrorCode::UnknownTopicOrPartition);
        }
        if !there.is_empty() {
            asked.push((topic.name.as_str(), there));
        }
    }
    for (topic, partitions) in asked {
        if group.is_some_and(|group| is_subscribed(group, topic)) {
            answer.add(topic, &partitions, ErrorCode::GroupSubscribedToTopic);
        } else {
            answer.add(topic, &partitions, ErrorCode::None);
            let stored = shard.offsets.topic(&request.group_id, topic);
            let there = partitions.iter().filter(|partition| stored.is_some_and(|slots| slots.contains_key(partition)));
            records.extend(there.map(|partition| tombstone(&request.group_id, topic, *partition)));
        }
    }
    let response = OffsetDeleteResponse { topics: answer.topics, ..OffsetDeleteResponse::default() };
    Decision::new(records, from, GroupReply::DeleteOffsets(response))
}

fn check(shard: &GroupShard, group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    match shard.groups.get(group) {
        // Nobody can know what members of another protocol type read.
        Some(Group::Classic(group)) if !group.is_empty() && !reads_topics(group) => Err(ErrorCode::NonEmptyGroup),
        None if !shard.offsets.has_group(group) => Err(ErrorCode::GroupIdNotFound),
        _ => Ok(()),
    }
}

fn reads_topics(group: &ClassicGroup) -> bool {
    group.protocol_type() == CONSUMER_PROTOCOL
}

/// Whether a member of the group reads the topic.
pub(super) fn is_subscribed(group: &Group, topic: &str) -> bool {
    match group {
        Group::Classic(group) => group.is_subscribed(topic),
        Group::Consumer(group) => group.is_subscribed(topic),
    }
}

/// Partitions that exist and those that do not.
fn sort_out(image: &MetadataImage, topic: &OffsetDeleteRequestTopic) -> (Vec<i32>, Vec<i32>) {
    let found = image.topic(&topic.name);
    let exists = |partition: &i32| found.is_some_and(|topic| topic.partition(PartitionIndex(*partition)).is_some());
    topic.partitions.iter().map(|partition| partition.partition_index).partition(exists)
}

/// The answer as it grows: what does not exist first.
#[derive(Default)]
struct Answer<'a> {
    topics: Vec<OffsetDeleteResponseTopic>,
    by_topic: HashMap<&'a str, usize>,
}

impl<'a> Answer<'a> {
    fn add(&mut self, topic: &'a str, partitions: &[i32], error: ErrorCode) {
        let at = *self.by_topic.entry(topic).or_insert(self.topics.len());
        if at == self.topics.len() {
            self.topics.push(OffsetDeleteResponseTopic { name: topic.to_owned(), partitions: Vec::new() });
        }
        self.topics[at].partitions.extend(
            partitions.iter().map(|partition| OffsetDeleteResponsePartition {
                partition_index: *partition,
                error_code: error.code(),
            }),
        );
    }
}

impl GroupShard {
    /// Topics were deleted, and with them goes what groups committed to them: now, and as time passes where it is more
    /// than one append should carry.
    pub fn topics_deleted(&mut self, now: Millis, names: &[&str]) -> Decision<GroupRecord, GroupReply> {
        self.offsets.gone.extend(names.iter().map(|name| ((*name).to_owned(), now)));
        let mut round = Round::default();
        delete_gone(self, &mut round);
        let decided = round.finish(self, now);
        self.count(&decided, true);
        decided
    }
}

/// Deletes offsets of topics that are gone; not those of a topic that came since, with the same name.
pub(super) fn delete_gone(shard: &mut GroupShard, round: &mut Round) {
    let Offsets { groups, gone, .. } = &shard.offsets;
    for (group, topics) in groups {
        for (topic, since) in gone {
            let slots = topics.get(topic).into_iter().flatten();
            for (partition, _) in slots.filter(|(_, slot)| !slot.is_newer(*since)) {
                if round.is_full() {
                    return;
                }
                round.push(tombstone(group, topic, *partition));
            }
        }
    }
    shard.offsets.gone.clear();
}
