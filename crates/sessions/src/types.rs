//! What goes in and out: requests and results, without their wire format.

use std::sync::Arc;

use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, Uuid};

/// Session id of a fetch without a session.
pub(crate) const NO_SESSION: i32 = 0;
/// Epoch of a full fetch that opens a session; a session's first incremental fetch has the next one.
pub(crate) const INITIAL_EPOCH: i32 = 0;
/// Epoch of a full fetch that opens none.
pub(crate) const FINAL_EPOCH: i32 = -1;

/// A topic as the request names it: by id from Fetch 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKey {
    /// Any id, known or not.
    Id(Uuid),
    /// Any text, legal as a topic name or not.
    Name(Arc<str>),
}

/// A partition as the request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey {
    /// Its topic.
    pub topic: TopicKey,
    /// Its number, which may not exist.
    pub partition: PartitionIndex,
}

/// What a fetcher wants of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requested {
    /// From where.
    pub fetch_offset: Offset,
    /// How many bytes at most.
    pub max_bytes: i32,
    /// A follower's log start; −1 from consumers.
    pub log_start_offset: Offset,
    /// The leader epoch that the fetcher knows.
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record that it has.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's directory; zero where not sent.
    pub replica_directory_id: Uuid,
    /// A follower's high watermark; `i64::MAX` where not sent.
    pub high_watermark: Offset,
}

/// A fetch request, as far as sessions are concerned.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// 0 for none.
    pub session_id: i32,
    /// 0 or −1 for a full fetch. Requests before Fetch 7 have session id 0 and epoch −1.
    pub epoch: i32,
    /// Whether the request's version names topics by id.
    pub uses_topic_ids: bool,
    /// Whether it comes from a follower, whose sessions go before those of consumers.
    pub privileged: bool,
    /// All that is to be fetched, or what is new or changed of it.
    pub partitions: Vec<(PartitionKey, Requested)>,
    /// What is no longer to be fetched.
    pub forgotten: Vec<PartitionKey>,
}

/// What reading a partition gave, as far as it decides whether the fetcher must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// `None` for success.
    pub error: ErrorCode,
    /// As it goes into the response; −1 with an error.
    pub high_watermark: Offset,
    /// As it goes into the response.
    pub last_stable_offset: Offset,
    /// As it goes into the response.
    pub log_start_offset: Offset,
    /// Bytes of records for the response.
    pub record_bytes: usize,
    /// Whether the response has something else to say: a diverging epoch or a preferred read replica.
    pub has_hint: bool,
}

/// What the fetcher was told of a partition last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// −1 where it was told nothing, or an error.
    pub high_watermark: Offset,
    /// −1 where it was told nothing.
    pub last_stable_offset: Offset,
    /// −1 where it was told nothing.
    pub log_start_offset: Offset,
}

impl Known {
    /// Of a partition that is new in the session.
    pub const NOTHING: Self =
        Self { high_watermark: Offset(-1), last_stable_offset: Offset(-1), log_start_offset: Offset(-1) };

    /// Whether `fetched` has to be told to a fetcher that knows this.
    #[must_use]
    pub fn is_news(&self, fetched: &Fetched) -> bool {
        fetched.record_bytes > 0 || fetched.must_repeat() || *self != Self::of(fetched)
    }

    pub(crate) fn of(fetched: &Fetched) -> Self {
        Self {
            high_watermark: fetched.high_watermark,
            last_stable_offset: fetched.last_stable_offset,
            log_start_offset: fetched.log_start_offset,
        }
    }

    /// What a fetcher knows once it was told `fetched`. After an error or a hint nothing of it counts, so that the first
    /// good answer is news whatever its numbers.
    pub(crate) fn after(fetched: &Fetched) -> Self {
        if fetched.must_repeat() { Self::NOTHING } else { Self::of(fetched) }
    }
}

impl Fetched {
    /// Errors and hints are told each time, until the fetcher acts on them.
    fn must_repeat(&self) -> bool {
        !self.error.is_none() || self.has_hint
    }
}

/// Why a request cannot use its session. The response then has this error, session id 0 and no partition; the fetcher
/// makes a full fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Closed, evicted, or of another life of this broker.
    #[error("there is no such fetch session")]
    NotFound,
    /// A request or response was lost, doubled or overtaken. The session stays.
    #[error("the fetch session is at another epoch")]
    InvalidEpoch,
    /// Topics are named by id in one and by name in the other. The session stays.
    #[error("the fetch session names topics the other way")]
    TopicIds,
}

impl SessionError {
    /// Its code on the wire.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::FetchSessionIdNotFound,
            Self::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
            Self::TopicIds => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

/// The epoch after `epoch`: back to 1 after the last, as 0 has a meaning of its own.
pub(crate) fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(INITIAL_EPOCH + 1)
}
