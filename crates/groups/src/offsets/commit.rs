//! `OffsetCommit`, versions 2 to 10.
//!
//! Topics are named up to version 9 and given by id since version 10; stored are both. Partitions that do not exist are
//! refused one by one and the group is not asked about them; an error of the group refuses all others alike. Offsets
//! are stored as they come, negative ones too. `TxnOffsetCommit` ([`commit_transactional`]) follows the same rules but for
//! what it asks of the group.

use std::collections::HashMap;

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Ticket};
use ottla_types::{
    ErrorCode, LeaderEpoch, Millis, PartitionIndex, ProducerEpoch, ProducerId, ProducerIdAndEpoch, Uuid,
};
use ottla_wire::messages::{
    offset_commit_key::OffsetCommitKey,
    offset_commit_request::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_commit_response::{OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic},
    offset_commit_value::OffsetCommitValue,
    txn_offset_commit_request::{TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic},
    txn_offset_commit_response::{
        TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    },
};

use crate::{
    classic, consumer,
    record::GroupRecord,
    request::GroupReply,
    shard::{Decided, Group, GroupShard},
};

/// From here on topics are given by id.
pub(super) const TOPIC_IDS_VERSION: i16 = 10;
/// A version that names topics.
const NAMES_VERSION: i16 = 9;
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
        answer.refuse(&known, error);
        return answer.reply(from, Vec::new());
    }
    keep_session(shard, now, &request);
    let records = answer.store(known, metadata_max, |topic, partition| record(now, &request, topic, partition));
    answer.reply(from, records)
}

/// `TxnOffsetCommit`, versions 0 to 5. What it stores is pending until the transaction ends.
pub(crate) fn commit_transactional(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    from: Ticket,
    mut request: TxnOffsetCommitRequest,
) -> Decided {
    let topics = std::mem::take(&mut request.topics).into_iter().map(as_commit).collect();
    let (known, mut answer) = sort_out(image, NAMES_VERSION, topics);
    if known.is_empty() {
        return answer.reply_transactional(from, Vec::new());
    }
    let metadata_max = usize::try_from(shard.settings.offsets.metadata_max_bytes).unwrap_or(0);
    if let Err(error) = check_transactional(shard, &request, &known, metadata_max) {
        answer.refuse(&known, error);
        return answer.reply_transactional(from, Vec::new());
    }
    let records = answer.store(known, metadata_max, |topic, partition| {
        offset_record(&request.group_id, topic, partition.partition_index, value_of(now, partition))
    });
    let producer =
        ProducerIdAndEpoch { id: ProducerId(request.producer_id), epoch: ProducerEpoch(request.producer_epoch) };
    answer.reply_transactional(from, records).in_transaction(producer)
}

fn as_commit(topic: TxnOffsetCommitRequestTopic) -> OffsetCommitRequestTopic {
    let partitions = topic.partitions.into_iter().map(|partition| OffsetCommitRequestPartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        committed_metadata: partition.committed_metadata,
    });
    OffsetCommitRequestTopic { name: topic.name, partitions: partitions.collect(), ..Default::default() }
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

/// Whether the group takes a commit of this member's transaction.
fn check_transactional(
    shard: &GroupShard,
    request: &TxnOffsetCommitRequest,
    topics: &[OffsetCommitRequestTopic],
    metadata_max: usize,
) -> Result<(), ErrorCode> {
    let TxnOffsetCommitRequest { group_id, member_id, generation_id: epoch, .. } = request;
    let instance_id = request.group_instance_id.as_deref();
    let checked = match shard.groups.get(group_id) {
        Some(Group::Classic(group)) => group.check_commit(member_id, instance_id, *epoch, true),
        Some(Group::Consumer(group)) => match group.check_transactional_commit(member_id, instance_id, *epoch) {
            Err(ErrorCode::StaleMemberEpoch | ErrorCode::IllegalGeneration) => stored(topics, metadata_max)
                .try_for_each(|(topic, partition)| group.check_late_commit(member_id, *epoch, topic, partition)),
            checked => checked,
        },
        None if *epoch < 0 => Ok(()),
        None if shard.offsets.has_group(group_id) => Err(ErrorCode::UnknownMemberId),
        None => Err(ErrorCode::IllegalGeneration),
    };
    // Producers know only the older word for it.
    checked.map_err(|error| if error == ErrorCode::StaleMemberEpoch { ErrorCode::IllegalGeneration } else { error })
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
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> GroupRecord {
    let value = value_of(now, partition);
    let value = match request.retention_time_ms {
        RETENTION_DEFAULT => OffsetCommitValue { topic_id: topic.topic_id, ..value },
        // The version of the record that says when it expires has no room for the other two.
        retention_ms => OffsetCommitValue {
            expire_timestamp: now.plus(retention_ms).0,
            leader_epoch: LeaderEpoch::UNKNOWN.0,
            ..value
        },
    };
    offset_record(&request.group_id, topic, partition.partition_index, value)
}

fn value_of(now: Millis, partition: &OffsetCommitRequestPartition) -> OffsetCommitValue {
    OffsetCommitValue {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp: now.0,
        ..OffsetCommitValue::default()
    }
}

fn offset_record(
    group: &str,
    topic: &OffsetCommitRequestTopic,
    partition: i32,
    value: OffsetCommitValue,
) -> GroupRecord {
    let key = OffsetCommitKey { group: group.to_owned(), topic: topic.name.clone(), partition };
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

    /// All of `topics` are refused alike.
    fn refuse(&mut self, topics: &[OffsetCommitRequestTopic], error: ErrorCode) {
        for topic in topics {
            self.add(topic, &topic.partitions, |_| error);
        }
    }

    /// The records of what the group takes.
    fn store(
        &mut self,
        topics: Vec<OffsetCommitRequestTopic>,
        metadata_max: usize,
        record: impl Fn(&OffsetCommitRequestTopic, &OffsetCommitRequestPartition) -> GroupRecord,
    ) -> Vec<GroupRecord> {
        let mut records = Vec::new();
        for topic in &topics {
            self.add(topic, &topic.partitions, |partition| metadata_error(partition, metadata_max));
            let stored = topic.partitions.iter().filter(|partition| metadata_error(partition, metadata_max).is_none());
            records.extend(stored.map(|partition| record(topic, partition)));
        }
        records
    }

    fn reply_transactional(self, from: Ticket, records: Vec<GroupRecord>) -> Decided {
        let topics = self.topics.into_iter().map(|topic| TxnOffsetCommitResponseTopic {
            name: topic.name,
            partitions: topic
                .partitions
                .into_iter()
                .map(|partition| TxnOffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: partition.error_code,
                })
                .collect(),
        });
        let response = TxnOffsetCommitResponse { throttle_time_ms: 0, topics: topics.collect() };
        Decision::new(records, from, GroupReply::CommitTransactionalOffsets(response))
    }

    fn reply(self, from: Ticket, records: Vec<GroupRecord>) -> Decided {
        let response = OffsetCommitResponse { throttle_time_ms: 0, topics: self.topics };
        Decision::new(records, from, GroupReply::CommitOffsets(response))
    }
}
