//! One member as the records say, and the records of one member.
//!
//! Invariants: no partition is in `assigned` and in `revoking`; an empty pattern is the same as none; members are cheap to
//! copy, what may be long is shared.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use ottla_types::Uuid;
use ottla_wire::messages::{
    consumer_group_current_member_assignment_key::ConsumerGroupCurrentMemberAssignmentKey,
    consumer_group_current_member_assignment_value::{ConsumerGroupCurrentMemberAssignmentValue, TopicPartitions},
    consumer_group_member_metadata_key::ConsumerGroupMemberMetadataKey,
    consumer_group_member_metadata_value::{ClassicMemberMetadata, ConsumerGroupMemberMetadataValue},
    consumer_group_target_assignment_member_key::ConsumerGroupTargetAssignmentMemberKey,
    consumer_group_target_assignment_member_value::{ConsumerGroupTargetAssignmentMemberValue, TopicPartition},
};

use crate::record::GroupRecord;

/// Partitions by topic id.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;
/// Partitions that a member has, each with the member epoch at which it got it.
pub(crate) type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// A member that joins, before its first epoch; a request with it wants to (re)join.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// A member that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// A static member that leaves and will be back.
pub(crate) const STATIC_LEAVE_EPOCH: i32 = -2;
/// A request does not say; what was said before stands.
pub(crate) const NOT_SAID: i32 = -1;

/// How far a member is on its way to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what its epoch's target gives it.
    Stable,
    /// It still has to confirm that it gave up partitions.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
    /// Written by a version that knows more states.
    Unknown(i8),
}

impl MemberState {
    fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            other => Self::Unknown(other),
        }
    }

    fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown(code) => code,
        }
    }
}

/// See the file's head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) epoch: i32,
    /// Accepted as well while the answer with `epoch` may have been lost.
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) instance_id: Option<String>,
    pub(crate) rack_id: Option<String>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) topics: Arc<BTreeSet<String>>,
    /// As it was sent, which may be empty; see [`Member::pattern`].
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) assigned: Arc<Held>,
    pub(crate) revoking: Arc<Held>,
    /// What only members of the classic protocol have.
    pub(crate) classic: Option<Arc<ClassicMemberMetadata>>,
}

impl Member {
    /// One that nothing is known of.
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            epoch: JOIN_EPOCH,
            previous_epoch: -1,
            state: MemberState::Stable,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: NOT_SAID,
            client_id: String::new(),
            client_host: String::new(),
            topics: Arc::default(),
            regex: Some(String::new()),
            assignor: None,
            assigned: Arc::default(),
            revoking: Arc::default(),
            classic: None,
        }
    }

    /// The pattern of topics it subscribes to.
    pub(crate) fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|regex| !regex.is_empty())
    }

    /// Whether it speaks the classic protocol.
    pub(crate) fn is_classic(&self) -> bool {
        self.classic.is_some()
    }

    /// Whether it has all that the target of `epoch` gives it.
    pub(crate) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// This at `epoch`, which its current epoch now precedes.
    pub(super) fn at_epoch(&self, epoch: i32) -> Self {
        Self { epoch, previous_epoch: self.epoch, ..self.clone() }
    }

    /// The epoch at which it got a partition that it still has, be it on its way out.
    pub(super) fn held_since(&self, topic: Uuid, partition: i32) -> Option<i32> {
        let of = |held: &Held| held.get(&topic)?.get(&partition).copied();
        of(&self.assigned).or_else(|| of(&self.revoking))
    }

    /// Whether both were described by the same metadata record.
    pub(super) fn same_metadata(&self, other: &Self) -> bool {
        self.instance_id == other.instance_id
            && self.rack_id == other.rack_id
            && self.rebalance_timeout_ms == other.rebalance_timeout_ms
            && self.client_id == other.client_id
            && self.client_host == other.client_host
            && self.topics == other.topics
            && self.regex == other.regex
            && self.assignor == other.assignor
            && self.classic == other.classic
    }

    /// Takes over what a metadata record says.
    pub(super) fn set_metadata(&mut self, value: ConsumerGroupMemberMetadataValue) {
        self.instance_id = value.instance_id;
        self.rack_id = value.rack_id;
        self.rebalance_timeout_ms = value.rebalance_timeout_ms;
        self.client_id = value.client_id;
        self.client_host = value.client_host;
        self.topics = Arc::new(value.subscribed_topic_names.into_iter().collect());
        self.regex = value.subscribed_topic_regex;
        self.assignor = value.server_assignor;
        self.classic = value.classic_member_metadata.map(|classic| Arc::new(owned(classic)));
    }

    /// Takes over what a record of the current assignment says.
    pub(super) fn set_current(&mut self, value: &ConsumerGroupCurrentMemberAssignmentValue) {
        self.epoch = value.member_epoch;
        self.previous_epoch = value.previous_member_epoch;
        self.state = MemberState::from_code(value.state);
        self.assigned = Arc::new(held_from(&value.assigned_partitions, value.member_epoch));
        self.revoking = Arc::new(held_from(&value.partitions_pending_revocation, value.member_epoch));
    }

    pub(super) fn metadata_record(&self, group_id: &str) -> GroupRecord {
        let key = ConsumerGroupMemberMetadataKey { group_id: group_id.to_owned(), member_id: self.id.clone() };
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            subscribed_topic_names: self.topics.iter().cloned().collect(),
            subscribed_topic_regex: self.regex.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            server_assignor: self.assignor.clone(),
            classic_member_metadata: self.classic.as_deref().cloned(),
        };
        GroupRecord::Member(key, Some(value))
    }

    pub(super) fn current_record(&self, group_id: &str) -> GroupRecord {
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(),
            assigned_partitions: to_topic_partitions(&self.assigned),
            partitions_pending_revocation: to_topic_partitions(&self.revoking),
        };
        GroupRecord::Current(current_key(group_id, &self.id), Some(value))
    }
}

