//! One partition of `__consumer_offsets`: routes requests, records and deadlines to the families.

use std::{collections::HashMap, sync::Arc};

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Outcome, Shard, Ticket, Timers};
use ottla_types::{ErrorCode, Millis, Offset, ProducerIdAndEpoch};
use ottla_wire::messages::sync_group_request::SyncGroupRequest;

use crate::{
    admin::Deletions,
    classic::{self, ClassicGroup},
    consumer::{self, ConsumerGroup},
    offsets::{self, CommittedOffset, Offsets},
    record::GroupRecord,
    request::{GroupReply, GroupRequest},
    settings::Settings,
    tally::Tally,
};

/// From this version on a sync says which protocol it is about.
const PROTOCOL_NAMED_SINCE: i16 = 5;

/// What the machine decides.
pub(crate) type Decided = Decision<GroupRecord, GroupReply>;

/// A group with members, or that had some. A group that only stores offsets is in [`Offsets`] alone.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // both are large, and most groups are classic
pub(crate) enum Group {
    Classic(ClassicGroup),
    Consumer(ConsumerGroup),
}

/// What time passes for. The strings are group id, then member id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    Classic(String, classic::Timer),
    Consumer(String, consumer::Timer),
    /// More of a group is to be deleted.
    Deletion(String),
    /// Look for expired offsets and groups without members and offsets.
    OffsetsExpire,
}

/// See the file's head.
#[derive(Clone, Debug)]
pub struct GroupShard {
    pub(crate) settings: Arc<Settings>,
    pub(crate) groups: HashMap<String, Group>,
    pub(crate) offsets: Offsets,
    pub(crate) timers: Timers<Timer>,
    /// Soft.
    pub(crate) matcher: consumer::Matcher,
    /// Soft: groups that are deleted in more than one append.
    pub(crate) deletions: Deletions,
    /// Soft.
    pub(crate) tally: Tally,
}

impl GroupShard {
    /// Empty, to be filled from the log.
    #[must_use]
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            groups: HashMap::new(),
            offsets: Offsets::default(),
            timers: Timers::default(),
            matcher: consumer::Matcher::default(),
            deletions: Deletions::default(),
            tally: Tally::default(),
        }
    }

    /// All committed offsets: group, topic, partition and what was committed.
    pub fn committed(&self) -> impl Iterator<Item = (&str, &str, i32, &CommittedOffset)> {
        self.offsets.iter()
    }

    pub(crate) fn classic(&self, group: &str) -> Option<&ClassicGroup> {
        match self.groups.get(group)? {
            Group::Classic(classic) => Some(classic),
            Group::Consumer(_) => None,
        }
    }

    pub(crate) fn classic_mut(&mut self, group: &str) -> Option<&mut ClassicGroup> {
        match self.groups.get_mut(group)? {
            Group::Classic(classic) => Some(classic),
            Group::Consumer(_) => None,
        }
    }

    pub(crate) fn consumer(&self, group: &str) -> Option<&ConsumerGroup> {
        match self.groups.get(group)? {
            Group::Consumer(consumer) => Some(consumer),
            Group::Classic(_) => None,
        }
    }

    pub(crate) fn consumer_mut(&mut self, group: &str) -> Option<&mut ConsumerGroup> {
        match self.groups.get_mut(group)? {
            Group::Consumer(consumer) => Some(consumer),
            Group::Classic(_) => None,
        }
    }
}

/// Whether a sync does not say which protocol it is about, though its version has words for it.
fn lacks_protocol(version: i16, request: &SyncGroupRequest) -> bool {
    version >= PROTOCOL_NAMED_SINCE && (request.protocol_type.is_none() || request.protocol_name.is_none())
}

