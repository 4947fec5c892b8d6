//! One shard and the log that it lives from.
//!
//! Invariants: the records of a decision are in the log before they are replayed, and committed before its replies go out;
//! replies leave in the order of their decisions; where the log takes no records the shard is thrown away, so that it is
//! never ahead of its log, and whoever waits is told to come again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use ottla_controller::MetadataImage;
use ottla_coordinator::{Decision, Outcome, Shard, Ticket};
use ottla_log::{AppendError, Appended, Log};
use ottla_records::ControlType;
use ottla_types::{Compression, ErrorCode, LeaderEpoch, Millis, Offset};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::batch::{BatchError, Entry, StoredRecord, batch_of, walk};
use crate::replicas::{Partition, Unavailable};

/// No deadline.
const NEVER: i64 = i64::MAX;

/// A shard with its partition.
pub(super) struct Running<S: Shard> {
    partition: Arc<Partition>,
    compression: Compression,
    state: Mutex<State<S>>,
    deadline: AtomicI64,
    /// Whether the shard was thrown away and nobody has loaded it since.
    lost: AtomicBool,
}

struct State<S: Shard> {
    /// None while it is loaded, and where that failed.
    shard: Option<S>,
    tickets: u64,
    waiting: HashMap<Ticket, oneshot::Sender<S::Reply>>,
    /// Replies whose records are not committed yet, oldest first.
    held: VecDeque<Held<S::Reply>>,
}

struct Held<P> {
    to: Offset,
    replies: Vec<(Ticket, P)>,
}

/// Why the log did not take what was decided.
#[derive(Debug, thiserror::Error)]
enum AppendFailed {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a shard has to do after its lock is released.
enum After {
    Nothing,
    /// The log must be flushed up to here before held replies go.
    Flush(Arc<Log>, Offset),
}

impl<S> Running<S>
where
    S: Shard + Send + 'static,
    S::Record: StoredRecord,
    S::Reply: Send,
{
    pub(super) fn new(partition: Arc<Partition>, compression: Compression) -> Self {
        let state = State { shard: None, tickets: 0, waiting: HashMap::new(), held: VecDeque::new() };
        Self {
            partition,
            compression,
            state: Mutex::new(state),
            deadline: AtomicI64::new(NEVER),
            lost: AtomicBool::new(false),
        }
    }

    pub(super) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Fills `shard` from the log and takes it into service. To be called where blocking is allowed.
    ///
    /// # Errors
    /// The log cannot be read; nothing is in service then.
    pub(super) fn load(self: &Arc<Self>, mut shard: S, now: Millis, image: &MetadataImage) -> Result<(), LoadError> {
        let log = self.partition.leader_log(LeaderEpoch::UNKNOWN)?;
        // Without a shard in service nothing is appended meanwhile.
        walk::<S::Record>(log, |entry| match entry {
            Entry::Record(at, by, record) => shard.replay(at, by, record),
            Entry::End(by, ControlType::Commit) => shard.end_transaction(by, Outcome::Commit),
            Entry::End(by, ControlType::Abort) => shard.end_transaction(by, Outcome::Abort),
        })?;
        let decision = shard.loaded(now, image);
        let mut state = self.state.lock();
        state.shard = Some(shard);
        self.lost.store(false, Ordering::Release);
        let after = self.carry_out(&mut state, now, decision);
        drop(state);
        self.follow_up(after);
        Ok(())
    }

    /// Takes the shard out of service; whoever waits is told to come again.
    pub(super) fn unload(&self) {
        self.throw_away(&mut self.state.lock());
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.state.lock().shard.is_some()
    }

    /// Whether the shard was thrown away; true once, for whoever loads it again.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// Looks at the live shard.
    pub(super) fn look<T>(&self, look: impl FnOnce(&S) -> T) -> Option<T> {
        self.state.lock().shard.as_ref().map(look)
    }

    /// Decides a request now. The reply comes when it is due; the channel closes without one where the shard is lost.
    ///
    /// # Errors
    /// The shard is not in service yet.
    pub(super) fn ask(
        self: &Arc<Self>,
        now: Millis,
        image: &MetadataImage,
        request: S::Request,
    ) -> Result<oneshot::Receiver<S::Reply>, ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        self.drive(|state| {
            let shard = state.shard.as_mut().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            let ticket = Ticket(state.tickets);
            state.tickets += 1;
            state.waiting.insert(ticket, sender);
            Ok((now, shard.decide(now, image, ticket, request)))
        })?;
        Ok(receiver)
    }

