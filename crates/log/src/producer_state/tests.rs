use ottla_records::{Attributes, NO_SEQUENCE};
use ottla_types::LeaderEpoch;

use super::*;

/// A batch of `count` records of producer 1 at `offset`.
fn data(epoch: i16, sequence: i32, offset: i64, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(offset),
        batch_length: 100,
        partition_leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: count - 1,
        base_timestamp: Millis(0),
        max_timestamp: Millis(1000 + offset),
        producer_id: ProducerId(1),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        records_count: count,
    }
}

fn transactional(id: i64, sequence: i32, offset: i64) -> BatchHeader {
    let attributes = Attributes::default().with_transactional(true);
    BatchHeader { producer_id: ProducerId(id), attributes, ..data(0, sequence, offset, 1) }
}

fn control(id: i64, epoch: i16, offset: i64) -> BatchHeader {
    let attributes = Attributes::default().with_transactional(true).with_control(true);
    BatchHeader { producer_id: ProducerId(id), attributes, ..data(epoch, NO_SEQUENCE, offset, 1) }
}

fn marker(commit: bool, coordinator_epoch: i32) -> Marker {
    Marker { commit, coordinator_epoch }
}

/// Checks and records, as an append does.
fn append(states: &mut ProducerStates, batch: &BatchHeader) -> Result<Verdict, ProducerError> {
    let verdict = states.check(batch, None, Terms::of(Origin::Client))?;
    if verdict == Verdict::Fresh {
        states.record(batch, None);
    }
    Ok(verdict)
}

fn after(batches: &[BatchHeader]) -> ProducerStates {
    let mut states = ProducerStates::default();
    batches.iter().for_each(|batch| assert_eq!(append(&mut states, batch), Ok(Verdict::Fresh)));
    states
}

#[test]
fn sequences_follow_one_another() {
    const MAX: i32 = i32::MAX;
    for (before, batch, expected) in [
        (vec![], data(0, 0, 0, 3), Ok(())),
        (vec![], data(0, 77, 0, 3), Ok(())), // nothing is known: the producer's records may have been removed
        (vec![data(0, 0, 0, 3)], data(0, 3, 3, 1), Ok(())),
        (vec![data(0, 0, 0, 3)], data(0, 4, 3, 1), Err(2)),
        (vec![data(0, 0, 0, 3)], data(0, 1, 3, 1), Err(2)),
        (vec![data(0, 0, 0, 3)], data(0, 0, 3, 2), Err(2)), // the same beginning, but not the same batch
        (vec![data(0, MAX - 1, 0, 2)], data(0, 0, 2, 1), Ok(())),
        (vec![data(0, MAX - 1, 0, 3)], data(0, 1, 3, 1), Ok(())), // the batch itself went over the end
        (vec![data(0, MAX - 1, 0, 3)], data(0, 0, 3, 1), Err(0)),
        (vec![data(0, 0, 0, 3)], data(1, 0, 3, 1), Ok(())), // a new epoch begins at 0
        (vec![data(0, 0, 0, 3)], data(1, 3, 3, 1), Err(-1)),
    ] {
        let found = append(&mut after(&before), &batch);
        let expected = expected.map(|()| Verdict::Fresh).map_err(|last| ProducerError::OutOfOrderSequence {
            producer: ProducerId(1),
            found: batch.base_sequence,
            last,
        });
        assert_eq!(found, expected, "{before:?} then {batch:?}");
    }
}

#[test]
fn the_last_five_batches_are_known_again() {
    let batches: Vec<_> = (0..7).map(|i| data(0, i * 2, i64::from(i) * 2, 2)).collect();
    let states = after(&batches);
    for (i, batch) in batches.iter().enumerate() {
        let retry = BatchHeader { base_offset: Offset(99), ..*batch };
        let verdict = states.check(&retry, None, Terms::of(Origin::Client));
        if i < 2 {
            assert!(matches!(verdict, Err(ProducerError::OutOfOrderSequence { .. })), "batch {i}: {verdict:?}");
        } else {
            let Ok(Verdict::Duplicate(mark)) = verdict else { panic!("batch {i}: {verdict:?}") };
            assert_eq!((mark.first_offset, mark.last_offset), (batch.base_offset, batch.last_offset()));
            assert_eq!(mark.timestamp, batch.max_timestamp);
        }
    }
    let other_epoch = BatchHeader { producer_epoch: ProducerEpoch(1), ..batches[6] };
    assert!(states.check(&other_epoch, None, Terms::of(Origin::Client)).is_err(), "no duplicate of another epoch");
}

