//! `OffsetCommit`, versions 2 to 10.
//!
//! Topics are named up to version 9 and given by id since version 10; stored are both. Partitions that do not exist are
//! refused one by one and the group is not asked about them; an error of the group refuses all others alike. Offsets
//! are stored as they come, negative ones too.

use std::collections::HashMap;

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, LeaderEpoch, Millis, PartitionIndex, Uuid};
use ottla_wire::messages::{
    offset_commit_key::OffsetCommitKey,
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_commit_response::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    offset_commit_value::OffsetCommitValue,
};

use crate::{
    classic, consumer,
    record::GroupRecord,
    request::GroupReply,
    shard::{Decided, Group, GroupShard},
};

/// From here on topics are given by id.
pub(super) const TOPIC_IDS_VERSION: i16 = 10;
/// From here on a group that is not there is named as such.
const GROUP_ID_NOT_FOUND_VERSION: i16 = 9;
/// Says that the broker's retention holds.
const RETENTION_DEFAULT: i64 = -1;

/// See the file's head.
pub(crate) fn commit(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    version: i16,
    mut request: OffsetCommitRequest,
) -> Decided {
    let (known, mut answer) = sort_out(image, version, std::mem::take(&mut request.topics));
    if known.is_empty() {
        return answer.reply(from, Vec::new());
    }
    let metadata_max = usize::try_from(shard.settings.offsets.metadata_max_bytes).unwrap_or(0);
    if let Err(error) = check(shard, version, &request, &known, metadata_max) {
        for topic in &known {
            answer.add(topic, &topic.partitions, |_| error);
        }
        return answer.reply(from, Vec::new());
    }
    keep_session(shard, now, &request);
    let mut records = Vec::new();
    for topic in known {
        answer.add(&topic, &topic.partitions, |partition| metadata_error(partition, metadata_max));
        let stored = topic.partitions.into_iter().filter(|partition| metadata_error(partition, metadata_max).is_none());
        records.extend(stored.map(|partition| record(now, &request, &topic.name, topic.topic_id, partition)));
    }
    answer.reply(from, records)
}

/// Topics and partitions that exist, with name and id, and the refusal of the others.
fn sort_out(
    image: &MetadataImage,
    version: i16,
    topics: Vec<OffsetCommitRequestTopic>,
) -> (Vec<OffsetCommitRequestTopic>, Answer) {
    let by_id = version >= TOPIC_IDS_VERSION;
    let mut known = Vec::new();
    let mut answer = Answer::default();
    for mut topic in topics {
        let found = if by_id { image.topic_by_id(topic.topic_id) } else { image.topic(&topic.name) };
        let Some(found) = found else {
            let error = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            answer.add(&topic, &topic.partitions, |_| error);
            continue;
        };
        (topic.name, topic.topic_id) = (found.name.as_str().to_owned(), found.id);
        let exists =
            |asked: &OffsetCommitRequestPartition| found.partition(PartitionIndex(asked.partition_index)).is_some();
        let (there, missing): (Vec<_>, Vec<_>) = topic.partitions.into_iter().partition(exists);
        topic.partitions = there;
        if !missing.is_empty() {
            answer.add(&topic, &missing, |_| ErrorCode::UnknownTopicOrPartition);
        }
        if !topic.partitions.is_empty() {
            known.push(topic);
        }
    }
    (known, answer)
}

/// Whether the group takes a commit from this member.
fn check(
    shard: &GroupShard,
    version: i16,
    request: &OffsetCommitRequest,
    topics: &[OffsetCommitRequestTopic],
    metadata_max: usize,
) -> Result<(), ErrorCode> {
    let OffsetCommitRequest { group_id, member_id, generation_id_or_member_epoch: epoch, .. } = request;
    let instance_id = request.group_instance_id.as_deref();
    match shard.groups.get(group_id) {
        Some(Group::Classic(group)) => group.check_commit(member_id, instance_id, *epoch, false),
        Some(Group::Consumer(group)) => match group.check_commit(member_id, instance_id, *epoch, version) {
            // The member may have moved on with the commit under way, which harms no partition that it kept.
            Err(ErrorCode::StaleMemberEpoch | ErrorCode::IllegalGeneration) => stored(topics, metadata_max)
                .try_for_each(|(topic, partition)| group.check_late_commit(member_id, *epoch, topic, partition)),
            checked => checked,
        },
        // From an admin client, or from a consumer that does not use group membership.
        None if *epoch < 0 => Ok(()),
        None if shard.offsets.has_group(group_id) => Err(ErrorCode::UnknownMemberId),
        None if version >= GROUP_ID_NOT_FOUND_VERSION => Err(ErrorCode::GroupIdNotFound),
        None => Err(ErrorCode::IllegalGeneration),
    }
}