impl GroupShard {
    fn answer(&mut self, now: Millis, image: &MetadataImage, from: Ticket, request: GroupRequest) -> Decided {
        if self.is_held_up(&request) {
            return Decision::reply(from, GroupReply::Refused(ErrorCode::CoordinatorLoadInProgress));
        }
        let serves_consumers = |shard: &Self, group: &str| shard.consumer(group).is_some();
        match request {
            GroupRequest::Join { version, client, fresh, request } if serves_consumers(self, &request.group_id) => {
                consumer::classic_join(self, now, image, from, version, client, fresh, request)
            }
            GroupRequest::Join { version, client, fresh, request } => {
                classic::join(self, now, from, version, client, fresh, request)
            }
            GroupRequest::Sync { version, request } if lacks_protocol(version, &request) => {
                Decision::reply(from, classic::sync_refused(ErrorCode::InconsistentGroupProtocol))
            }
            GroupRequest::Sync { request, .. } if serves_consumers(self, &request.group_id) => {
                consumer::classic_sync(self, now, image, from, request)
            }
            GroupRequest::Sync { request, .. } => classic::sync(self, now, from, request),
            GroupRequest::Heartbeat { request, .. } if serves_consumers(self, &request.group_id) => {
                consumer::classic_heartbeat(self, now, image, from, request)
            }
            GroupRequest::Heartbeat { request, .. } => classic::heartbeat(self, now, from, request),
            GroupRequest::Leave { version, request } if serves_consumers(self, &request.group_id) => {
                consumer::classic_leave(self, now, image, from, version, request)
            }
            GroupRequest::Leave { version, request } => classic::leave(self, now, from, version, request),
            GroupRequest::ConsumerHeartbeat { version, client, fresh, request } => {
                consumer::heartbeat(self, now, image, from, version, client, fresh, request)
            }
            GroupRequest::CommitOffsets { version, request } => {
                offsets::commit(self, now, image, from, version, request)
            }
            GroupRequest::CommitTransactionalOffsets { request } => {
                offsets::commit_transactional(self, now, image, from, request)
            }
            GroupRequest::FetchOffsets { version, require_stable, group } => {
                offsets::fetch(self, image, from, version, require_stable, group)
            }
            GroupRequest::DeleteOffsets { request } => offsets::delete(self, image, from, request),
            GroupRequest::Describe { version, group_id } => {
                Decision::reply(from, GroupReply::Describe(self.describe(version, group_id)))
            }
            GroupRequest::ConsumerDescribe { group_id } => {
                let described = consumer::describe(self, image, group_id);
                Decision::reply(from, GroupReply::ConsumerDescribe(described))
            }
            GroupRequest::List { states, types } => Decision::reply(from, GroupReply::List(self.list(&states, &types))),
            GroupRequest::Delete { group_id } => self.delete(now, from, &group_id),
        }
    }
}

impl Shard for GroupShard {
    type Record = GroupRecord;
    type Request = GroupRequest;
    type Reply = GroupReply;

    fn may_write(request: &GroupRequest) -> bool {
        request.may_write()
    }

    fn decide(&mut self, now: Millis, image: &MetadataImage, from: Ticket, request: GroupRequest) -> Decided {
        let decided = self.answer(now, image, from, request);
        self.count(&decided, false);
        decided
    }

    fn replay(&mut self, at: Offset, by: Option<ProducerIdAndEpoch>, record: GroupRecord) {
        match record {
            GroupRecord::Offset(key, value) => offsets::replay(self, at, by, key, value),
            GroupRecord::Classic(key, value) => {
                if value.is_none() {
                    offsets::forget(self, &key.group);
                }
                classic::replay(self, key, value);
            }
            GroupRecord::Epoch(key, value) => {
                if value.is_none() {
                    offsets::forget(self, &key.group_id);
                }
                consumer::replay_epoch(self, key, value);
            }
            GroupRecord::Member(key, value) => consumer::replay_member(self, key, value),
            GroupRecord::TargetEpoch(key, value) => consumer::replay_target_epoch(self, key, value),
            GroupRecord::Target(key, value) => consumer::replay_target(self, key, value),
            GroupRecord::Current(key, value) => consumer::replay_current(self, key, value),
            GroupRecord::Regex(key, value) => consumer::replay_regex(self, key, value),
            GroupRecord::Other { .. } => {}
        }
    }

    fn end_transaction(&mut self, by: ProducerIdAndEpoch, outcome: Outcome) {
        offsets::end_transaction(self, by, outcome);
    }

    fn loaded(&mut self, now: Millis, image: &MetadataImage) -> Decided {
        let mut decided = Decision::none();
        let mut ids: Vec<_> = self.groups.keys().cloned().collect();
        ids.sort_unstable();
        for id in ids {
            decided.extend(match self.groups.get(&id) {
                Some(Group::Classic(_)) => classic::loaded(self, now, &id),
                Some(Group::Consumer(_)) => consumer::loaded(self, now, image, &id),
                None => Decision::none(),
            });
        }
        self.timers.set(Timer::OffsetsExpire, now.plus(self.settings.offsets.retention_check_interval_ms));
        decided
    }

    fn next_deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    fn expire(&mut self, now: Millis, image: &MetadataImage) -> Decided {
        let timer = self.timers.pop(now);
        let expires = timer == Some(Timer::OffsetsExpire);
        let decided = match timer {
            Some(Timer::Classic(group, timer)) => classic::expire(self, now, &group, timer),
            Some(Timer::Consumer(group, timer)) => consumer::expire(self, now, image, &group, timer),
            Some(Timer::Deletion(group)) => self.go_on_deleting(now, &group),
            Some(Timer::OffsetsExpire) => {
                self.timers.set(Timer::OffsetsExpire, now.plus(self.settings.offsets.retention_check_interval_ms));
                offsets::expire(self, now)
            }
            None => Decision::none(),
        };
        self.count(&decided, expires);
        decided
    }
}