    /// Lets the shard decide without anybody asking.
    pub(super) fn tell(self: &Arc<Self>, now: Millis, decide: impl FnOnce(&mut S) -> Decision<S::Record, S::Reply>) {
        // A shard that is not in service learns it from the log.
        let _ = self.drive(|state| {
            let shard = state.shard.as_mut().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
            Ok((now, decide(shard)))
        });
    }

    /// When time has to be passed next; at once where the shard was lost.
    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.lost.load(Ordering::Acquire) {
            return Some(Millis(0));
        }
        let at = self.deadline.load(Ordering::Acquire);
        (at != NEVER).then_some(Millis(at))
    }

    /// Lets the shard do what is due.
    pub(super) fn pass(self: &Arc<Self>, now: Millis, image: &MetadataImage) {
        while !self.lost.load(Ordering::Acquire) && self.deadline().is_some_and(|at| at <= now) {
            self.tell(now, |shard| shard.expire(now, image));
        }
    }

    fn drive(
        self: &Arc<Self>,
        decide: impl FnOnce(&mut State<S>) -> Result<(Millis, Decision<S::Record, S::Reply>), ErrorCode>,
    ) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        let (now, decision) = decide(&mut state)?;
        let after = self.carry_out(&mut state, now, decision);
        drop(state);
        self.follow_up(after);
        Ok(())
    }

    /// Appends and replays the records of `decision`, and sends or holds its replies.
    fn carry_out(&self, state: &mut State<S>, now: Millis, decision: Decision<S::Record, S::Reply>) -> After {
        let Decision { records, replies } = decision;
        let mut after = After::Nothing;
        let mut held_to = state.held.back().map(|held| held.to);
        if !records.is_empty() {
            match self.append(&records, now) {
                Ok((log, appended)) => {
                    if let Some(to) = appended.flush_to {
                        held_to = Some(to);
                        after = After::Flush(log, to);
                    }
                    let Some(shard) = state.shard.as_mut() else { return After::Nothing };
                    for (at, record) in records.into_iter().enumerate() {
                        shard.replay(appended.first_offset.plus(at as i64), None, record);
                    }
                }
                Err(error) => {
                    tracing::error!(partition = %self.partition.id, %error, "a coordinator's records were not taken");
                    self.throw_away(state);
                    return After::Nothing;
                }
            }
        }
        match held_to {
            Some(to) => state.held.push_back(Held { to, replies }),
            None => state.send(replies),
        }
        self.note_deadline(state);
        after
    }

    fn append(&self, records: &[S::Record], now: Millis) -> Result<(Arc<Log>, Appended), AppendFailed> {
        let batch = batch_of(records, now, self.compression)?;
        let log = self.partition.leader_log(LeaderEpoch::UNKNOWN)?;
        Ok((Arc::clone(log), self.partition.append(log, &batch, now)?))
    }

    fn follow_up(self: &Arc<Self>, after: After) {
        let After::Flush(log, to) = after else { return };
        let running = Arc::clone(self);
        let committed = Arc::clone(&log);
        let on_flush = move |result: Result<Offset, ottla_log::FlushError>| match result {
            Ok(_) => {
                running.partition.commit(&committed, to);
                running.state.lock().release(to);
            }
            Err(error) => {
                tracing::error!(partition = %running.partition.id, %error, "a coordinator's records are not durable");
                running.unload();
            }
        };
        log.when_flushed(to, Box::new(on_flush));
    }

    fn note_deadline(&self, state: &State<S>) {
        let deadline = state.shard.as_ref().and_then(Shard::next_deadline);
        self.deadline.store(deadline.map_or(NEVER, |at| at.0), Ordering::Release);
    }

    fn throw_away(&self, state: &mut State<S>) {
        state.shard = None;
        state.waiting.clear();
        state.held.clear();
        self.lost.store(true, Ordering::Release);
        self.deadline.store(NEVER, Ordering::Release);
    }
}

impl<S: Shard> State<S> {
    fn send(&mut self, replies: Vec<(Ticket, S::Reply)>) {
        for (ticket, reply) in replies {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                // The client may be gone.
                let _ = waiting.send(reply);
            }
        }
    }

    /// Sends what waited for records below `to`.
    fn release(&mut self, to: Offset) {
        while self.held.front().is_some_and(|held| held.to <= to) {
            let Some(held) = self.held.pop_front() else { return };
            self.send(held.replies);
        }
    }
}

/// Why a shard cannot be filled from its log.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The partition.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// What is in it.
    #[error(transparent)]
    Log(#[from] BatchError),
}
