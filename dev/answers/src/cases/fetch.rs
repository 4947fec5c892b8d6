//! Fetch: what is read, limits of bytes, offsets and epochs out of range, sessions.

use anyhow::{Context, Result};
use ottla_types::Uuid;
use ottla_wire::ApiKey;
use ottla_wire::messages::fetch_request::{FetchPartition, ForgottenTopic};
use ottla_wire::messages::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, FetchRequest};

use super::Case;
use super::requests::{Topic, appended, batch, fetch, fetch_partition, fetch_topic, one, ready, values, wait_gone};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::Fetch;
    let since_7 = [7, 12, 13, 17];
    vec![
        Case::each("plain", api, plain),
        Case::each("nothing_new", api, nothing_new),
        Case::each("out_of_range", api, out_of_range),
        Case::each("unknown", api, unknown),
        Case::some("unknown_id", &[13, 15, 18], unknown_id),
        Case::newest("deleted", api, deleted),
        Case::newest("middle_of_a_batch", api, middle_of_a_batch),
        Case::newest("partition_limit", api, partition_limit),
        Case::newest("request_limit", api, request_limit),
        Case::newest("minimum_bytes", api, minimum_bytes),
        Case::some("read_committed", &[4, 11, 17], read_committed),
        Case::newest("isolation", api, isolation),
        Case::newest("one_twice", api, one_twice),
        Case::newest("start_has_moved", api, start_has_moved),
        Case::some("leader_epochs", &[9, 11, 12, 13, 16, 17], leader_epochs),
        Case::some("diverging_epochs", &[12, 13, 17], diverging_epochs),
        Case::some("session", &since_7, session),
        Case::some("session_of_no_partitions", &since_7, session_of_no_partitions),
        Case::some("session_errors", &since_7, session_errors),
        Case::some("session_forgets", &since_7, session_forgets),
        Case::some("session_of_unknown", &since_7, session_of_unknown),
        Case::some("session_closed", &since_7, session_closed),
        Case::some("session_of_deleted", &since_7, session_of_deleted),
        Case::newest("follower", api, follower),
        Case::some("zstd", &[4, 9, 10], zstd),
    ]
}

/// A topic of 2 partitions with three batches in the first.
fn filled(s: &mut Session) -> Result<Topic> {
    let topic = ready(s, "a", 2, &[])?;
    for values in [&["one", "two"][..], &["three"], &["four", "five", "six"]] {
        appended(s, &topic, 0, batch(values)?)?;
    }
    Ok(topic)
}

fn plain(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("from 0 on", v, &fetch(&topic, 0, 0))?;
    s.ask("an empty partition", v, &fetch(&topic, 1, 0))?;
    let both = vec![fetch_partition(1, 0), fetch_partition(0, 2)];
    s.ask("both", v, &FetchRequest { topics: vec![fetch_topic(&topic, both)], ..fetch(&topic, 0, 0) }).map(drop)
}

fn nothing_new(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("from the end on", v, &fetch(&topic, 0, 6))?;
    let waiting = FetchRequest { max_wait_ms: 60, min_bytes: 1, ..fetch(&topic, 0, 6) };
    s.ask("from the end on, waiting", v, &waiting)?;
    s.ask("no partitions", v, &FetchRequest { topics: vec![], ..fetch(&topic, 0, 0) }).map(drop)
}

fn out_of_range(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for offset in [7, -1, -2, i64::MAX] {
        s.ask(&format!("offset {offset}"), v, &fetch(&topic, 0, offset))?;
    }
    // An error does not wait.
    let waiting = FetchRequest { max_wait_ms: 15_000, min_bytes: 1, ..fetch(&topic, 0, 7) };
    s.ask("offset 7, with patience", v, &waiting).map(drop)
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for partition in [2, -1] {
        s.ask(&format!("partition {partition}"), v, &fetch(&topic, partition, 0))?;
    }
    let absent = Topic::absent(s, "b");
    s.ask("no such topic", v, &fetch(&absent, 0, 0))?;
    let topics =
        vec![fetch_topic(&absent, vec![fetch_partition(0, 0)]), fetch_topic(&topic, vec![fetch_partition(0, 3)])];
    s.ask("one of two", v, &FetchRequest { topics, ..fetch(&topic, 0, 0) }).map(drop)
}

