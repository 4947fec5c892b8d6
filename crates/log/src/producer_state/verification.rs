//! Verifications: proof that the coordinator of transactions knew a transaction here before its first batch.
//!
//! A verification begins before the coordinator is asked and gives a guard; the first batch of the transaction shows it.
//! A marker, or a verification of a newer epoch, that comes in between voids it: then the coordinator's answer may be about
//! a transaction that is over, and nothing would ever end what the batch begins.
//!
//! Invariants: at most one verification per producer, at most [`VERIFICATIONS_MAX`] of all; a guard is never given twice.
//! They are not stored: whoever comes with a guard of before a restart begins anew.

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
};

use ottla_records::BatchHeader;
use ottla_types::{Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch};

/// Verifications under way in one partition. Beyond it the oldest are forgotten; their producers begin anew.
pub(crate) const VERIFICATIONS_MAX: usize = 10_000;

/// Names one verification, of all that this process ever begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerificationGuard(NonZeroU64);

impl VerificationGuard {
    fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed)))
    }
}

/// What is known of a transaction to which a batch is to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Verification is switched off (`transaction.partition.verification.enable`): every transaction may begin.
    Off,
    /// The transaction is open in the log, so the coordinator knows of it.
    Ongoing,
    /// Verified, or to be verified, under this guard.
    Guard(VerificationGuard),
}

/// What is about to be appended under a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToVerify {
    /// Whose transaction.
    pub producer: ProducerIdAndEpoch,
    /// Sequence of the batch, −1 for a coordinator's.
    pub base_sequence: i32,
    /// Whether the producer runs version 2 of transactions, where each has an epoch of its own.
    pub bumps_epochs: bool,
}

/// A verification under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verifying {
    guard: VerificationGuard,
    since: Millis,
    pub(super) epoch: ProducerEpoch,
    pub(super) bumps_epochs: bool,
    /// Batches with a higher sequence wait for the one with this: were they first, it would come out of order for good.
    pub(super) lowest_sequence: i32,
}

/// See the file's head.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifications {
    by_producer: HashMap<ProducerId, Verifying>,
    /// Guards rise, so the first is the oldest.
    by_age: BTreeMap<VerificationGuard, ProducerId>,
}

impl Verifications {
    /// Begins or joins the verification of `ask`'s producer.
    pub(super) fn begin(&mut self, now: Millis, ask: &ToVerify) -> VerificationGuard {
        match self.by_producer.get_mut(&ask.producer.id) {
            Some(under_way) if under_way.epoch == ask.producer.epoch => {
                under_way.lowest_sequence = under_way.lowest_sequence.min(ask.base_sequence);
                under_way.guard
            }
            // Its successor is being verified: this guard will be good for nothing.
            Some(under_way) if under_way.epoch > ask.producer.epoch => VerificationGuard::next(),
            _ => self.begin_anew(now, ask),
        }
    }

    fn begin_anew(&mut self, now: Millis, ask: &ToVerify) -> VerificationGuard {
        let guard = VerificationGuard::next();
        self.end(ask.producer.id);
        if self.by_age.len() >= VERIFICATIONS_MAX
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_producer.remove(&oldest);
        }
        self.by_age.insert(guard, ask.producer.id);
        let verifying = Verifying {
            guard,
            since: now,
            epoch: ask.producer.epoch,
            bumps_epochs: ask.bumps_epochs,
            lowest_sequence: ask.base_sequence,
        };
        self.by_producer.insert(ask.producer.id, verifying);
        guard
    }

    pub(super) fn get(&self, producer: ProducerId) -> Option<&Verifying> {
        self.by_producer.get(&producer)
    }

    /// Whether `verification` allows the transaction of `batch` to begin.
    pub(super) fn admits(&self, batch: &BatchHeader, verification: Verification) -> bool {
        let under_way = self.get(batch.producer_id);
        match verification {
            Verification::Off => true,
            Verification::Ongoing => false,
            Verification::Guard(guard) => {
                under_way.is_some_and(|it| it.guard == guard && it.epoch == batch.producer_epoch)
            }
        }
    }

    /// A transactional batch, marker or not, is in the log.
    pub(super) fn appended(&mut self, batch: &BatchHeader) {
        let Some(under_way) = self.get(batch.producer_id) else { return };
        // With version 2 the marker carries the epoch of the transaction that comes next, so the one of the same epoch ends the
        // transaction before the one that is being verified.
        let is_of_the_one_before =
            batch.attributes.is_control() && under_way.bumps_epochs && under_way.epoch == batch.producer_epoch;
        if !is_of_the_one_before {
            self.end(batch.producer_id);
        }
    }

    fn end(&mut self, producer: ProducerId) {
        if let Some(ended) = self.by_producer.remove(&producer) {
            self.by_age.remove(&ended.guard);
        }
    }

    /// Forgets those that began `expiration_ms` ago.
    pub(super) fn expire(&mut self, now: Millis, expiration_ms: i64) {
        let Self { by_producer, by_age } = self;
        by_producer.retain(|_, it| {
            let stays = now.since(it.since) < expiration_ms;
            if !stays {
                by_age.remove(&it.guard);
            }
            stays
        });
    }

    pub(super) fn len(&self) -> usize {
        self.by_producer.len()
    }
}
