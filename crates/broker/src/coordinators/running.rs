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
use ottla_log::{AppendError, Appended, Log, Origin, ToVerify, Verification};
use ottla_records::{BuildError, ControlType};
use ottla_types::{Compression, ErrorCode, LeaderEpoch, Millis, Offset, ProducerIdAndEpoch};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::batch::{BatchError, Entry, StoredRecord, batch_of, walk};
use crate::replicas::{Marker, Partition, Unavailable, producer_error_code};

/// No deadline.
const NEVER: i64 = i64::MAX;

/// Takes a reply, or why there is none.
type Sender<P> = oneshot::Sender<Result<P, ErrorCode>>;

/// A shard with its partition.
pub(super) struct Running<S: Shard> {
    partition: Arc<Partition>,
    compression: Compression,
    state: Mutex<State<S>>,
    deadline: AtomicI64,
    /// Whether so many replicas are in sync that what is written counts as written.
    has_enough_replicas: AtomicBool,
    /// Whether the shard was thrown away and nobody has loaded it since.
    lost: AtomicBool,
    /// Whether it could not be loaded, and nobody has succeeded since.
    failed: AtomicBool,
}

struct State<S: Shard> {
    /// None while it is loaded, and where that failed.
    shard: Option<S>,
    tickets: u64,
    waiting: HashMap<Ticket, Sender<S::Reply>>,
    /// Replies whose records are not committed yet, oldest first.
    held: VecDeque<Held<S::Reply>>,
}

struct Held<P> {
    to: Offset,
    due: Due<P>,
}

/// What goes out once its records are committed.
enum Due<P> {
    Replies(Vec<(Ticket, P)>),
    /// A marker is written.
    Ended(oneshot::Sender<()>),
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
    #[error("fewer replicas are in sync than min.insync.replicas asks for")]
    NotEnoughReplicas,
}