#[test]
fn an_older_epoch_is_fenced() {
    let mut states = after(&[data(3, 0, 0, 1)]);
    let expected = Err(ProducerError::InvalidEpoch {
        producer: ProducerId(1),
        found: ProducerEpoch(2),
        current: ProducerEpoch(3),
    });
    assert_eq!(append(&mut states, &data(2, 1, 1, 1)), expected);
    assert_eq!(states.check(&data(2, 1, 1, 1), None, Terms::of(Origin::Coordinator)), expected);
    assert_eq!(states.check(&control(1, 2, 1), Some(&marker(true, 0)), Terms::of(Origin::Coordinator)), expected);
    assert_eq!(states.check(&data(2, 1, 1, 1), None, Terms::of(Origin::Replication)), Ok(Verdict::Fresh));
}

#[test]
fn a_coordinator_is_not_held_to_sequences() {
    let states = after(&[data(0, 0, 0, 1)]);
    assert_eq!(states.check(&data(0, 40, 1, 1), None, Terms::of(Origin::Coordinator)), Ok(Verdict::Fresh));
    assert_eq!(
        states.check(&data(0, 0, 1, 1), None, Terms::of(Origin::Coordinator)),
        Ok(Verdict::Fresh),
        "nor for a retry"
    );
}

#[test]
fn after_a_marker_of_a_new_epoch_sequences_begin_at_zero() {
    let mut states = after(&[transactional(1, 0, 0)]);
    states.record(&control(1, 1, 1), Some(&marker(true, 0)));
    assert!(append(&mut states, &data(1, 1, 2, 1)).is_err());
    assert_eq!(append(&mut states, &data(1, 0, 2, 1)), Ok(Verdict::Fresh));
}

#[test]
fn a_batch_outside_of_the_open_transaction_is_refused() {
    let mut states = after(&[transactional(1, 0, 0)]);
    let producer = ProducerId(1);
    assert_eq!(append(&mut states, &data(0, 1, 1, 1)), Err(ProducerError::NotInTransaction { producer }));
    states.record(&control(1, 0, 1), Some(&marker(true, 0)));
    assert_eq!(append(&mut states, &data(0, 1, 2, 1)), Ok(Verdict::Fresh));
}

#[test]
fn a_replaced_coordinator_cannot_end_transactions() {
    let mut states = after(&[transactional(1, 0, 0)]);
    states.record(&control(1, 0, 1), Some(&marker(true, 5)));
    assert_eq!(
        states.check(&control(1, 0, 2), Some(&marker(true, 4)), Terms::of(Origin::Coordinator)),
        Err(ProducerError::CoordinatorFenced { producer: ProducerId(1), found: 4, current: 5 })
    );
    assert_eq!(
        states.check(&control(1, 0, 2), Some(&marker(true, 5)), Terms::of(Origin::Coordinator)),
        Ok(Verdict::Fresh)
    );
}

/// Version 2 of transactions, for a marker.
const V2: Terms = Terms { origin: Origin::Coordinator, verification: Verification::Off, transaction_version: 2 };

