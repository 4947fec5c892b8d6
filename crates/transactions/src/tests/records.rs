//! What stands in the log.

use bytes::Bytes;
use ottla_wire::messages::{
    transaction_log_key::TransactionLogKey,
    transaction_log_value::{PartitionsSchema, TransactionLogValue},
};
use proptest::{collection::vec, prelude::*};

use super::*;

fn value(world: &World) -> TransactionLogValue {
    match world.log.last() {
        Some(TransactionRecord::State(_, Some(value))) => value.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_transaction_writes() {
    let mut world = World::entered();
    let written = value(&world);
    assert_eq!((written.producer_id, written.producer_epoch, written.previous_producer_id), (1_000, 0, 1_000));
    assert_eq!((written.transaction_status, written.transaction_partitions), (0, None));
    assert_eq!((written.transaction_start_timestamp_ms, written.transaction_last_update_timestamp_ms), (-1, 1_000_000));
    assert_eq!(
        (written.next_producer_id, written.next_producer_epoch, written.client_transaction_version),
        (-1, -1, 0)
    );
    world.add(BUMPS, producer(1_000, 0), &["b-1", "a-10", "a-9", "b-0"]);
    let topics = value(&world).transaction_partitions.unwrap();
    let grouped = |topic: &str, partition_ids| PartitionsSchema { topic: topic.to_owned(), partition_ids };
    assert_eq!(topics, [grouped("a", vec![9, 10]), grouped("b", vec![0, 1])]);
    world.end(BUMPS, producer(1_000, 0), Outcome::Commit).unwrap();
    let written = value(&world);
    assert_eq!((written.transaction_status, written.producer_epoch, written.client_transaction_version), (2, 1, 2));
    assert_eq!(written.transaction_partitions.map(|topics| topics.len()), Some(2));
    world.complete();
    let written = value(&world);
    assert_eq!((written.transaction_status, written.transaction_partitions), (4, Some(Vec::new())));
    let (_, bytes) = world.log.last().unwrap().encode().unwrap();
    assert_eq!(bytes.unwrap()[..2], [0, 1], "version 1");
}

/// As Kafka wrote them before it had version 1: without tagged fields.
#[test]
fn values_of_version_0_are_read() {
    let mut bytes = vec![0, 0];
    bytes.extend(77_i64.to_be_bytes());
    bytes.extend(3_i16.to_be_bytes());
    bytes.extend(TIMEOUT_MS.to_be_bytes());
    bytes.push(1);
    bytes.extend(1_i32.to_be_bytes());
    bytes.extend([0, 1, b'a']);
    bytes.extend(2_i32.to_be_bytes());
    bytes.extend(0_i32.to_be_bytes());
    bytes.extend(5_i32.to_be_bytes());
    bytes.extend(20_i64.to_be_bytes());
    bytes.extend(10_i64.to_be_bytes());
    let key = Bytes::from_static(b"\0\0\0\x01t");
    let record = TransactionRecord::decode(Some(key), Some(Bytes::from(bytes))).unwrap();
    let mut world = World::new();
    world.log.push(record);
    world.crash();
    let read = Transaction {
        producer: producer(77, 3),
        previous: ProducerId::NONE,
        next: ProducerId::NONE,
        timeout_ms: TIMEOUT_MS,
        state: State::Ongoing,
        partitions: partitions(&["a-0", "a-5"]).into_iter().collect(),
        updated: Millis(20),
        started: Millis(10),
        client_version: 0,
    };
    assert_eq!(world.id(), &read);
    assert_eq!(world.end(KEEPS, producer(77, 3), Outcome::Commit), Ok(producer(77, 3)));
}

#[test]
fn what_is_not_understood_is_left_out() {
    let mut world = World::entered();
    let before = world.id().clone();
    let odd = TransactionLogValue { transaction_status: 8, ..value(&world) };
    let key = TransactionLogKey { transactional_id: ID.to_owned() };
    world.log.push(TransactionRecord::State(key, Some(odd)));
    world.log.push(TransactionRecord::decode(Some(Bytes::from_static(&[0, 9])), None).unwrap());
    world.crash();
    assert_eq!(world.id(), &before);
    assert!(TransactionRecord::decode(None, None).is_err());
    assert!(TransactionRecord::decode(Some(Bytes::from_static(&[0, 0, 0])), None).is_err());
}

/// States that Kafka has in memory only.
#[test]
fn states_that_are_never_written_harm_nobody() {
    for (state, entered) in [(State::Dead, Ok(producer(1_001, 0))), (State::PrepareEpochFence, Ok(producer(1_000, 2)))]
    {
        let mut world = World::entered();
        world.log.push(Transaction { state, ..world.id().clone() }.record(ID));
        world.crash();
        for version in [KEEPS, BUMPS] {
            assert!(world.end(version, producer(1_000, 0), Outcome::Commit).is_err());
        }
        assert_ne!(world.add(BUMPS, producer(1_000, 0), &["a-0"]), [ErrorCode::None]);
        let mut shard = world.shard.clone();
        let (image, ticket) = (MetadataImage::default(), Ticket(0));
        let mut init = || {
            let fresh = Some(ProducerId(1_001));
            let transactional_id = ID.to_owned();
            let request =
                TransactionRequest::Init { version: INIT, transactional_id, timeout_ms: 1, expected: None, fresh };
            let decided = shard.decide(Millis(2_000_000), &image, ticket, request);
            for record in decided.records {
                shard.replay(Offset(9), None, record);
            }
            decided.replies
        };
        if state == State::PrepareEpochFence {
            let error = Err(ErrorCode::ConcurrentTransactions);
            assert_eq!(init(), [(ticket, TransactionReply::Init(error))]);
        }
        assert_eq!(init(), [(ticket, TransactionReply::Init(entered))]);
    }
}

proptest! {
    /// Whatever the log holds, nothing breaks.
    #[test]
    fn no_value_breaks_the_machine(
        fields in vec((any::<i64>(), any::<i64>(), any::<i64>(), any::<i16>(), any::<i32>(), -1..9_i8), 1..4),
        names in vec(".{0,3}", 0..3),
        times in (any::<i64>(), any::<i64>()),
        now in any::<i64>(),
        version in 0..6_i16,
        epoch in any::<i16>(),
        expects in any::<bool>(),
    ) {
        let mut shard = TransactionShard::new(Arc::new(settings()));
        for (id, previous, next, epoch, timeout, status) in fields {
            let topics = names.iter().map(|topic| PartitionsSchema { topic: topic.clone(), partition_ids: vec![timeout] });
            let value = TransactionLogValue {
                producer_id: id,
                previous_producer_id: previous,
                next_producer_id: next,
                producer_epoch: epoch,
                next_producer_epoch: epoch,
                transaction_timeout_ms: timeout,
                transaction_status: status,
                transaction_partitions: Some(topics.collect()),
                transaction_last_update_timestamp_ms: times.0,
                transaction_start_timestamp_ms: times.1,
                client_transaction_version: epoch,
            };
            let key = TransactionLogKey { transactional_id: ID.to_owned() };
            shard.replay(Offset(0), None, TransactionRecord::State(key, Some(value)));
        }
        let image = MetadataImage::default();
        let by = shard.ids.get(ID).map_or(producer(1, epoch), |entry| entry.hard.producer);
        let transactional_id = ID.to_owned();
        let fresh = Some(ProducerId(5));
        let mut decisions = vec![shard.loaded(Millis(now), &image)];
        for request in [
            TransactionRequest::AddPartitions {
                version,
                transactional_id: transactional_id.clone(),
                producer: by,
                partitions: partitions(&["a-0"]),
                verify_only: false,
            },
            TransactionRequest::Init {
                version,
                transactional_id: transactional_id.clone(),
                timeout_ms: 1,
                expected: expects.then_some(by),
                fresh,
            },
            TransactionRequest::End {
                version,
                transactional_id: transactional_id.clone(),
                producer: by,
                outcome: Outcome::Commit,
                fresh,
            },
            TransactionRequest::NextMarkers,
            TransactionRequest::Describe { transactional_id },
            TransactionRequest::List { states: Vec::new(), producers: Vec::new(), duration_ms: 0 },
        ] {
            decisions.push(shard.decide(Millis(now), &image, Ticket(1), request));
            for record in decisions.last().unwrap().records.clone() {
                shard.replay(Offset(0), None, record);
            }
        }
        for _ in 0..3 {
            let decided = shard.expire(Millis(i64::MAX), &image);
            for record in decided.records {
                shard.replay(Offset(0), None, record);
            }
        }
    }
}