impl AppendFailed {
    /// What whoever asked for it is told, as Kafka's group coordinator says it: where it may help, clients look for the
    /// coordinator again. Where it does not, Kafka has UNKNOWN_SERVER_ERROR, which no producer is to see.
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotEnoughReplicas => ErrorCode::CoordinatorNotAvailable,
            Self::Batch(BatchError::Encode(_) | BatchError::Build(BuildError::TooLarge(_)))
            | Self::Append(AppendError::LargerThanSegment { .. }) => ErrorCode::RecordListTooLarge,
            Self::Append(AppendError::Producer(error)) => producer_error_code(error),
            Self::Unavailable(_)
            | Self::Batch(_)
            | Self::Append(
                AppendError::Full
                | AppendError::NotOnline(_)
                | AppendError::Io(_)
                | AppendError::WentOffline(_)
                | AppendError::OffsetOrder { .. },
            ) => ErrorCode::NotCoordinator,
        }
    }
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
            has_enough_replicas: AtomicBool::new(true),
            lost: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    pub(super) fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Fills `shard` from the log and takes it into service. To be called where blocking is allowed.
    ///
    /// # Errors
    /// The log cannot be read, or takes not what the shard has to write; nothing is in service then.
    pub(super) fn load(self: &Arc<Self>, shard: S, now: Millis, image: &MetadataImage) -> Result<(), LoadError> {
        let loaded = self.fill(shard, now, image);
        self.failed.store(loaded.is_err(), Ordering::Release);
        loaded
    }

    fn fill(self: &Arc<Self>, mut shard: S, now: Millis, image: &MetadataImage) -> Result<(), LoadError> {
        let log = self.partition.leader_log(LeaderEpoch::UNKNOWN)?;
        // Without a shard in service nothing is appended meanwhile.
        walk::<S::Record>(&log, |entry| match entry {
            Entry::Record(at, by, record) => shard.replay(at, by, record),
            Entry::End(by, ControlType::Commit) => shard.end_transaction(by, Outcome::Commit),
            Entry::End(by, ControlType::Abort) => shard.end_transaction(by, Outcome::Abort),
        })?;
        let decision = shard.loaded(now, image);
        let mut state = self.state.lock();
        state.shard = Some(shard);
        self.lost.store(false, Ordering::Release);
        // What a shard decides on its own is part of no transaction, so no producer's state can forbid it.
        let after = self.carry_out(&mut state, now, decision, Verification::Off).unwrap_or(After::Nothing);
        if state.shard.is_none() {
            self.lost.store(false, Ordering::Release); // whoever loads it is told, and tries again
            return Err(LoadError::NotTaken);
        }
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

    /// What whoever asks is told where there is no shard in service. One that cannot be loaded may stay away for long, so that,
    /// as with Kafka, clients look for the coordinator elsewhere; a member whose heartbeat is answered believes in its group.
    fn absent(&self) -> ErrorCode {
        if self.failed.load(Ordering::Acquire) {
            ErrorCode::NotCoordinator
        } else {
            ErrorCode::CoordinatorLoadInProgress
        }
    }

    /// Looks at the live shard.
    pub(super) fn look<T>(&self, look: impl FnOnce(&S) -> T) -> Option<T> {
        self.state.lock().shard.as_ref().map(look)
    }

    /// Changes soft state of the live shard.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut S) -> T) -> Option<T> {
        self.state.lock().shard.as_mut().map(change)
    }

    /// Notes whether so many replicas are in sync that what is written counts as written; whether that is news.
    pub(super) fn set_enough_replicas(&self, enough: bool) -> bool {
        self.has_enough_replicas.swap(enough, Ordering::AcqRel) != enough
    }

    /// Decides a request now. The reply comes when it is due; the channel closes without one where the shard is lost. With
    /// `verification` where the request writes as part of a transaction.
    ///
    /// # Errors
    /// The shard is not in service yet, what the request may lead to could not be written, or the log does not let the
    /// producer write.
    pub(super) fn ask(
        self: &Arc<Self>,
        now: Millis,
        image: &MetadataImage,
        request: S::Request,
        verification: Verification,
    ) -> Result<oneshot::Receiver<Result<S::Reply, ErrorCode>>, ErrorCode> {
        if S::may_write(&request) && !self.can_write() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let (sender, receiver) = oneshot::channel();
        self.drive(verification, |state| {
            let shard = state.shard.as_mut().ok_or_else(|| self.absent())?;
            let ticket = Ticket(state.tickets);
            state.tickets += 1;
            state.waiting.insert(ticket, sender);
            Ok((now, shard.decide(now, image, ticket, request)))
        })?;
        // What the decision left to be done at once is done before the client can see the answer and ask again.
        self.pass(now, image);
        Ok(receiver)
    }

    /// Lets the shard decide without anybody asking.
    pub(super) fn tell(self: &Arc<Self>, now: Millis, decide: impl FnOnce(&mut S) -> Decision<S::Record, S::Reply>) {
        // A shard that is not in service learns it from the log.
        let _ = self.drive(Verification::Off, |state| {
            let shard = state.shard.as_mut().ok_or_else(|| self.absent())?;
            Ok((now, decide(shard)))
        });
    }

    /// Whether what is written counts as written, and there is room for it.
    fn can_write(&self) -> bool {
        let is_full = || self.partition.opened_log().is_some_and(|log| log.is_full());
        self.has_enough_replicas.load(Ordering::Acquire) && !is_full()
    }

    /// When time has to be passed next; at once where the shard was lost, and otherwise not while nothing can be written.
    pub(super) fn deadline(&self) -> Option<Millis> {
        if self.lost.load(Ordering::Acquire) {
            return Some(Millis(0)); // what was committed can be read on a full disk too
        }
        if !self.can_write() {
            return None;
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

    /// Says whether a transaction of the producer is open in the shard's log; otherwise its verification begins.
    ///
    /// # Errors
    /// The shard is not in service, or the producer has a newer epoch.
    pub(super) fn verify(&self, ask: &ToVerify, now: Millis) -> Result<Verification, ErrorCode> {
        if !self.is_loaded() {
            return Err(self.absent());
        }
        let log = self.partition.leader_log(LeaderEpoch::UNKNOWN).map_err(|_| ErrorCode::NotCoordinator)?;
        log.verify(ask, now).map_err(|error| producer_error_code(&error))
    }

    /// Ends a transaction in the shard's log and in the shard. The answer comes once the marker is committed; the channel
    /// closes without one where the shard is lost.
    ///
    /// # Errors
    /// The shard is not in service yet, or the log refuses the marker; nothing has changed then.
    pub(super) fn end_transaction(
        self: &Arc<Self>,
        now: Millis,
        marker: &Marker,
    ) -> Result<oneshot::Receiver<()>, ErrorCode> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        let shard = state.shard.as_mut().ok_or_else(|| self.absent())?;
        let appended = match self.append_marker(marker, now) {
            Ok(appended) => {
                shard.end_transaction(marker.producer, marker.outcome);
                appended
            }
            Err(AppendFailed::Append(AppendError::Producer(error))) => return Err(producer_error_code(&error)),
            Err(error) => {
                self.fail(&mut state, &error);
                return Ok(receiver);
            }
        };
        let after = self.answer(&mut state, Some(appended), Due::Ended(sender));
        drop(state);
        self.follow_up(after);
        Ok(receiver)
    }

    fn append_marker(&self, marker: &Marker, now: Millis) -> Result<(Arc<Log>, Appended), AppendFailed> {
        let mut log = self.partition.leader_log(LeaderEpoch::UNKNOWN)?;
        let appended = self.partition.append_marker(&mut log, marker, now)?;
        Ok((log, appended))
    }

    fn drive(
        self: &Arc<Self>,
        verification: Verification,
        decide: impl FnOnce(&mut State<S>) -> Result<(Millis, Decision<S::Record, S::Reply>), ErrorCode>,
    ) -> Result<(), ErrorCode> {
        let mut state = self.state.lock();
        let (now, decision) = decide(&mut state)?;
        let after = self.carry_out(&mut state, now, decision, verification)?;
        drop(state);
        self.follow_up(after);
        Ok(())
    }

    /// Appends and replays the records of `decision`, and sends or holds its replies.
    ///
    /// # Errors
    /// The log does not let the producer write; whoever waits for this decision has gone without an answer.
    fn carry_out(
        &self,
        state: &mut State<S>,
        now: Millis,
        decision: Decision<S::Record, S::Reply>,
        verification: Verification,
    ) -> Result<After, ErrorCode> {
        let Decision { records, transaction, replies } = decision;
        let mut written = None;
        if !records.is_empty() {
            match self.append(&records, transaction, verification, now) {
                Ok((log, appended)) => {
                    let Some(shard) = state.shard.as_mut() else { return Ok(After::Nothing) };
                    for (at, record) in records.into_iter().enumerate() {
                        shard.replay(appended.first_offset.plus(at as i64), transaction, record);
                    }
                    written = Some((log, appended));
                }
                Err(AppendFailed::Append(AppendError::Producer(error))) => {
                    for (ticket, _) in replies {
                        state.waiting.remove(&ticket);
                    }
                    self.note_deadline(state);
                    return Err(producer_error_code(&error));
                }
                Err(error) => {
                    let asked: Vec<_> = replies.into_iter().map(|(ticket, _)| ticket).collect();
                    state.refuse(&asked, error.code());
                    self.fail(state, &error);
                    return Ok(After::Nothing);
                }
            }
        }
        Ok(self.answer(state, written, Due::Replies(replies)))
    }

    /// Sends `due`, or holds it until what was written, and what was held before, is committed.
    fn answer(&self, state: &mut State<S>, written: Option<(Arc<Log>, Appended)>, due: Due<S::Reply>) -> After {
        let mut after = After::Nothing;
        let mut held_to = state.held.back().map(|held| held.to);
        if let Some((log, Appended { flush_to: Some(to), .. })) = written {
            held_to = Some(to);
            after = After::Flush(log, to);
        }
        match held_to {
            Some(to) => state.held.push_back(Held { to, due }),
            None => state.send(due),
        }
        self.note_deadline(state);
        after
    }

    fn append(
        &self,
        records: &[S::Record],
        transaction: Option<ProducerIdAndEpoch>,
        verification: Verification,
        now: Millis,
    ) -> Result<(Arc<Log>, Appended), AppendFailed> {
        if !self.has_enough_replicas.load(Ordering::Acquire) {
            return Err(AppendFailed::NotEnoughReplicas);
        }
        let batch = batch_of(records, transaction, now, self.compression)?;
        let mut log = self.partition.leader_log(LeaderEpoch::UNKNOWN)?;
        let appended = self.partition.append_verified(&mut log, &batch, Origin::Coordinator, verification, now)?;
        Ok((log, appended))
    }

    fn fail(&self, state: &mut State<S>, error: &AppendFailed) {
        tracing::error!(partition = %self.partition.id, %error, "a coordinator's records were not taken");
        self.throw_away(state);
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
    fn refuse(&mut self, tickets: &[Ticket], code: ErrorCode) {
        for waiting in tickets.iter().filter_map(|ticket| self.waiting.remove(ticket)) {
            let _ = waiting.send(Err(code));
        }
    }

    /// Whoever waits may be gone.
    fn send(&mut self, due: Due<S::Reply>) {
        match due {
            Due::Replies(replies) => {
                for (ticket, reply) in replies {
                    let _ = self.waiting.remove(&ticket).map(|waiting| waiting.send(Ok(reply)));
                }
            }
            Due::Ended(ended) => drop(ended.send(())),
        }
    }

    /// Sends what waited for records below `to`.
    fn release(&mut self, to: Offset) {
        while self.held.front().is_some_and(|held| held.to <= to) {
            let Some(held) = self.held.pop_front() else { return };
            self.send(held.due);
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
    /// It takes nothing.
    #[error("what follows from what it holds could not be written")]
    NotTaken,
}
