//! What flushes cost here, and so whether those that wait are better flushed one by one or all with one sync of their volume.
//!
//! One sync of a volume costs about the same however many files it covers, but it also writes what nobody waits for: on a
//! volume with much of that it can be the dearer one. So both are measured, and the cheaper one is taken.

use std::time::Duration;

/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;
/// By how much the known cost of a sync of the volume shrinks each time when it was not taken: some day it is tried again.
const FORGETTING: f64 = 0.98;

/// Costs so far, in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    single: Option<f64>,
    shared: Option<f64>,
}

impl Pace {
    /// One log was flushed by itself.
    pub(crate) fn note_single(&mut self, took: Duration) {
        mix(&mut self.single, took);
    }

    /// A volume was synced.
    pub(crate) fn note_shared(&mut self, took: Duration) {
        mix(&mut self.shared, took);
    }

    /// How many seconds the syncs of `logs` logs are expected to take on `threads` threads, one by one; none where nothing is
    /// known.
    pub(crate) fn one_by_one(&self, logs: usize, threads: usize) -> Option<f64> {
        self.single.map(|single| single * logs as f64 / threads.max(1) as f64)
    }

    /// Whether one sync for `logs` logs is expected to cost less than theirs on `threads` threads.
    pub(crate) fn prefers_shared(&mut self, logs: usize, threads: usize) -> bool {
        let Some(one_by_one) = self.one_by_one(logs, threads).filter(|_| logs > 1) else { return false };
        let shared = self.shared.get_or_insert(0.0);
        let prefers = *shared < one_by_one;
        if !prefers {
            *shared *= FORGETTING;
        }
        prefers
    }
}

fn mix(known: &mut Option<f64>, took: Duration) {
    let took = took.as_secs_f64();
    *known = Some(known.map_or(took, |known| known + NEWEST * (took - known)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_sync_of_the_volume_is_taken_where_it_is_cheaper() {
        let mut pace = Pace::default();
        assert!(!pace.prefers_shared(1_000, 4), "nothing is known");
        pace.note_single(2 * MS);
        assert!(!pace.prefers_shared(1, 4), "nobody to share with");
        assert!(pace.prefers_shared(2, 4), "it has to be tried");
        for _ in 0..50 {
            pace.note_shared(10 * MS);
        }
        assert!(!pace.prefers_shared(10, 4), "5 ms one by one");
        assert!(pace.prefers_shared(40, 4), "20 ms one by one");
    }

    #[test]
    fn what_was_dear_once_is_tried_again() {
        let mut pace = Pace::default();
        pace.note_single(MS);
        pace.note_shared(Duration::from_secs(10)); // much that nobody waited for
        let refusals = (0..10_000).take_while(|_| !pace.prefers_shared(100, 4)).count();
        assert!((50..1_000).contains(&refusals), "{refusals}");
    }
}