fn unknown_id(s: &mut Session, v: i16) -> Result<()> {
    let none = Topic { id: Uuid::ZERO, ..Topic::absent(s, "b") };
    s.ask("the zero id", v, &fetch(&none, 0, 0)).map(drop)
}

fn delete(s: &mut Session, topic: &Topic) -> Result<()> {
    let delete = ottla_wire::messages::DeleteTopicsRequest {
        topic_names: vec![topic.name.clone()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    s.get(5, &delete)?;
    wait_gone(s, &topic.name)
}

fn deleted(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    delete(s, &topic)?;
    s.ask("by its id", v, &fetch(&topic, 0, 0))?;
    one(s, "a")?;
    s.ask("by its id, when there is another of its name", v, &fetch(&topic, 0, 0)).map(drop)
}

fn middle_of_a_batch(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for offset in [1, 2, 4, 5] {
        s.ask(&format!("offset {offset}"), v, &fetch(&topic, 0, offset))?;
    }
    Ok(())
}

fn limited(partition_max_bytes: i32) -> Vec<FetchPartition> {
    vec![FetchPartition { partition_max_bytes, ..fetch_partition(0, 0) }]
}

fn partition_limit(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let first = i32::try_from(batch(&["one", "two"])?.len())?;
    for (label, max) in [
        ("0 bytes", 0),
        ("1 byte", 1),
        ("the first batch", first),
        ("the first and a byte", first + 1),
        ("the first and 70 bytes", first + 70),
        ("-1 bytes", -1),
    ] {
        let topics = vec![fetch_topic(&topic, limited(max))];
        s.ask(label, v, &FetchRequest { topics, ..fetch(&topic, 0, 0) })?;
    }
    Ok(())
}

fn request_limit(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    appended(s, &topic, 1, batch(&["other"])?)?;
    let of = |max_bytes| FetchRequest {
        max_bytes,
        topics: vec![fetch_topic(&topic, vec![fetch_partition(0, 0), fetch_partition(1, 0)])],
        ..fetch(&topic, 0, 0)
    };
    for max in [0, 1, 75, 200, -1] {
        s.ask(&format!("{max} bytes"), v, &of(max))?;
    }
    // The first partition that has something gives a whole batch, whatever the limit.
    let topics = vec![fetch_topic(&topic, vec![fetch_partition(0, 6), fetch_partition(1, 0)])];
    s.ask("1 byte, nothing new in the first", v, &FetchRequest { max_bytes: 1, topics, ..fetch(&topic, 0, 0) })
        .map(drop)
}

fn minimum_bytes(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let of = |min_bytes, max_wait_ms| FetchRequest { min_bytes, max_wait_ms, ..fetch(&topic, 0, 0) };
    s.ask("more than there is, after a wait", v, &of(1_000_000, 60))?;
    s.ask("enough", v, &of(10, 15_000))?;
    s.ask("0, with patience", v, &of(0, 15_000))?;
    s.ask("-1 bytes", v, &of(-1, 0))?;
    s.ask("a negative wait", v, &of(1, -1)).map(drop)
}

fn read_committed(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("plain data", v, &FetchRequest { isolation_level: 1, ..fetch(&topic, 0, 2) })?;
    s.ask("at the end", v, &FetchRequest { isolation_level: 1, ..fetch(&topic, 0, 6) }).map(drop)
}

fn isolation(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for level in [2, -1] {
        s.ask(&format!("level {level}"), v, &FetchRequest { isolation_level: level, ..fetch(&topic, 0, 5) })?;
    }
    Ok(())
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let topics = vec![fetch_topic(&topic, vec![fetch_partition(0, 0), fetch_partition(0, 3)])];
    s.ask("a partition twice", v, &FetchRequest { topics, ..fetch(&topic, 0, 0) })?;
    let topics =
        vec![fetch_topic(&topic, vec![fetch_partition(0, 3)]), fetch_topic(&topic, vec![fetch_partition(1, 0)])];
    s.ask("a topic twice", v, &FetchRequest { topics, ..fetch(&topic, 0, 0) }).map(drop)
}

fn start_has_moved(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: 4 }];
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }],
        timeout_ms: 10_000,
    };
    s.get(2, &delete)?;
    s.ask("before the start", v, &fetch(&topic, 0, 3))?;
    s.ask("at the start, inside a batch", v, &fetch(&topic, 0, 4)).map(drop)
}

