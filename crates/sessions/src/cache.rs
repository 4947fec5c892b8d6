//! Which sessions are kept: a bounded number, and the rules by which a new one takes the place of an old one.
//!
//! Invariant: never more sessions than slots, nor more partitions in them than allowed.

use std::{collections::HashMap, sync::Arc};

use ottla_types::Millis;
use parking_lot::Mutex;

use crate::{session::FetchSession, types::NO_SESSION};

/// How much is remembered.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Sessions (`max.incremental.fetch.session.cache.slots`).
    pub slots: usize,
    /// A session that was not used for longer may be evicted by any other, and one that exists for longer by a bigger
    /// one, milliseconds.
    pub eviction_ms: i64,
    /// Partitions of all sessions. A fetcher beyond that gets no session and goes on with full fetches.
    pub partitions_max: usize,
}

impl Default for SessionLimits {
    /// Kafka's defaults; two million partitions take about half a gigabyte.
    fn default() -> Self {
        Self { slots: 1000, eviction_ms: 120_000, partitions_max: 2_000_000 }
    }
}

#[derive(Debug)]
pub(crate) struct SessionCache {
    limits: SessionLimits,
    sessions: HashMap<i32, Cached>,
    pub(crate) partitions: usize,
    pub(crate) evictions: u64,
}

#[derive(Debug)]
struct Cached {
    session: Arc<Mutex<FetchSession>>,
    privileged: bool,
    /// Partitions at its last use.
    size: usize,
    created: Millis,
    last_used: Millis,
}

impl SessionCache {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self { limits, sessions: HashMap::new(), partitions: 0, evictions: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn get(&self, id: i32) -> Option<Arc<Mutex<FetchSession>>> {
        self.sessions.get(&id).map(|cached| cached.session.clone())
    }

    pub(crate) fn remove(&mut self, id: i32) {
        if let Some(cached) = self.sessions.remove(&id) {
            self.partitions -= cached.size;
        }
    }

    /// Keeps a session, perhaps in place of others; its id, or 0 where there is no room.
    pub(crate) fn insert(
        &mut self,
        now: Millis,
        random: u32,
        session: Arc<Mutex<FetchSession>>,
        privileged: bool,
        size: usize,
    ) -> i32 {
        if size > self.limits.partitions_max {
            return NO_SESSION;
        }
        while !self.has_room(size) {
            if !self.evict(now, privileged, size) {
                return NO_SESSION;
            }
        }
        let id = self.free_id(random);
        self.partitions += size;
        self.sessions.insert(id, Cached { session, privileged, size, created: now, last_used: now });
        id
    }

    /// Notes that a session is used and how big it is now; false where that is too big, and then it is removed.
    pub(crate) fn touch(&mut self, now: Millis, id: i32, size: usize) -> bool {
        let Some(cached) = self.sessions.get_mut(&id) else { return true };
        self.partitions = self.partitions - cached.size + size;
        (cached.size, cached.last_used) = (size, now.max(cached.last_used));
        let fits = self.partitions <= self.limits.partitions_max;
        if !fits {
            self.remove(id);
        }
        fits
    }

    fn has_room(&self, size: usize) -> bool {
        self.sessions.len() < self.limits.slots && self.partitions + size <= self.limits.partitions_max
    }

    /// Removes the session that a new one may take the place of, if there is one.
    fn evict(&mut self, now: Millis, privileged: bool, size: usize) -> bool {
        let Some(id) = self.stale(now).or_else(|| self.less_valuable(privileged, size)) else { return false };
        self.remove(id);
        self.evictions += 1;
        true
    }

    /// The session that was not used for longest, if that is too long.
    fn stale(&self, now: Millis) -> Option<i32> {
        let (id, oldest) = self.sessions.iter().min_by_key(|(id, cached)| (cached.last_used, **id))?;
        (now.since(oldest.last_used) > self.limits.eviction_ms).then_some(*id)
    }

    /// The least valuable session, if a new one is worth more: a consumer's is worth less than a follower's, and among
    /// equals the smaller less than the bigger. A young one is safe, except a consumer's from a follower.
    fn less_valuable(&self, privileged: bool, size: usize) -> Option<i32> {
        let is_old = |cached: &Cached| cached.last_used.since(cached.created) > self.limits.eviction_ms;
        let may_go = |cached: &Cached| is_old(cached) || (privileged && !cached.privileged);
        let candidates = self.sessions.iter().filter(|(_, cached)| may_go(cached));
        let (worth, id) = candidates.map(|(id, cached)| ((cached.privileged, cached.size), *id)).min()?;
        ((privileged, size) > worth).then_some(id)
    }

    /// An unused id, positive; the first from the one that `random` gives.
    fn free_id(&self, random: u32) -> i32 {
        let mut id = (random % i32::MAX as u32) as i32 + 1;
        while self.sessions.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(1);
        }
        id
    }
}
