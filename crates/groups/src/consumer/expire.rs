//! What time does to members: silence ends a session, and so does giving up partitions, joining or syncing too slowly.
//!
//! Invariants: each member has a session deadline; one that has partitions to give up has a deadline for that too.

use ottla_controller::MetadataImage;
use ottla_coordinator::Decision;
use ottla_types::Millis;

use super::{
    ConsumerGroup, Context, fence, matching,
    member::{Member, MemberState},
};
use crate::{
    settings::Settings,
    shard::{self, Decided, GroupShard},
};

/// What time passes for; the strings are member ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Nothing was heard of the member.
    Session(String),
    /// The member does not give up what others are to have.
    Revocation(String),
    /// A classic member was asked to join again.
    Join(String),
    /// A classic member joined and has yet to fetch its assignment.
    Sync(String),
    /// Members wait whose patterns are known by now.
    Matched,
}

/// The time of `timer` has come.
pub(crate) fn expire(
    shard: &mut GroupShard,
    now: Millis,
    image: &MetadataImage,
    group_id: &str,
    timer: Timer,
) -> Decided {
    if timer == Timer::Matched {
        return matching::resume(shard, now, image, group_id);
    }
    let Some(group) = shard.consumer(group_id) else { return Decision::none() };
    let id = match timer {
        Timer::Matched => return Decision::none(),
        Timer::Revocation(id) if !group.members.get(&id).is_some_and(is_revoking) => return Decision::none(),
        Timer::Session(id) | Timer::Revocation(id) | Timer::Join(id) | Timer::Sync(id) => id,
    };
    let settings = std::sync::Arc::clone(&shard.settings);
    fence::fence(shard, Context { now, image, settings: &settings, group_id }, &[id])
}

/// Time starts for a group that was read from the log.
pub(crate) fn loaded(shard: &mut GroupShard, now: Millis, image: &MetadataImage, group_id: &str) -> Decided {
    let Some(group) = shard.consumer(group_id) else { return Decision::none() };
    for (timer, after_ms) in deadlines(group, &shard.settings, image, group_id) {
        set(shard, group_id, timer, now.plus(after_ms));
    }
    Decision::none()
}

fn deadlines(group: &ConsumerGroup, settings: &Settings, image: &MetadataImage, group_id: &str) -> Vec<(Timer, i64)> {
    let session_ms = settings.session_timeout_ms(image, group_id);
    let mut deadlines = Vec::with_capacity(group.members.len());
    for (id, member) in &group.members {
        let session_ms = member.classic.as_ref().map_or(session_ms, |classic| classic.session_timeout_ms);
        deadlines.push((Timer::Session(id.clone()), i64::from(session_ms)));
        if is_revoking(member) {
            let timer = if member.is_classic() { Timer::Join(id.clone()) } else { Timer::Revocation(id.clone()) };
            deadlines.push((timer, i64::from(member.rebalance_timeout_ms.max(0))));
        }
    }
    deadlines
}

/// Whether a member that is there has partitions to give up.
fn is_revoking(member: &Member) -> bool {
    member.state == MemberState::UnrevokedPartitions && member.epoch >= 0
}

pub(super) fn set(shard: &mut GroupShard, group_id: &str, timer: Timer, at: Millis) {
    shard.timers.set(shard::Timer::Consumer(group_id.to_owned(), timer), at);
}

/// Sets a deadline that may be set already, and then stands.
pub(super) fn set_if_absent(shard: &mut GroupShard, group_id: &str, timer: Timer, at: Millis) {
    let key = shard::Timer::Consumer(group_id.to_owned(), timer);
    if shard.timers.get(&key).is_none() {
        shard.timers.set(key, at);
    }
}

pub(super) fn cancel(shard: &mut GroupShard, group_id: &str, timer: Timer) {
    shard.timers.cancel(&shard::Timer::Consumer(group_id.to_owned(), timer));
}

/// Nothing is expected of the member any more.
pub(super) fn cancel_all(shard: &mut GroupShard, group_id: &str, member_id: &str) {
    for timer in [Timer::Session, Timer::Revocation, Timer::Join, Timer::Sync] {
        cancel(shard, group_id, timer(member_id.to_owned()));
    }
}