#[test]
fn with_version_2_a_marker_must_be_newer_than_what_it_ends() {
    let mut states = after(&[BatchHeader { producer_epoch: ProducerEpoch(4), ..transactional(1, 0, 0) }]);
    let check =
        |states: &ProducerStates, epoch, terms| states.check(&control(1, epoch, 1), Some(&marker(true, 0)), terms);
    let refused = |found| {
        let (found, current) = (ProducerEpoch(found), ProducerEpoch(4));
        Err(ProducerError::InvalidEpoch { producer: ProducerId(1), found, current })
    };
    assert_eq!(check(&states, 4, V2), refused(4), "it ended the transaction before");
    assert_eq!(check(&states, 3, V2), refused(3));
    assert_eq!(check(&states, 5, V2), Ok(Verdict::Fresh));
    assert_eq!(check(&states, 4, Terms { transaction_version: 1, ..V2 }), Ok(Verdict::Fresh), "as version 1 has it");
    states.record(&control(1, 5, 1), Some(&marker(true, 0)));
    assert_eq!(check(&states, 5, V2), Ok(Verdict::Fresh), "a retry");
    assert!(check(&states, 4, V2).is_err());
    let unknown = ProducerStates::default();
    assert_eq!(check(&unknown, 0, V2), Ok(Verdict::Fresh), "of a producer that is not known");
    let last = after(&[BatchHeader { producer_epoch: ProducerEpoch(i16::MAX), ..transactional(1, 0, 0) }]);
    assert_eq!(check(&last, i16::MAX, V2), Ok(Verdict::Fresh), "there is no newer epoch");
}

/// What is to be verified: producer 1 with this epoch and sequence.
fn to_verify(epoch: i16, base_sequence: i32, bumps_epochs: bool) -> ToVerify {
    let producer = ProducerIdAndEpoch { id: ProducerId(1), epoch: ProducerEpoch(epoch) };
    ToVerify { producer, base_sequence, bumps_epochs }
}

fn of_epoch(epoch: i16, sequence: i32, offset: i64) -> BatchHeader {
    BatchHeader { producer_epoch: ProducerEpoch(epoch), ..transactional(1, sequence, offset) }
}

/// Checks a producer's batch under `verification`.
fn under(states: &ProducerStates, batch: &BatchHeader, verification: Verification) -> Result<Verdict, ProducerError> {
    states.check(batch, None, Terms { verification, ..Terms::of(Origin::Client) })
}

const NOT_VERIFIED: Result<Verdict, ProducerError> = Err(ProducerError::NotVerified { producer: ProducerId(1) });

#[test]
fn a_transaction_begins_only_under_its_guard() {
    let mut states = ProducerStates::default();
    let guard = states.verify(Millis(0), &to_verify(0, 0, false)).unwrap();
    assert_eq!(states.verify(Millis(0), &to_verify(0, 1, false)), Ok(guard), "one verification per producer");
    assert_eq!(under(&states, &of_epoch(0, 0, 0), Verification::Off), Ok(Verdict::Fresh));
    assert_eq!(under(&states, &of_epoch(0, 0, 0), Verification::Ongoing), NOT_VERIFIED);
    let other = states.verify(Millis(0), &ToVerify { producer: ProducerIdAndEpoch::NONE, ..to_verify(0, 0, false) });
    assert_eq!(under(&states, &of_epoch(0, 0, 0), other.unwrap()), NOT_VERIFIED);
    assert_eq!(under(&states, &of_epoch(0, 0, 0), guard), Ok(Verdict::Fresh));
    states.record(&of_epoch(0, 0, 0), None);
    assert_eq!(states.verify(Millis(0), &to_verify(0, 1, false)), Ok(Verification::Ongoing));
    assert_eq!(under(&states, &of_epoch(0, 1, 1), Verification::Ongoing), Ok(Verdict::Fresh));
    assert_eq!(under(&states, &of_epoch(1, 0, 1), Verification::Ongoing), NOT_VERIFIED, "another epoch's is open");
    states.record(&control(1, 0, 1), Some(&marker(true, 0)));
    assert_eq!(under(&states, &of_epoch(0, 1, 2), Verification::Ongoing), NOT_VERIFIED);
    assert_eq!(under(&states, &of_epoch(0, 1, 2), guard), NOT_VERIFIED, "a guard is good for one transaction");
    assert_eq!(under(&states, &data(0, 1, 2, 1), Verification::Ongoing), Ok(Verdict::Fresh), "of no transaction");
}

