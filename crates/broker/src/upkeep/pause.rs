//! Waiting on a thread of one's own, until a time or the stop.
//!
//! Invariant: after [`Pause::end`] nobody waits, nor begins to.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

/// See the file's head.
#[derive(Debug, Default)]
pub(super) struct Pause {
    ended: Mutex<bool>,
    wake: Condvar,
}

impl Pause {
    /// Waits for `time`; breaks off at the end.
    pub(super) fn wait(&self, time: Duration) -> ControlFlow<()> {
        let until = Instant::now().checked_add(time);
        let mut ended = self.ended.lock();
        while !*ended {
            match until {
                Some(until) if Instant::now() >= until => return ControlFlow::Continue(()),
                Some(until) => drop(self.wake.wait_until(&mut ended, until)),
                None => self.wake.wait(&mut ended),
            }
        }
        ControlFlow::Break(())
    }

    /// Nobody waits any more.
    pub(super) fn end(&self) {
        *self.ended.lock() = true;
        self.wake.notify_all();
    }
}
