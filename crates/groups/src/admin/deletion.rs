//! `DeleteGroups`: a group without members goes, and its offsets before it, in as many appends as that takes.
//!
//! Invariants: the answer comes when all is written; until the last append the group is there, so that after a crash in between
//! it can be deleted again; meanwhile nobody finds half a group: whoever asks is told to come again.

use std::collections::BTreeMap;

use ottla_coordinator::{Decision, Ticket};
use ottla_types::{ErrorCode, Millis};

use crate::{
    offsets::{self, Round},
    record::GroupRecord,
    request::{GroupReply, GroupRequest},
    shard::{Decided, Group, GroupShard, Timer},
};

/// When the next append follows; not at once, so that other groups get their turn.
const PAUSE_MS: i64 = 1;

/// Groups of which a part is deleted, and who waits for the rest.
pub(crate) type Deletions = BTreeMap<String, Vec<Ticket>>;

impl GroupShard {
    /// Deletes a group without members, and its offsets. The empty id is an id as any other: groups that only store
    /// offsets may have it.
    pub(crate) fn delete(&mut self, now: Millis, from: Ticket, group_id: &str) -> Decided {
        if let Some(tickets) = self.deletions.get_mut(group_id) {
            tickets.push(from);
            return Decision::none();
        }
        match self.deletion(group_id) {
            Ok(_) => self.delete_more(now, group_id, vec![from]),
            Err(error) => Decision::reply(from, GroupReply::Delete(error)),
        }
    }

    /// The time for the next append has come.
    pub(crate) fn go_on_deleting(&mut self, now: Millis, group_id: &str) -> Decided {
        let tickets = self.deletions.remove(group_id).unwrap_or_default();
        self.delete_more(now, group_id, tickets)
    }

    /// Whether a request has to wait until its group is gone.
    pub(crate) fn is_held_up(&self, request: &GroupRequest) -> bool {
        let looks = matches!(
            request,
            GroupRequest::Delete { .. } | GroupRequest::Describe { .. } | GroupRequest::ConsumerDescribe { .. }
        );
        !looks && request.group_id().is_some_and(|group_id| self.deletions.contains_key(group_id))
    }

    fn delete_more(&mut self, now: Millis, group_id: &str, tickets: Vec<Ticket>) -> Decided {
        let (last, error) = match self.deletion(group_id) {
            Ok(last) => (last, ErrorCode::None),
            // Its last offsets expired, and it with them.
            Err(ErrorCode::GroupIdNotFound) => (Vec::new(), ErrorCode::None),
            Err(error) => (Vec::new(), error),
        };
        let mut round = Round::default();
        if error == ErrorCode::None && !offsets::delete_some(self, group_id, &mut round) {
            self.deletions.insert(group_id.to_owned(), tickets);
            self.timers.set(Timer::Deletion(group_id.to_owned()), now.plus(PAUSE_MS));
            return Decision { records: round.into_records(), ..Decision::default() };
        }
        let mut records = round.into_records();
        records.extend(last);
        let replies = tickets.into_iter().map(|ticket| (ticket, GroupReply::Delete(error)));
        Decision { records, replies: replies.collect(), ..Decision::default() }
    }

    /// The records that delete the group itself.
    fn deletion(&self, group_id: &str) -> Result<Vec<GroupRecord>, ErrorCode> {
        match self.groups.get(group_id) {
            Some(Group::Classic(group)) if group.is_empty() => Ok(group.tombstones(group_id)),
            Some(Group::Consumer(group)) if group.is_empty() => Ok(group.tombstones(group_id)),
            Some(_) => Err(ErrorCode::NonEmptyGroup),
            None if self.offsets.has_group(group_id) => Ok(vec![offsets::group_tombstone(group_id)]),
            None => Err(ErrorCode::GroupIdNotFound),
        }
    }
}
