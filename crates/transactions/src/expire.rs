//! Time: transactions that are open for too long are aborted, and ids that nobody uses are forgotten.
//!
//! Kafka looks for either every so often. So here: what is due is found at the next multiple of that time, which nobody has
//! to wake up for where nothing is due.

use ottla_config::TransactionSettings;
use ottla_coordinator::Decision;
use ottla_types::Millis;

use crate::{
    end::fence,
    shard::{Decided, TransactionShard},
    state::{self, Transaction},
};

/// When time comes for an id in this state.
pub(crate) fn deadline(settings: &TransactionSettings, hard: &Transaction) -> Option<Millis> {
    if hard.state.is_open() {
        let overdue = hard.started.plus(i64::from(hard.timeout_ms)).plus(1);
        return Some(looked_for(overdue, settings.abort_timed_out_interval_ms));
    }
    hard.state.is_idle().then(|| {
        let expired = hard.updated.plus(i64::from(settings.transactional_id_expiration_ms));
        looked_for(expired, settings.remove_expired_interval_ms)
    })
}

/// The deadline of an id has come.
pub(crate) fn expire(shard: &mut TransactionShard, now: Millis, transactional_id: &str) -> Decided {
    match shard.ids.get(transactional_id) {
        Some(entry) if entry.hard.state.is_open() => fence(shard, now, transactional_id, None),
        Some(entry) if entry.hard.state.is_idle() => {
            Decision { records: vec![state::tombstone(transactional_id)], ..Decision::none() }
        }
        _ => Decision::none(),
    }
}

/// The first multiple of `interval_ms` that is not before `due`.
fn looked_for(due: Millis, interval_ms: i32) -> Millis {
    let interval_ms = i64::from(interval_ms.max(1));
    due.plus(due.0.rem_euclid(interval_ms).wrapping_neg().rem_euclid(interval_ms))
}
