use ottla_records::{BatchBuilder, ControlType};
use ottla_types::{ProducerEpoch, ProducerId, ProducerIdAndEpoch};

use super::*;
use crate::{AbortedTransaction, ProducerError};

fn transactional(log: &Log, id: i64, sequence: i32) -> Appended {
    append(log, &checked(&idempotent(id, 0, sequence, 1).transactional(true).build().unwrap()))
}

fn end(log: &Log, id: i64, how: ControlType) -> Appended {
    let producer = ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) };
    let marker = checked(&BatchBuilder::marker(producer, how, 5, NOW).build().unwrap());
    log.append(&marker, EPOCH, Origin::Coordinator, NOW).unwrap()
}

fn aborted(id: i64, first: i64, last: i64, stable: i64) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: ProducerId(id),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(stable),
    }
}

fn committed(log: &Log, from: i64) -> (usize, Vec<AbortedTransaction>) {
    let out = log.read(Offset(from), 1 << 20, true, ReadBound::LastStable).unwrap();
    (out.len(), out.aborted)
}

#[test]
fn a_retried_batch_is_answered_with_its_old_offsets() {
    let bed = Bed::new();
    let log = bed.open();
    let batches: Vec<_> = (0..7).map(|i| checked(&idempotent(4, 0, i * 2, 2).build().unwrap())).collect();
    for (i, batch) in batches.iter().enumerate() {
        assert_eq!(append(&log, batch).first_offset.0, i as i64 * 2);
    }
    for (i, batch) in batches.iter().enumerate().skip(2) {
        let again = append(&log, batch);
        assert_eq!(
            (again.first_offset.0, again.last_offset.0, again.duplicate),
            (i as i64 * 2, i as i64 * 2 + 1, true)
        );
    }
    let error = log.append(&batches[1], EPOCH, Origin::Client, NOW).unwrap_err();
    assert!(
        matches!(error, AppendError::Producer(ProducerError::OutOfOrderSequence { last: 13, found: 2, .. })),
        "{error}"
    );
    assert_eq!(log.log_end(), Offset(14));
    log.close().unwrap();
    let log = bed.open();
    assert!(append(&log, &batches[6]).duplicate, "the newest batch is remembered over a restart");
    assert_eq!(log.producers().len(), 1);
    assert_eq!(log.producer(ProducerId(4)).unwrap().last_sequence, 13);
}

#[test]
fn an_open_transaction_holds_back_readers_of_committed_records() {
    let bed = Bed::new();
    let log = bed.open();
    append(&log, &batch(1, 10, NOW.0));
    transactional(&log, 1, 0);
    transactional(&log, 2, 0);
    append(&log, &batch(1, 10, NOW.0));
    log.advance_high_watermark(Offset(4));
    assert_eq!((log.last_stable(), log.high_watermark()), (Offset(1), Offset(4)));
    let one = read(&log, 0, 1)[0].1;
    assert_eq!(committed(&log, 0), (one, vec![]));
    assert_eq!(end(&log, 1, ControlType::Abort).first_offset, Offset(4));
    assert_eq!(log.last_stable(), Offset(1), "the marker is not replicated yet");
    log.advance_high_watermark(Offset(5));
    assert_eq!(log.last_stable(), Offset(2));
    end(&log, 2, ControlType::Commit);
    log.advance_high_watermark(Offset(6));
    assert_eq!(log.last_stable(), Offset(6));
    assert_eq!(committed(&log, 0).1, [aborted(1, 1, 4, 2)]);
    assert_eq!(committed(&log, 5).1, []);
    end(&log, 1, ControlType::Abort);
    assert_eq!(log.last_stable(), Offset(6), "a marker without a transaction changes nothing but the end");
}

