use ottla_records::{BatchBuilder, ControlType};
use ottla_types::{Millis, ProducerEpoch, ProducerIdAndEpoch};

use super::*;

fn producer(id: i64) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(0) }
}

fn header(builder: BatchBuilder, offset: i64) -> BatchHeader {
    BatchHeader::parse(&builder.base_offset(Offset(offset)).build().unwrap()).unwrap()
}

fn data(id: i64, offset: i64, transactional: bool) -> BatchHeader {
    let mut builder = BatchBuilder::new().producer(producer(id), 0).transactional(transactional);
    builder.append(Millis(0), Some(b"k"), Some(b"v"));
    header(builder, offset)
}

fn marker(id: i64, offset: i64) -> BatchHeader {
    header(BatchBuilder::marker(producer(id), ControlType::Abort, 0, Millis(0)), offset)
}

fn aborted(id: i64, first: i64, last: i64) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: ProducerId(id),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(last + 1),
    }
}

#[test]
fn data_is_aborted_from_the_first_offset_to_the_marker() {
    let entry = aborted(1, 10, 20);
    let mut pass = CleanedTransactions::new([entry], Offset(0));
    assert!(!pass.data(&data(1, 5, true)), "an earlier transaction of the same producer");
    assert_eq!(pass.control(&marker(1, 6), Some(true)), MarkerFate::Needed(None));
    assert!(pass.data(&data(1, 10, true)));
    assert!(!pass.data(&data(2, 11, true)));
    assert!(!pass.data(&data(1, 12, false)), "not in a transaction");
    assert!(pass.data(&data(1, 13, true)));
    assert_eq!(pass.control(&marker(1, 20), Some(false)), MarkerFate::Needed(Some(entry)));
    assert!(!pass.data(&data(1, 21, true)), "the next one");
}

#[test]
fn a_marker_is_spent_once_no_data_is_met() {
    let mut pass = CleanedTransactions::new([aborted(1, 10, 20)], Offset(0));
    assert_eq!(pass.control(&marker(1, 20), Some(false)), MarkerFate::Spent, "its data is gone, its entry too");
    assert_eq!(pass.control(&marker(1, 21), Some(false)), MarkerFate::Spent, "not even an entry");
    assert_eq!(pass.control(&marker(2, 22), Some(true)), MarkerFate::Spent);
    assert_eq!(pass.control(&marker(2, 23), None), MarkerFate::Needed(None), "what is not understood stays");
}

#[test]
fn transactions_that_ended_before_the_pass_are_not_taken_for_open_ones() {
    let mut pass = CleanedTransactions::new([aborted(1, 10, 20), aborted(1, 30, 40)], Offset(25));
    assert!(!pass.data(&data(1, 26, true)));
    assert_eq!(pass.control(&marker(1, 27), Some(true)), MarkerFate::Needed(None));
    assert!(pass.data(&data(1, 30, true)));
    let mut within = CleanedTransactions::new([aborted(1, 10, 20)], Offset(15));
    assert!(within.data(&data(1, 15, true)), "it began before the pass");
}

#[test]
fn an_emptied_marker_is_spent() {
    let mut pass = CleanedTransactions::default();
    pass.data(&data(1, 5, true));
    let empty = BatchHeader { records_count: 0, ..marker(1, 6) };
    assert_eq!(pass.control(&empty, None), MarkerFate::Spent);
}
