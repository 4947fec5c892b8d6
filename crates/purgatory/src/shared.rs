//! Delayed operations for many threads: the hot path is the event that concerns nobody.
//!
//! Keys are spread over shards of watch lists, timers over a few wheels, each behind its own lock. An operation lies in
//! a cell of its own that all its lists and its timer point to; whoever empties the cell completes the operation, and
//! takes it out of the other places. No two of these locks are ever held together.
//!
//! An event is never missed: [`watch`](SharedPurgatory::watch) first enters the lists and then asks whether the
//! operation is complete; [`check`](SharedPurgatory::check) is called after what happened can be seen. A full fence on
//! both sides makes sure that one of the two sees the other, even though `check` looks at no lock when a shard is empty.

use std::{
    fmt,
    hash::{BuildHasher, Hash},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering, fence},
    },
};

use hashbrown::DefaultHashBuilder;
use ottla_types::Millis;
use parking_lot::Mutex;

use crate::{
    watch::{WatchKey, WatchLists},
    wheel::{TimerKey, TimingWheel},
};

/// Locks that watch lists are spread over.
const SHARDS: usize = 128;
/// Locks that timers are spread over.
const WHEELS: usize = 8;

/// Delayed operations behind sharded locks.
pub struct SharedPurgatory<K, O> {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard<K, O>]>,
    wheels: Box<[Wheel<O>]>,
    /// What the timer task was last told by [`next_deadline`](Self::next_deadline), or an earlier deadline added since.
    armed: AtomicI64,
    waiting: AtomicUsize,
    next_wheel: AtomicUsize,
}

type Wheel<O> = Mutex<TimingWheel<Arc<Cell<O>>>>;

struct Shard<K, O> {
    /// Keys watched in this shard; written under the lock.
    keys: AtomicUsize,
    lists: Mutex<WatchLists<K, Arc<Cell<O>>>>,
}

/// An operation and where it is entered.
struct Cell<O>(Mutex<State<O>>);

struct State<O> {
    /// None once completed.
    operation: Option<O>,
    watches: Vec<(usize, WatchKey)>,
    timer: Option<(usize, TimerKey)>,
}

/// Names an operation to its owner.
pub struct Ticket<O>(Arc<Cell<O>>);

/// What became of an operation that was to wait.
#[derive(Debug)]
pub enum Watch<O> {
    /// It is complete already and does not wait.
    Completed(O),
    /// It waits.
    Waiting {
        /// To [`cancel`](SharedPurgatory::cancel) it by.
        ticket: Ticket<O>,
        /// Its deadline is before what the timer task waits for: wake that task.
        rearm: bool,
    },
    /// It completed in the meantime, in another thread, which has it.
    Gone,
}

