//! The face of the crate: a fetch from its request to its response.
//!
//! Locks: the cache's is held for look-ups only; a session's while its partitions are walked over, which only another
//! request of the same session could wait for. They are never held together.

use std::{ops::ControlFlow, sync::Arc};

use ottla_types::{Millis, TopicName, Uuid};
use parking_lot::Mutex;

use crate::{
    cache::{SessionCache, SessionLimits},
    partitions::{PartitionHandle, Partitions},
    session::{FetchSession, Visit},
    types::{FINAL_EPOCH, FetchRequest, Fetched, INITIAL_EPOCH, NO_SESSION, SessionError, TopicKey, next_epoch},
};

/// Longest name that a session remembers, bytes: that of the longest legal topic name. A request with a longer one is
/// answered without a session, so that a session's memory is bounded by its number of partitions.
const NAME_MAX: usize = TopicName::LENGTH_MAX;

/// All fetch sessions of a broker.
#[derive(Debug)]
pub struct FetchSessions {
    cache: Mutex<SessionCache>,
}

/// A fetch between its request and its response. Dropping it leaves its session as the request made it.
#[derive(Debug)]
pub struct FetchContext {
    session: Arc<Mutex<FetchSession>>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A full fetch that opens no session.
    Sessionless,
    /// A full fetch that opens one, if there is room.
    Full,
    /// A fetch of this session, which has this epoch until its next request.
    Incremental { id: i32, epoch: i32 },
}

/// What goes into the response.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<R> {
    /// 0 for none.
    pub session_id: i32,
    /// Results in the order in which they were given.
    pub partitions: Vec<R>,
}

/// Figures for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Sessions (`NumIncrementalFetchSessions`).
    pub sessions: usize,
    /// Partitions in them (`NumIncrementalFetchPartitionsCached`).
    pub partitions: usize,
    /// Sessions evicted since the start (`IncrementalFetchSessionEvictionsPerSec`).
    pub evictions: u64,
}

impl FetchSessions {
    /// None yet.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Self { cache: Mutex::new(SessionCache::new(limits)) }
    }

    /// Takes a request: checks it against its session, and changes what the session fetches. `name_of` gives the name of
    /// a topic id; it must not use these sessions.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn begin(
        &self,
        now: Millis,
        request: FetchRequest,
        name_of: impl Fn(Uuid) -> Option<TopicName>,
    ) -> Result<FetchContext, SessionError> {
        match request.epoch {
            INITIAL_EPOCH | FINAL_EPOCH => {
                if request.session_id != NO_SESSION {
                    self.cache.lock().remove(request.session_id);
                }
                Ok(full(request, &name_of))
            }
            _ => self.incremental(now, request, &name_of),
        }
    }

    /// Ends a fetch: `results` in the order of the walk; what is left out counts as nothing new. Those that are news make
    /// up the answer. They are drawn under the session's lock: take no other in them. `random` gives a new session its id.
    ///
    /// # Errors
    /// `InvalidEpoch` where the session took another request meanwhile.
    pub fn finish<R>(
        &self,
        now: Millis,
        random: impl FnOnce() -> u32,
        context: FetchContext,
        results: impl IntoIterator<Item = (PartitionHandle, Fetched, R)>,
    ) -> Result<Answer<R>, SessionError> {
        let results = results.into_iter();
        let mut session = context.session.lock();
        match context.kind {
            Kind::Sessionless => {
                let partitions = results.map(|(_, _, result)| result).collect();
                Ok(Answer { session_id: NO_SESSION, partitions })
            }
            Kind::Full => {
                let partitions = session.note_all(results);
                let (privileged, size) = (session.privileged, session.partitions.len());
                drop(session);
                let session_id = self.cache.lock().insert(now, random(), context.session.clone(), privileged, size);
                Ok(Answer { session_id, partitions })
            }
            Kind::Incremental { epoch, .. } if session.epoch != epoch => Err(SessionError::InvalidEpoch),
            Kind::Incremental { id, .. } => Ok(Answer { session_id: id, partitions: session.note_news(results) }),
        }
    }

    /// How much is remembered.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let cache = self.cache.lock();
        Metrics { sessions: cache.len(), partitions: cache.partitions, evictions: cache.evictions }
    }

    fn incremental(
        &self,
        now: Millis,
        request: FetchRequest,
        name_of: &dyn Fn(Uuid) -> Option<TopicName>,
    ) -> Result<FetchContext, SessionError> {
        let id = request.session_id;
        let found = self.cache.lock().get(id);
        let session = found.ok_or(SessionError::NotFound)?;
        let can_be_kept = can_be_kept(&request);
        let (size, epoch) = {
            let mut session = session.lock();
            session.advance(request, name_of)?;
            (session.partitions.len(), session.epoch)
        };
        let mut cache = self.cache.lock();
        if size == 0 {
            cache.remove(id);
            return Ok(FetchContext { session, kind: Kind::Sessionless });
        }
        if !can_be_kept {
            cache.remove(id);
            return Err(SessionError::NotFound);
        }
        if !cache.touch(now, id, size) {
            return Err(SessionError::NotFound);
        }
        Ok(FetchContext { session, kind: Kind::Incremental { id, epoch } })
    }
}

