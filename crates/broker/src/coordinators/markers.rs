//! Markers: what ends a transaction in each of its partitions, once its end is decided.
//!
//! One task takes the orders of all transaction shards; each order is carried out by a task of its own, which goes on until
//! every partition has its marker or is gone, and reports what is done to the shard.
//!
//! Invariants: a shard hears of a marker only once it is committed in its partition; what cannot be written now is tried
//! again for as long as the shard that ordered it is in service, and so is the report of what is done. Orders of a shard that is
//! gone are given anew by whoever loads it, so nothing is lost with this task; a marker that is written twice changes nothing.

#[cfg(test)]
mod tests;

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use ottla_disk::Clock;
use ottla_log::{FlushError, Verification};
use ottla_transactions::{MarkerOrder, TransactionReply, TransactionRequest, TransactionShard};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use tokio::{
    sync::{Notify, futures::Notified, oneshot},
    task::JoinSet,
};

use super::{Groups, OFFSETS_TOPIC, Transactions, running::Running};
use crate::replicas::{Marker, Replicas, append_error_code};

/// Pause until partitions that did not take their marker are tried again.
const AGAIN: Duration = Duration::from_millis(100);
/// So many pauses lie between two complaints about partitions that do not take theirs.
const COMPLAIN_EVERY: u32 = 100;

/// Version of transactions of a marker that says that it does not know. No coordinator sends that.
const UNKNOWN_VERSION: i8 = -1;

/// See the file's head.
pub(crate) struct Markers {
    transactions: Arc<Transactions>,
    groups: Arc<Groups>,
    replicas: Arc<Replicas>,
    clock: Arc<dyn Clock>,
    waiting: AtomicUsize,
    settled: Notify,
}

impl fmt::Debug for Markers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Markers").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

type Shard = Arc<Running<TransactionShard>>;

/// A shard whose next order is waited for.
struct Asked {
    shard: Shard,
    order: oneshot::Receiver<Result<TransactionReply, ErrorCode>>,
}

/// What becomes of a partition whose marker was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has its marker, or needs none.
    Done,
    /// Not now.
    Again,
    /// A newer coordinator has written there: this one's word is void.
    Fenced,
}

/// Partitions by what became of them.
#[derive(Default)]
struct Passed {
    done: Vec<TopicPartition>,
    fenced: Vec<TopicPartition>,
    again: Vec<TopicPartition>,
}

impl Markers {
    pub(crate) fn new(
        transactions: Arc<Transactions>,
        groups: Arc<Groups>,
        replicas: Arc<Replicas>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { transactions, groups, replicas, clock, waiting: AtomicUsize::new(0), settled: Notify::new() }
    }