#[test]
fn aborted_transactions_are_found_over_segments_and_restarts() {
    let mut bed = Bed::small_segments(1000, 100);
    let log = bed.open();
    for i in 0..10 {
        transactional(&log, 1, i);
        append(&log, &batch(1, 400, NOW.0));
        transactional(&log, 2, i);
        end(&log, 1, ControlType::Abort);
        end(&log, 2, ControlType::Commit);
    }
    transactional(&log, 3, 0);
    log.advance_high_watermark(Offset(51));
    let expected: Vec<_> = (0..10).map(|i| aborted(1, i * 5, i * 5 + 3, i * 5 + 2)).collect();
    let check = |log: &Log| {
        let mut found = Vec::new();
        let mut from = Offset(0);
        while from < log.last_stable() {
            let out = log.read(from, 500, true, ReadBound::LastStable).unwrap();
            let bytes = out.records.unwrap().read().unwrap();
            from = Batches::new(&bytes).map_while(Result::ok).last().unwrap().header().next_offset();
            found.extend(out.aborted);
        }
        found.dedup();
        assert_eq!(found, expected);
        assert_eq!(log.last_stable(), Offset(50), "of the transaction that is open");
    };
    check(&log);
    log.flush().unwrap();
    let flushed = log.flushed();
    drop(log); // no close: a crash

    bed.start.high_watermark = Offset(51);
    for recovery_point in [0, 7, 23, flushed.0] {
        let (log, report) = bed.crash(recovery_point);
        assert!(report.recovered && report.cut_bytes == 0 && report.damages.is_empty(), "{report:?}");
        check(&log);
    }
    let (log, _) = bed.crash(0);
    log.close().unwrap();
    bed.start.clean = true;
    check(&bed.open());
}

/// As in Kafka, retention goes up to the high watermark and not only to the last stable offset: that is where the log begins
/// then, and the transaction is open as before, whatever happens to the broker.
#[test]
fn an_open_transaction_keeps_no_segment_and_ends_without_its_beginning() {
    for (how, crashes) in [ControlType::Commit, ControlType::Abort].into_iter().zip([false, true]) {
        let mut bed = Bed::small_segments(2000, 500);
        bed.config.retention_ms = Some(10_000);
        let log = bed.open();
        transactional(&log, 1, 0);
        for second in 1..30 {
            append(&log, &batch(1, 400, NOW.0 + second * 1000));
        }
        transactional(&log, 1, 1);
        log.advance_high_watermark(Offset(31));
        assert_eq!(log.last_stable(), Offset(0));
        let start = log.expire_segments(NOW.plus(22_000)).unwrap().unwrap().start;
        assert!((8..=12).contains(&start.0), "{start}");
        log.remove_segments_below(start, NOW).unwrap();
        assert_eq!((log.last_stable(), committed(&log, start.0)), (start, (0, vec![])), "nothing is decided");

        (bed.start.log_start, bed.start.high_watermark) = (start, Offset(31));
        if crashes {
            log.flush().unwrap();
            drop(log);
        } else {
            log.close().unwrap();
        }
        let log = if crashes { bed.crash(start.0).0 } else { bed.open() };
        assert_eq!((log.last_stable(), committed(&log, start.0)), (start, (0, vec![])), "nor after a start");
        assert_eq!(log.producer(ProducerId(1)).unwrap().transaction_start, Some(Offset(0)));

        assert_eq!(end(&log, 1, how).first_offset, Offset(31));
        log.advance_high_watermark(Offset(32));
        assert_eq!(log.last_stable(), Offset(32));
        let void = if how == ControlType::Abort { vec![aborted(1, 0, 31, 32)] } else { vec![] };
        let mut from = start;
        while from < log.log_end() {
            let out = log.read(from, 1, true, ReadBound::LastStable).unwrap();
            let bytes = out.records.unwrap().read().unwrap();
            let next = BatchHeader::parse(&bytes).unwrap().next_offset();
            assert_eq!(out.aborted, void, "whoever reads from {from} knows what is void");
            from = next;
        }
        let gone = log.expire_segments(NOW.plus(900_000)).unwrap().unwrap().start;
        assert_eq!((gone, log.last_stable(), log.log_end()), (Offset(32), Offset(32), Offset(32)));
    }
}

#[test]
fn cutting_the_end_brings_back_the_producers_state_of_then() {
    let bed = Bed::small_segments(1000, 100);
    let log = bed.open();
    for i in 0..20 {
        transactional(&log, 1, i);
        append(&log, &batch(1, 300, NOW.0));
    }
    end(&log, 1, ControlType::Abort);
    log.truncate_to(Offset(25), NOW).unwrap();
    let view = log.producer(ProducerId(1)).unwrap();
    assert_eq!((view.last_sequence, view.transaction_start), (12, Some(Offset(0))));
    assert_eq!(transactional(&log, 1, 13).first_offset, Offset(25));
    log.advance_high_watermark(log.log_end());
    assert_eq!(log.last_stable(), Offset(0));
    assert_eq!(committed(&log, 0).1, []);
}