impl<K: Eq + Hash, O> SharedPurgatory<K, O> {
    /// An empty purgatory at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        let hasher = DefaultHashBuilder::default();
        let lists = || Mutex::new(WatchLists::with_hasher(hasher.clone()));
        let shard = || Shard { keys: AtomicUsize::new(0), lists: lists() };
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            wheels: (0..WHEELS).map(|_| Mutex::new(TimingWheel::new(now))).collect(),
            armed: AtomicI64::new(i64::MAX),
            waiting: AtomicUsize::new(0),
            next_wheel: AtomicUsize::new(0),
            hasher,
        }
    }

    /// Lets an operation wait for an event on one of `keys` or for `deadline`, unless it is complete: it is asked once
    /// it can be found by events, so that none is missed. `is_complete` runs under the lock of this operation alone
    /// and must not use this purgatory.
    pub fn watch(
        &self,
        keys: impl IntoIterator<Item = K>,
        deadline: Millis,
        operation: O,
        mut is_complete: impl FnMut(&mut O) -> bool,
    ) -> Watch<O> {
        let state = State { operation: Some(operation), watches: Vec::new(), timer: None };
        let cell = Arc::new(Cell(Mutex::new(state)));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let entered = self.enter(&cell, keys);
        fence(Ordering::SeqCst);
        if let Some(operation) = self.complete_if(&cell, &mut is_complete) {
            return Watch::Completed(operation);
        }
        if !(entered && self.set_timer(&cell, deadline)) {
            return Watch::Gone;
        }
        // The timer is in its wheel: whoever arms from now on sees it there.
        let rearm = self.armed.fetch_min(deadline.0, Ordering::SeqCst) > deadline.0;
        Watch::Waiting { ticket: Ticket(cell), rearm }
    }

    /// Something happened to `key`, and can be seen: asks those that watch it whether they are complete and gives back
    /// those that are, in the order in which they came. `is_complete` as in [`watch`](Self::watch).
    pub fn check(&self, key: &K, mut is_complete: impl FnMut(&mut O) -> bool) -> Vec<O> {
        fence(Ordering::SeqCst);
        let hash = self.hasher.hash_one(key);
        let shard = &self.shards[shard_of(hash)];
        if shard.keys.load(Ordering::SeqCst) == 0 {
            return Vec::new();
        }
        let cells = shard.lists.lock().watching_hashed(hash, key);
        cells.iter().filter_map(|cell| self.complete_if(cell, &mut is_complete)).collect()
    }

    /// Takes an operation back; none where it completed.
    pub fn cancel(&self, ticket: &Ticket<O>) -> Option<O> {
        self.complete_if(&ticket.0, &mut |_| true)
    }

    /// Gives back the operations whose deadline is not after `now`.
    pub fn advance(&self, now: Millis) -> Vec<O> {
        let mut completed = Vec::new();
        for wheel in &self.wheels {
            let expired = wheel.lock().advance(now);
            completed.extend(expired.iter().filter_map(|cell| self.complete_if(cell, &mut |_| true)));
        }
        completed
    }

    /// For the timer task: when to call [`advance`](Self::advance) next, unless a `rearm` comes first. None while
    /// nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        // From here to the end every new operation asks for a rearm: none falls between the look and the sleep.
        self.armed.store(i64::MAX, Ordering::SeqCst);
        let next = self.wheels.iter().filter_map(|wheel| wheel.lock().next_deadline()).min()?;
        self.armed.fetch_min(next.0, Ordering::SeqCst);
        Some(next)
    }

    /// Number of waiting operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether no operation waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of list entries: each waiting operation counts once for each of its keys. Looks at every shard.
    #[must_use]
    pub fn watches(&self) -> usize {
        self.shards.iter().map(|shard| shard.lists.lock().watches()).sum()
    }

    /// Number of timers. Looks at every wheel.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheels.iter().map(|wheel| wheel.lock().len()).sum()
    }

    /// Enters the lists of `keys`; false where the operation completed meanwhile, and then it is in no list.
    fn enter(&self, cell: &Arc<Cell<O>>, keys: impl IntoIterator<Item = K>) -> bool {
        let mut hashed: Vec<(u64, K)> = keys.into_iter().map(|key| (self.hasher.hash_one(&key), key)).collect();
        hashed.sort_unstable_by_key(|(hash, _)| shard_of(*hash));
        let mut hashed = hashed.into_iter().peekable();
        while let Some(shard) = hashed.peek().map(|(hash, _)| shard_of(*hash)) {
            let keys = std::iter::from_fn(|| hashed.next_if(|(hash, _)| shard_of(*hash) == shard));
            let watch = self.shards[shard].change(|lists| lists.insert_hashed(keys, cell.clone()));
            let mut state = cell.0.lock();
            if state.operation.is_some() {
                state.watches.push((shard, watch));
                continue;
            }
            drop(state);
            self.shards[shard].change(|lists| lists.remove(watch));
            return false;
        }
        true
    }

    /// Sets the timer; false where the operation completed meanwhile.
    fn set_timer(&self, cell: &Arc<Cell<O>>, deadline: Millis) -> bool {
        let wheel = self.next_wheel.fetch_add(1, Ordering::Relaxed) % WHEELS;
        let timer = self.wheels[wheel].lock().insert(deadline, cell.clone());
        let mut state = cell.0.lock();
        if state.operation.is_some() {
            state.timer = Some((wheel, timer));
            return true;
        }
        drop(state);
        self.wheels[wheel].lock().cancel(timer);
        false
    }

    /// Completes an operation if it waits and says yes: takes it out of all places.
    fn complete_if(&self, cell: &Cell<O>, is_complete: &mut impl FnMut(&mut O) -> bool) -> Option<O> {
        let mut state = cell.0.lock();
        let operation = state.operation.take_if(|operation| is_complete(operation))?;
        let (watches, timer) = (std::mem::take(&mut state.watches), state.timer.take());
        drop(state);
        for (shard, watch) in watches {
            self.shards[shard].change(|lists| lists.remove(watch));
        }
        if let Some((wheel, timer)) = timer {
            self.wheels[wheel].lock().cancel(timer);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(operation)
    }
}

impl<K: Eq + Hash, O> Shard<K, O> {
    fn change<R>(&self, change: impl FnOnce(&mut WatchLists<K, Arc<Cell<O>>>) -> R) -> R {
        let mut lists = self.lists.lock();
        let result = change(&mut lists);
        self.keys.store(lists.keys(), Ordering::SeqCst);
        result
    }
}

/// By bits that the tables of a shard do not look at: low ones choose their buckets, the highest seven tell apart what
/// lies in one.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl<K, O> fmt::Debug for SharedPurgatory<K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPurgatory").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl<O> fmt::Debug for Ticket<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket")
    }
}

impl<O> Clone for Ticket<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