    /// Partitions whose marker is ordered and not written yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Done when the next transaction, whichever, has all its markers.
    pub(crate) fn settled(&self) -> Notified<'_> {
        self.settled.notified()
    }

    /// Takes and carries out orders; never returns.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut asked = Vec::new();
        let mut settling = JoinSet::new();
        loop {
            self.ask_new(&mut asked);
            // As long as no shard comes, what is asked stays complete.
            loop {
                tokio::select! {
                    biased;
                    (shard, reply) = next(&mut asked) => {
                        // Without a reply the shard is gone.
                        let Some(reply) = reply else { continue };
                        if let TransactionReply::NextMarkers(order) = reply {
                            self.waiting.fetch_add(order.partitions.len(), Ordering::Relaxed);
                            settling.spawn(Arc::clone(&self).settle(Arc::clone(&shard), order));
                        }
                        self.ask(shard, &mut asked);
                    }
                    Some(_) = settling.join_next() => {}
                    () = self.transactions.loaded() => break,
                }
            }
        }
    }

    fn ask_new(&self, asked: &mut Vec<Asked>) {
        for shard in self.transactions.all() {
            if !asked.iter().any(|known| Arc::ptr_eq(&known.shard, &shard)) {
                self.ask(shard, asked);
            }
        }
    }

    /// A shard that is not in service is asked once it is.
    fn ask(&self, shard: Shard, asked: &mut Vec<Asked>) {
        if let Ok(order) = self.transactions.ask_shard(&shard, TransactionRequest::NextMarkers, Verification::Off) {
            asked.push(Asked { shard, order });
        }
    }

    async fn settle(self: Arc<Self>, shard: Shard, mut order: MarkerOrder) {
        let marker = Marker {
            producer: order.producer,
            outcome: order.outcome,
            coordinator_epoch: shard.partition().leader_epoch().0,
            transaction_version: order.transaction_version,
        };
        let mut done = Vec::new();
        for pause in 1.. {
            let passed = self.pass(&marker, std::mem::take(&mut order.partitions)).await;
            order.partitions = passed.again;
            self.waiting.fetch_sub(passed.done.len() + passed.fenced.len(), Ordering::Relaxed);
            if !passed.fenced.is_empty() {
                let id = &order.transactional_id;
                tracing::error!(transactional_id = id, partitions = ?passed.fenced, "a newer coordinator has written there");
            }
            done.extend(passed.done);
            let reported = self.report(&order, &mut done).await;
            if order.partitions.is_empty() && reported {
                break;
            }
            tokio::time::sleep(AGAIN).await;
            if pause % COMPLAIN_EVERY == 0 {
                let id = &order.transactional_id;
                tracing::warn!(transactional_id = id, partitions = ?order.partitions, "no marker of a transaction is taken");
            }
            if !self.transactions.is_current(&shard) {
                self.waiting.fetch_sub(order.partitions.len(), Ordering::Relaxed);
                break;
            }
        }
        self.settled.notify_waiters();
    }

    /// Tells the shard, and empties `done`; false where it cannot write that down now. Where the shard is gone, the order is
    /// given anew by whoever loads it.
    async fn report(&self, order: &MarkerOrder, done: &mut Vec<TopicPartition>) -> bool {
        if done.is_empty() {
            return true;
        }
        let request = TransactionRequest::MarkersWritten {
            transactional_id: order.transactional_id.clone(),
            producer: order.producer,
            decided: order.decided,
            partitions: done.clone(),
        };
        let told = self.transactions.ask(&order.transactional_id, request).await;
        let again = matches!(told, Err(ErrorCode::CoordinatorNotAvailable));
        if !again {
            done.clear();
        }
        !again
    }

    /// Tries all of `partitions` at once.
    async fn pass(&self, marker: &Marker, partitions: Vec<TopicPartition>) -> Passed {
        let writing: Vec<_> = partitions.iter().map(|partition| self.write(partition, marker)).collect();
        let mut passed = Passed::default();
        for (partition, written) in partitions.into_iter().zip(writing) {
            match self.fate(&partition, marker, written.await) {
                Fate::Done => passed.done.push(partition),
                Fate::Fenced => passed.fenced.push(partition),
                Fate::Again => passed.again.push(partition),
            }
        }
        passed
    }

    fn fate(&self, partition: &TopicPartition, marker: &Marker, written: Result<(), ErrorCode>) -> Fate {
        let Err(error) = written else { return Fate::Done };
        match error {
            ErrorCode::UnknownTopicOrPartition if !self.transactions.knows(partition) => Fate::Done,
            ErrorCode::TransactionCoordinatorFenced => Fate::Fenced,
            // Somebody else has ended the transaction there, and the producer has gone on.
            ErrorCode::InvalidProducerEpoch => {
                tracing::warn!(%partition, producer = %marker.producer.id, "a marker came too late");
                Fate::Done
            }
            error => {
                tracing::debug!(%partition, producer = %marker.producer.id, error = error.name(), "a marker has to wait");
                Fate::Again
            }
        }
    }

    /// Writes one marker into a partition that this broker leads. It is in the log when this returns, and committed when
    /// what it returns is over.
    pub(crate) fn write(
        &self,
        partition: &TopicPartition,
        marker: &Marker,
    ) -> impl Future<Output = Result<(), ErrorCode>> + Send + use<> {
        let written = self.start(partition, marker);
        async move {
            match written? {
                Written::Committed => Ok(()),
                Written::Flushing(done) => {
                    done.await.is_ok_and(|flushed| flushed.is_ok()).then_some(()).ok_or(ErrorCode::KafkaStorageError)
                }
                Written::InGroup(ended) => ended.await.map_err(of_partition),
            }
        }
    }

    fn start(&self, id: &TopicPartition, marker: &Marker) -> Result<Written, ErrorCode> {
        let partition = self.replicas.by_name(id.topic.as_str()).and_then(|topic| topic.partition(id.partition));
        let partition = partition.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if marker.transaction_version == UNKNOWN_VERSION {
            return Err(ErrorCode::UnknownServerError); // as Kafka has it
        }
        if id.topic.as_str() == OFFSETS_TOPIC {
            return Ok(Written::InGroup(Box::pin(self.groups.end_transaction(id.partition, marker))));
        }
        let mut log = partition.leader_log(LeaderEpoch::UNKNOWN).map_err(|reason| ErrorCode::from(&reason))?;
        let appended = partition.append_marker(&mut log, marker, self.clock.now());
        let appended = appended.map_err(|error| append_error_code(id, &error))?;
        Ok(match appended.flush_to {
            None => Written::Committed,
            Some(to) => Written::Flushing(crate::durability::flushed(partition.clone(), &log, to)),
        })
    }
}

/// A marker that is in its log.
enum Written {
    Committed,
    Flushing(oneshot::Receiver<Result<Offset, FlushError>>),
    InGroup(Pin<Box<dyn Future<Output = Result<(), ErrorCode>> + Send>>),
}

/// The code for a partition, where the coordinator in it gave one of its own.
fn of_partition(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator => {
            ErrorCode::NotLeaderOrFollower
        }
        error => error,
    }
}

/// Waits for the first of `asked` to be answered, and takes it out.
async fn next(asked: &mut Vec<Asked>) -> (Shard, Option<TransactionReply>) {
    std::future::poll_fn(|context: &mut Context<'_>| {
        let ready =
            asked.iter_mut().enumerate().find_map(|(at, asked)| match Pin::new(&mut asked.order).poll(context) {
                Poll::Ready(reply) => Some((at, reply.ok().and_then(Result::ok))),
                Poll::Pending => None,
            });
        match ready {
            Some((at, reply)) => Poll::Ready((asked.swap_remove(at).shard, reply)),
            None => Poll::Pending,
        }
    })
    .await
}