impl FetchContext {
    /// Walks over the partitions in the order in which they are to be served, until told to stop. `visit` must not use
    /// this context. Nothing is visited where the session took another request meanwhile.
    pub fn for_each(&self, mut visit: impl FnMut(Visit<'_>) -> ControlFlow<()>) {
        let session = self.session.lock();
        if self.is_current(&session) {
            session.for_each(self.is_full(), &mut visit);
        }
    }

    /// Number of partitions to be fetched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.session.lock().partitions.len()
    }

    /// Whether nothing is to be fetched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all partitions go into the response, whether they have news or not.
    #[must_use]
    pub fn is_full(&self) -> bool {
        !matches!(self.kind, Kind::Incremental { .. })
    }

    /// The answer to a fetcher that is throttled: no partition, and no new session.
    ///
    /// # Errors
    /// `InvalidEpoch` where the session took another request meanwhile.
    pub fn answer_nothing<R>(&self) -> Result<Answer<R>, SessionError> {
        if !self.is_current(&self.session.lock()) {
            return Err(SessionError::InvalidEpoch);
        }
        let session_id = match self.kind {
            Kind::Incremental { id, .. } => id,
            Kind::Full | Kind::Sessionless => NO_SESSION,
        };
        Ok(Answer { session_id, partitions: Vec::new() })
    }

    #[cfg(test)]
    pub(crate) fn session_for_tests(&self) -> &Mutex<FetchSession> {
        &self.session
    }

    fn is_current(&self, session: &FetchSession) -> bool {
        !matches!(self.kind, Kind::Incremental { epoch, .. } if epoch != session.epoch)
    }
}

/// A full fetch, with a session that is kept later or not.
fn full(request: FetchRequest, name_of: &dyn Fn(Uuid) -> Option<TopicName>) -> FetchContext {
    let kept = request.epoch == INITIAL_EPOCH && can_be_kept(&request);
    let mut partitions = Partitions::default();
    if kept {
        for (key, requested) in request.partitions {
            partitions.put(key, requested, name_of);
        }
    } else {
        partitions = Partitions::fixed(request.partitions, name_of);
    }
    let session = FetchSession {
        partitions,
        epoch: next_epoch(INITIAL_EPOCH),
        uses_topic_ids: request.uses_topic_ids,
        privileged: request.privileged,
    };
    let kind = if kept { Kind::Full } else { Kind::Sessionless };
    FetchContext { session: Arc::new(Mutex::new(session)), kind }
}

fn can_be_kept(request: &FetchRequest) -> bool {
    let is_short = |topic: &TopicKey| !matches!(topic, TopicKey::Name(name) if name.len() > NAME_MAX);
    request.partitions.iter().all(|(key, _)| is_short(&key.topic))
}