fn with_epochs(topic: &Topic, offset: i64, current: i32, last_fetched: i32) -> FetchRequest {
    let partition = FetchPartition {
        current_leader_epoch: current,
        last_fetched_epoch: last_fetched,
        ..fetch_partition(0, offset)
    };
    FetchRequest { topics: vec![fetch_topic(topic, vec![partition])], ..fetch(topic, 0, 0) }
}

fn leader_epochs(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for epoch in [0, 1, 7, -2] {
        s.ask(&format!("epoch {epoch}"), v, &with_epochs(&topic, 3, epoch, -1))?;
    }
    s.ask("a future epoch and no such offset", v, &with_epochs(&topic, 99, 5, -1)).map(drop)
}

fn diverging_epochs(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for (label, offset, epoch) in [
        ("the right epoch", 3, 0),
        ("an epoch to come", 3, 4),
        ("the right epoch, past the end", 9, 0),
        ("epoch -2", 3, -2),
    ] {
        s.ask(label, v, &with_epochs(&topic, offset, -1, epoch))?;
    }
    Ok(())
}

fn in_session(session_id: i32, session_epoch: i32, topics: Vec<(&Topic, Vec<FetchPartition>)>) -> FetchRequest {
    FetchRequest {
        replica_id: -1,
        session_id,
        session_epoch,
        topics: topics.into_iter().map(|(topic, partitions)| fetch_topic(topic, partitions)).collect(),
        ..Default::default()
    }
}

/// Begins a session over both partitions of `topic`.
fn begun(s: &mut Session, v: i16, topic: &Topic) -> Result<i32> {
    let request = in_session(0, 0, vec![(topic, vec![fetch_partition(0, 0), fetch_partition(1, 0)])]);
    let answer = s.ask("a new session", v, &request)?.context("closed")?;
    Ok(answer.session_id)
}

fn session(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let id = begun(s, v, &topic)?;
    s.ask("the same again", v, &in_session(id, 1, vec![]))?;
    s.ask("read on", v, &in_session(id, 2, vec![(&topic, vec![fetch_partition(0, 6)])]))?;
    s.ask("nothing new", v, &in_session(id, 3, vec![]))?;
    appended(s, &topic, 1, batch(&["new"])?)?;
    s.ask("something new in the other", v, &in_session(id, 4, vec![]))?;
    s.ask("and it again, as nobody moved", v, &in_session(id, 5, vec![]))?;
    s.ask("an offset out of range", v, &in_session(id, 6, vec![(&topic, vec![fetch_partition(0, 50)])]))?;
    s.ask("an error is told again", v, &in_session(id, 7, vec![])).map(drop)
}

fn session_of_no_partitions(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("a new one", v, &in_session(0, 0, vec![]))?;
    let id = begun(s, v, &topic)?;
    let forget = forgotten(&topic, vec![0, 1]);
    s.ask("all forgotten", v, &FetchRequest { forgotten_topics_data: vec![forget], ..in_session(id, 1, vec![]) })?;
    s.ask("then", v, &in_session(id, 2, vec![])).map(drop)
}