/// Partitions that would be stored.
fn stored(topics: &[OffsetCommitRequestTopic], metadata_max: usize) -> impl Iterator<Item = (Uuid, i32)> {
    topics.iter().flat_map(move |topic| {
        let fitting = topic.partitions.iter().filter(move |it| metadata_error(it, metadata_max).is_none());
        fitting.map(|partition| (topic.topic_id, partition.partition_index))
    })
}

/// A commit keeps the member's session as a heartbeat does.
fn keep_session(shard: &mut GroupShard, now: Millis, request: &OffsetCommitRequest) {
    match shard.groups.get(&request.group_id) {
        Some(Group::Classic(_)) => classic::committed(shard, now, &request.group_id, &request.member_id),
        Some(Group::Consumer(_)) => consumer::committed(shard, now, &request.group_id, &request.member_id),
        None => {}
    }
}

/// Kafka counts the metadata in UTF-16 units.
fn metadata_error(partition: &OffsetCommitRequestPartition, units_max: usize) -> Option<ErrorCode> {
    let metadata = partition.committed_metadata.as_deref().unwrap_or_default();
    // A text has at most as many units as bytes.
    let fits = metadata.len() <= units_max || metadata.encode_utf16().count() <= units_max;
    (!fits).then_some(ErrorCode::OffsetMetadataTooLarge)
}

fn record(
    now: Millis,
    request: &OffsetCommitRequest,
    topic: &str,
    topic_id: Uuid,
    partition: OffsetCommitRequestPartition,
) -> GroupRecord {
    let value = OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default(),
        commit_timestamp: now.0,
        ..OffsetCommitValue::default()
    };
    let value = match request.retention_time_ms {
        RETENTION_DEFAULT => OffsetCommitValue { topic_id, ..value },
        // The version of the record that says when it expires has no room for the other two.
        retention_ms => OffsetCommitValue {
            expire_timestamp: now.plus(retention_ms).0,
            leader_epoch: LeaderEpoch::UNKNOWN.0,
            ..value
        },
    };
    let key = OffsetCommitKey {
        group: request.group_id.clone(),
        topic: topic.to_owned(),
        partition: partition.partition_index,
    };
    GroupRecord::Offset(key, Some(value))
}

/// The answer as it grows: refusals first, then what was asked of the group.
#[derive(Default)]
struct Answer {
    topics: Vec<OffsetCommitResponseTopic>,
    by_topic: HashMap<(Uuid, String), usize>,
}

impl Answer {
    /// Answers partitions of one topic, with no error where `error` gives none.
    fn add<E: Into<Option<ErrorCode>>>(
        &mut self,
        topic: &OffsetCommitRequestTopic,
        partitions: &[OffsetCommitRequestPartition],
        error: impl Fn(&OffsetCommitRequestPartition) -> E,
    ) {
        let at = *self.by_topic.entry((topic.topic_id, topic.name.clone())).or_insert(self.topics.len());
        if at == self.topics.len() {
            let (name, topic_id) = (topic.name.clone(), topic.topic_id);
            self.topics.push(OffsetCommitResponseTopic { name, topic_id, partitions: Vec::new() });
        }
        self.topics[at].partitions.extend(partitions.iter().map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: error(partition).into().unwrap_or(ErrorCode::None).code(),
        }));
    }

    fn reply(self, from: Ticket, records: Vec<GroupRecord>) -> Decided {
        let response = OffsetCommitResponse { throttle_time_ms: 0, topics: self.topics };
        Decision::new(records, from, GroupReply::CommitOffsets(response))
    }
}