#[test]
fn a_marker_or_a_newer_epoch_voids_a_verification() {
    let mut states = ProducerStates::default();
    let guard = states.verify(Millis(0), &to_verify(0, 0, false)).unwrap();
    states.record(&control(1, 0, 0), Some(&marker(false, 0)));
    assert_eq!(under(&states, &of_epoch(0, 0, 1), guard), NOT_VERIFIED);
    let again = states.verify(Millis(0), &to_verify(0, 0, false)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 0, 1), again), Ok(Verdict::Fresh));
    let newer = states.verify(Millis(0), &to_verify(1, 0, false)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 0, 1), again), NOT_VERIFIED);
    let late = states.verify(Millis(0), &to_verify(0, 0, false)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 0, 1), late), NOT_VERIFIED);
    assert_eq!(under(&states, &of_epoch(1, 0, 1), newer), Ok(Verdict::Fresh), "the successor is not disturbed");
}

#[test]
fn with_version_2_the_marker_of_the_transaction_before_voids_nothing() {
    let mut states = after(&[of_epoch(0, 0, 0)]);
    let guard = states.verify(Millis(0), &to_verify(1, 0, true)).unwrap();
    states.record(&control(1, 1, 1), Some(&marker(true, 0)));
    assert_eq!(under(&states, &of_epoch(1, 0, 2), guard), Ok(Verdict::Fresh));
    states.record(&control(1, 2, 2), Some(&marker(true, 0)));
    let refused = under(&states, &of_epoch(1, 0, 3), guard);
    assert!(matches!(refused, Err(ProducerError::InvalidEpoch { .. })), "{refused:?}");
    assert_eq!(under(&states, &of_epoch(2, 0, 3), guard), NOT_VERIFIED);
    let late = states.verify(Millis(0), &to_verify(1, 0, true));
    assert!(matches!(late, Err(ProducerError::InvalidEpoch { .. })), "{late:?}");
}

#[test]
fn while_a_transaction_is_verified_its_lowest_sequence_goes_first() {
    let out_of_order = |found, last| Err(ProducerError::OutOfOrderSequence { producer: ProducerId(1), found, last });
    let mut states = ProducerStates::default();
    let guard = states.verify(Millis(0), &to_verify(0, 7, false)).unwrap();
    states.verify(Millis(0), &to_verify(0, 5, false)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 7, 0), guard), out_of_order(7, -1));
    assert_eq!(under(&states, &of_epoch(0, 5, 0), guard), Ok(Verdict::Fresh), "nothing is known of the producer");

    let mut states = ProducerStates::default();
    let guard = states.verify(Millis(0), &to_verify(0, 5, true)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 5, 0), guard), out_of_order(5, -1), "with version 2 each begins at 0");
    states.verify(Millis(0), &to_verify(0, 0, true)).unwrap();
    assert_eq!(under(&states, &of_epoch(0, 0, 0), guard), Ok(Verdict::Fresh));
}

#[test]
fn verifications_are_bounded_and_expire() {
    let mut states = ProducerStates::default();
    let ask = |id| ToVerify {
        producer: ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) },
        ..to_verify(0, 0, false)
    };
    let first = states.verify(Millis(0), &ask(1)).unwrap();
    for id in 2..=verification::VERIFICATIONS_MAX as i64 {
        states.verify(Millis(50), &ask(id)).unwrap();
    }
    assert_eq!(under(&states, &of_epoch(0, 0, 0), first), Ok(Verdict::Fresh));
    states.verify(Millis(50), &ask(0)).unwrap();
    assert_eq!(states.len(), verification::VERIFICATIONS_MAX);
    assert_eq!(under(&states, &of_epoch(0, 0, 0), first), NOT_VERIFIED, "the oldest made room");
    let second = states.verify(Millis(60), &ask(1)).unwrap();
    states.expire(Millis(159), 100);
    assert_eq!(states.len(), 1);
    assert_eq!(under(&states, &of_epoch(0, 0, 0), second), Ok(Verdict::Fresh));
    states.expire(Millis(160), 100);
    assert_eq!(states.len(), 0);
}