/// The same without the request or the batch it was read from.
fn owned(mut classic: ClassicMemberMetadata) -> ClassicMemberMetadata {
    for protocol in &mut classic.supported_protocols {
        protocol.metadata = Bytes::copy_from_slice(&protocol.metadata);
    }
    classic
}

/// The record of a member's target.
pub(super) fn target_record(group_id: &str, member_id: &str, target: &Partitions) -> GroupRecord {
    let topic_partitions = target
        .iter()
        .map(|(topic_id, partitions)| TopicPartition {
            topic_id: *topic_id,
            partitions: partitions.iter().copied().collect(),
        })
        .collect();
    let value = ConsumerGroupTargetAssignmentMemberValue { topic_partitions };
    GroupRecord::Target(target_key(group_id, member_id), Some(value))
}

/// Takes away all that was written of a member; the order is Kafka's, which insists on it.
pub(super) fn removal_records(group_id: &str, member_id: &str) -> [GroupRecord; 3] {
    [
        current_tombstone(group_id, member_id),
        target_tombstone(group_id, member_id),
        member_tombstone(group_id, member_id),
    ]
}

pub(super) fn current_tombstone(group_id: &str, member_id: &str) -> GroupRecord {
    GroupRecord::Current(current_key(group_id, member_id), None)
}

pub(super) fn target_tombstone(group_id: &str, member_id: &str) -> GroupRecord {
    GroupRecord::Target(target_key(group_id, member_id), None)
}

pub(super) fn member_tombstone(group_id: &str, member_id: &str) -> GroupRecord {
    let (group_id, member_id) = (group_id.to_owned(), member_id.to_owned());
    GroupRecord::Member(ConsumerGroupMemberMetadataKey { group_id, member_id }, None)
}

fn current_key(group_id: &str, member_id: &str) -> ConsumerGroupCurrentMemberAssignmentKey {
    ConsumerGroupCurrentMemberAssignmentKey { group_id: group_id.to_owned(), member_id: member_id.to_owned() }
}

fn target_key(group_id: &str, member_id: &str) -> ConsumerGroupTargetAssignmentMemberKey {
    ConsumerGroupTargetAssignmentMemberKey { group_id: group_id.to_owned(), member_id: member_id.to_owned() }
}

/// What a target record says.
pub(super) fn target_from(value: ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    let topics = value.topic_partitions.into_iter();
    topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect()
}

/// Partitions with the epochs written beside them; with the member's epoch where older versions wrote none.
fn held_from(topics: &[TopicPartitions], member_epoch: i32) -> Held {
    let mut held = Held::new();
    for topic in topics {
        let epochs = topic.assignment_epochs.as_deref().filter(|epochs| epochs.len() == topic.partitions.len());
        let of_topic = held.entry(topic.topic_id).or_default();
        for (at, partition) in topic.partitions.iter().enumerate() {
            let epoch = epochs.and_then(|epochs| epochs.get(at).copied()).unwrap_or(member_epoch.max(0));
            of_topic.insert(*partition, epoch);
        }
    }
    held
}

fn to_topic_partitions(held: &Held) -> Vec<TopicPartitions> {
    let topic = |(topic_id, partitions): (&Uuid, &BTreeMap<i32, i32>)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
        assignment_epochs: Some(partitions.values().copied().collect()),
    };
    held.iter().map(topic).collect()
}
