//! Fetches that wait for data, and the task that ends their patience.
//!
//! Invariant: whoever moves a high watermark calls [`Waits::data_arrived`] afterwards; then no fetch sleeps over data.

use std::{sync::Arc, time::Duration};

use ottla_disk::Clock;
use ottla_purgatory::{SharedPurgatory, Ticket, Watch};
use ottla_types::{Millis, PartitionIndex, Uuid};
use tokio::sync::{Notify, Semaphore, oneshot};

/// A partition, by its topic's id.
pub(crate) type WaitKey = (Uuid, PartitionIndex);

/// Tells whether a waiting request has what it waits for.
pub(crate) type IsComplete = Box<dyn FnMut() -> bool + Send>;

/// All requests that wait for data.
#[derive(Debug)]
pub(crate) struct Waits {
    purgatory: SharedPurgatory<WaitKey, Waiting>,
    earlier_deadline: Notify,
    /// Closed once the broker stops; never has a permit.
    open: Semaphore,
}

struct Waiting {
    is_complete: IsComplete,
    wake: oneshot::Sender<()>,
}

/// A request that waits; it is taken back on drop.
#[derive(Debug)]
pub(crate) struct Wait {
    waits: Arc<Waits>,
    ticket: Option<Ticket<Waiting>>,
    woken: oneshot::Receiver<()>,
}

impl Waits {
    pub(crate) fn new(now: Millis) -> Self {
        Self { purgatory: SharedPurgatory::new(now), earlier_deadline: Notify::new(), open: Semaphore::new(0) }
    }

    /// Waits until an event on one of `keys` makes `is_complete` say yes, or until `deadline`. None where it says yes at
    /// once.
    pub(crate) fn wait(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = WaitKey>,
        deadline: Millis,
        is_complete: IsComplete,
    ) -> Option<Wait> {
        let (wake, woken) = oneshot::channel();
        let waiting = Waiting { is_complete, wake };
        let ticket = match self.purgatory.watch(keys, deadline, waiting, |waiting| (waiting.is_complete)()) {
            Watch::Completed(_) => return None,
            Watch::Gone => None,
            Watch::Waiting { ticket, rearm } => {
                if rearm {
                    self.earlier_deadline.notify_one();
                }
                Some(ticket)
            }
        };
        Some(Wait { waits: Arc::clone(self), ticket, woken })
    }

    /// Something can be read, or has changed, in a partition.
    pub(crate) fn data_arrived(&self, key: WaitKey) {
        for waiting in self.purgatory.check(&key, |waiting| (waiting.is_complete)()) {
            waiting.wake();
        }
    }

    /// The broker stops: nobody waits any longer.
    pub(crate) fn close(&self) {
        self.open.close();
    }

    /// Requests that wait.
    pub(crate) fn count(&self) -> usize {
        self.purgatory.len()
    }

    /// Wakes whose deadline has come; never returns.
    pub(crate) async fn run_timer(self: Arc<Self>, clock: Arc<dyn Clock>) {
        loop {
            for waiting in self.purgatory.advance(clock.now()) {
                waiting.wake();
            }
            let earlier = self.earlier_deadline.notified();
            let Some(next) = self.purgatory.next_deadline() else {
                earlier.await;
                continue;
            };
            let pause = u64::try_from(next.since(clock.now())).unwrap_or(0);
            // A millisecond is the wheel's tick; less would spin.
            let pause = tokio::time::sleep(Duration::from_millis(pause.max(1)));
            tokio::select! {
                () = pause => {}
                () = earlier => {}
            }
        }
    }
}

impl Waiting {
    fn wake(self) {
        // A request whose connection is gone hears nothing; that is all right.
        let _ = self.wake.send(());
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

impl Wait {
    /// Returns when the wait is over, by event, by deadline, or because the broker stops.
    pub(crate) async fn over(mut self) {
        let waits = Arc::clone(&self.waits);
        tokio::select! {
            _ = &mut self.woken => {}
            _ = waits.open.acquire() => {}
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.waits.purgatory.cancel(ticket);
        }
    }
}