#[test]
fn transactions_end_at_their_marker_and_are_unstable_until_it_is_replicated() {
    let mut states = after(&[transactional(1, 0, 10), transactional(2, 0, 11), transactional(1, 1, 12)]);
    assert_eq!(states.first_unstable(), Some(Offset(10)));
    let done = states.record(&control(1, 0, 13), Some(&marker(false, 0))).unwrap();
    assert_eq!((done.first_offset, done.last_offset, done.aborted), (Offset(10), Offset(13), true));
    assert_eq!(states.aborted(&done).last_stable_offset, Offset(11), "where the oldest open one begins");
    assert_eq!(states.first_unstable(), Some(Offset(10)));
    states.advance_high_watermark(Offset(13));
    assert_eq!(states.first_unstable(), Some(Offset(10)), "the marker itself is not below the high watermark");
    states.advance_high_watermark(Offset(14));
    assert_eq!(states.first_unstable(), Some(Offset(11)));
    let done = states.record(&control(2, 0, 14), Some(&marker(false, 0))).unwrap();
    assert_eq!(states.aborted(&done).last_stable_offset, Offset(15));
    assert_eq!(states.record(&control(2, 0, 15), Some(&marker(true, 0))), None, "there was no transaction");
    assert_eq!(states.record(&control(2, 0, 16), None), None, "a control record of another kind");
}

#[test]
fn silent_producers_are_forgotten_unless_a_transaction_is_open() {
    let mut states = after(&[transactional(1, 0, 10), transactional(2, 0, 20)]);
    states.record(&control(2, 0, 21), Some(&marker(true, 0)));
    states.expire(Millis(1021 + 99), 100);
    assert_eq!(states.len(), 2);
    states.expire(Millis(1021 + 100), 100);
    assert_eq!(states.views().map(|view| view.producer.id.0).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_snapshot_holds_the_newest_batch_and_the_open_transaction() {
    let mut states = after(&[data(7, i32::MAX - 1, 3, 4), transactional(2, 5, 7)]);
    states.record(&control(3, 1, 8), Some(&marker(true, 9)));
    let bytes = write_snapshot(&states);
    assert_eq!(bytes.len(), 10 + 3 * 46);
    assert_eq!(bytes[..2], [0, 1]);
    assert_eq!(bytes[6..10], [0, 0, 0, 3]);
    let first = &bytes[10..56];
    assert_eq!(first[..10], [0, 0, 0, 0, 0, 0, 0, 1, 0, 7], "producer 1, epoch 7");
    assert_eq!(first[10..14], [0, 0, 0, 1], "last sequence, past the end of the numbers");
    assert_eq!(first[14..26], [0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 3], "last offset and delta");
    assert_eq!(first[34..46], [255; 12], "no coordinator, no transaction");
    let back = read_snapshot(&bytes).unwrap();
    let sorted = |states: &ProducerStates| {
        let mut views: Vec<_> = states.views().collect();
        views.sort_by_key(|view| view.producer);
        views
    };
    assert_eq!(sorted(&back), sorted(&states));
    assert_eq!(back.first_unstable(), Some(Offset(7)));
    assert_eq!(write_snapshot(&back), bytes);
    let retry = back.check(&data(7, i32::MAX - 1, 50, 4), None, Terms::of(Origin::Client));
    let Ok(Verdict::Duplicate(mark)) = retry else { panic!("{retry:?}") };
    assert_eq!((mark.first_offset, mark.last_offset), (Offset(3), Offset(6)));
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let bytes = write_snapshot(&after(&[data(0, 0, 0, 1)]));
    for cut in 0..bytes.len() {
        assert!(read_snapshot(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        assert!(read_snapshot(&spoilt).is_err(), "byte {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(read_snapshot(&longer).is_err());
    let mut claims = bytes;
    claims[6..10].copy_from_slice(&[255; 4]);
    let checksum = crc_fast::crc32_iscsi(&claims[6..]);
    claims[2..6].copy_from_slice(&checksum.to_be_bytes());
    assert!(read_snapshot(&claims).is_err(), "a count beyond what is there");
}