fn session_errors(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("an unknown session", v, &in_session(123_456, 1, vec![]))?;
    s.ask("a session without a begin", v, &in_session(0, 1, vec![]))?;
    let id = begun(s, v, &topic)?;
    s.ask("epoch 2 where 1 is due", v, &in_session(id, 2, vec![]))?;
    s.ask("epoch 1", v, &in_session(id, 1, vec![(&topic, vec![fetch_partition(0, 6)])]))?;
    s.ask("epoch 1 again", v, &in_session(id, 1, vec![]))?;
    s.ask("a negative epoch", v, &in_session(id, -2, vec![]))?;
    s.ask("begun again under its id", v, &in_session(id, 0, vec![(&topic, vec![fetch_partition(1, 0)])])).map(drop)
}

fn forgotten(topic: &Topic, partitions: Vec<i32>) -> ForgottenTopic {
    ForgottenTopic { topic: topic.name.clone(), topic_id: topic.id, partitions }
}

fn session_forgets(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    appended(s, &topic, 1, batch(&["new"])?)?;
    let id = begun(s, v, &topic)?;
    let forget = forgotten(&topic, vec![0]);
    s.ask(
        "the first forgotten",
        v,
        &FetchRequest { forgotten_topics_data: vec![forget], ..in_session(id, 1, vec![]) },
    )?;
    let again = forgotten(&topic, vec![0, 7]);
    s.ask("again", v, &FetchRequest { forgotten_topics_data: vec![again], ..in_session(id, 2, vec![]) })?;
    s.ask("and back", v, &in_session(id, 3, vec![(&topic, vec![fetch_partition(0, 3)])])).map(drop)
}

fn session_of_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (one(s, "a")?, Topic::absent(s, "b"));
    let all = vec![(&topic, vec![fetch_partition(0, 0)]), (&absent, vec![fetch_partition(0, 0)])];
    let answer = s.ask("one of two unknown", v, &in_session(0, 0, all))?.context("closed")?;
    s.ask("then", v, &in_session(answer.session_id, 1, vec![])).map(drop)
}

fn session_of_deleted(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let id = begun(s, v, &topic)?;
    delete(s, &topic)?;
    s.ask("its topic deleted", v, &in_session(id, 1, vec![]))?;
    filled(s)?;
    s.ask("its topic made again", v, &in_session(id, 2, vec![])).map(drop)
}

fn session_closed(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    let id = begun(s, v, &topic)?;
    s.ask("closed", v, &in_session(id, -1, vec![(&topic, vec![fetch_partition(0, 5)])]))?;
    s.ask("then", v, &in_session(id, 1, vec![])).map(drop)
}

/// Consumers before version 10 do not know the codec.
fn zstd(s: &mut Session, v: i16) -> Result<()> {
    use ottla_types::Compression::Zstd;
    let topic = one(s, "a")?;
    appended(s, &topic, 0, values(&["one", "two"]).compression(Zstd, None).build()?)?;
    s.ask("a batch of it", v, &fetch(&topic, 0, 0))?;
    let topic = ready(s, "b", 1, &[("compression.type", "zstd")])?;
    s.ask("a topic of it, empty", v, &fetch(&topic, 0, 0)).map(drop)
}

fn follower(s: &mut Session, v: i16) -> Result<()> {
    use ottla_wire::messages::fetch_request::ReplicaState;
    let topic = filled(s)?;
    for id in [7, 1] {
        let replica_state = ReplicaState { replica_id: id, replica_epoch: -1 };
        s.ask(&format!("broker {id}"), v, &FetchRequest { replica_state, ..fetch(&topic, 0, 0) })?;
    }
    let replica_state = ReplicaState { replica_id: -2, replica_epoch: -1 };
    s.ask("a debugging consumer", v, &FetchRequest { replica_state, ..fetch(&topic, 0, 5) }).map(drop)
}
