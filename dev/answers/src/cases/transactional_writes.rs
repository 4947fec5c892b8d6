//! What transactions write: batches, offsets, markers; and what readers see of them.

use anyhow::{Context, Result};
use ottla_wire::ApiKey;
use ottla_wire::messages::describe_producers_request::TopicRequest;
use ottla_wire::messages::{
    DescribeProducersRequest, FetchRequest, ListOffsetsRequest, OffsetFetchRequest, ProduceRequest,
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, WritableTxnMarker, WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
};

use super::Case;
use super::group_requests::{fetch_offsets, group, one_member};
use super::requests::{Topic, fetch, list_offsets, one, produce, ready, values};
use super::transaction_requests::{END, END_BUMPING, PRODUCE, PRODUCE_ADDING, Txn, entered, txn};
use crate::session::Session;

/// Versions of TxnOffsetCommit before commits add their partition themselves.
const VERIFIED: [i16; 5] = [0, 1, 2, 3, 4];
/// A version of OffsetFetch that knows of offsets that are not decided.
const OFFSET_FETCH: i16 = 7;
const FETCH: i16 = 17;
/// A producer id that nobody has.
const NOBODY: i64 = 999_200;
/// What is written by hand has a producer that no other case has.
const BY_HAND: i64 = 900_300;

pub(super) fn produce_cases() -> Vec<Case> {
    vec![
        Case::some("txn_added_before", &[3, 8, 9, 10, 11], added_before),
        Case::some("txn_not_added", &[3, 9, 10, 11], not_added),
        Case::some("txn_adds", &[12, 13], adds),
        Case::some("txn_strangers", &[3, 9, 11, 12, 13], produce_of_strangers),
        Case::some("txn_mixed", &[11, 13], mixed),
        Case::newest("txn_partitions", ApiKey::Produce, some_partitions),
    ]
}

pub(super) fn fetch_cases() -> Vec<Case> {
    vec![Case::some("txn_read", &[4, 11, 12, 17], read_committed)]
}

pub(super) fn list_offsets_cases() -> Vec<Case> {
    vec![Case::some("txn_ends", &[2, 6, 11], ends)]
}

pub(super) fn describe_producers_cases() -> Vec<Case> {
    vec![Case::newest("txn", ApiKey::DescribeProducers, describe_producers)]
}

pub(super) fn txn_offset_commit() -> Vec<Case> {
    let api = ApiKey::TxnOffsetCommit;
    vec![
        Case::each("pending", api, pending),
        Case::some("not_added", &VERIFIED, offsets_not_added),
        Case::each("unknown", api, offsets_unknown),
        Case::each("strangers", api, offsets_of_strangers),
        Case::each("members", api, offsets_of_members),
        Case::newest("adds", api, offsets_add),
    ]
}

pub(super) fn write_txn_markers() -> Vec<Case> {
    let api = ApiKey::WriteTxnMarkers;
    vec![
        Case::each("nothing_open", api, markers_of_nothing),
        Case::each("ends", api, markers_end),
        Case::each("epochs", api, marker_epochs),
        Case::newest("versions", api, marker_versions),
    ]
}

fn added_before(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (ready(s, "a", 2, &[])?, txn(s, "txn")?);
    t.added(s, &[(&topic, &[0])])?;
    s.ask("the first", v, &t.produce(&topic, 0, t.batch(0, &["one", "two"])?))?;
    s.ask("the next", v, &t.produce(&topic, 0, t.batch(2, &["three"])?))?;
    s.ask("it again", v, &t.produce(&topic, 0, t.batch(2, &["three"])?))?;
    s.ask("out of order", v, &t.produce(&topic, 0, t.batch(9, &["ten"])?))?;
    s.ask("a partition that was not added", v, &t.produce(&topic, 1, t.batch(0, &["one"])?))?;
    t.ended(s, END, true)?;
    s.ask("after the end", v, &t.produce(&topic, 0, t.batch(3, &["four"])?))?;
    s.ask("after the end, again the last", v, &t.produce(&topic, 0, t.batch(2, &["three"])?))?;
    t.added(s, &[(&topic, &[0])])?;
    s.ask("in the next transaction", v, &t.produce(&topic, 0, t.batch(3, &["four"])?)).map(drop)
}

fn not_added(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    s.ask("a first batch", v, &t.produce(&topic, 0, t.batch(0, &["one"])?))?;
    s.ask(
        "without acknowledgement of all",
        v,
        &ProduceRequest { acks: 1, ..t.produce(&topic, 0, t.batch(0, &["one"])?) },
    )
    .map(drop)
}

fn adds(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    s.ask("a first batch", v, &t.produce(&topic, 0, t.batch(0, &["one"])?))?;
    s.ask("the next", v, &t.produce(&topic, 0, t.batch(1, &["two"])?))?;
    let next = t.ended(s, END_BUMPING, true)?;
    s.ask("after the end, with the old epoch", v, &t.produce(&topic, 0, t.batch(2, &["late"])?))?;
    s.ask("the last one again", v, &t.produce(&topic, 0, t.batch(1, &["two"])?))?;
    s.ask("not from 0 on", v, &next.produce(&topic, 0, next.batch(2, &["three"])?))?;
    s.ask("with the new epoch", v, &next.produce(&topic, 0, next.batch(0, &["three"])?))?;
    let last = next.ended(s, END_BUMPING, false)?;
    s.ask("after an abort", v, &last.produce(&topic, 0, last.batch(0, &["four"])?)).map(drop)
}

fn produce_of_strangers(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let first = txn(s, "txn")?;
    let t = entered(s, &first.id)?;
    let unknown = t.with_id(&s.topic("other"));
    for (label, t) in [
        ("an unknown transactional id", unknown),
        ("an empty transactional id", t.with_id("")),
        ("another's producer id", t.with_producer_id(NOBODY)),
        ("the epoch before", t.with_epoch(0)),
        ("an epoch to come", t.with_epoch(5)),
    ] {
        s.ask(label, v, &t.produce(&topic, 0, t.batch(0, &["one"])?))?;
    }
    Ok(())
}

fn mixed(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (ready(s, "a", 2, &[])?, txn(s, "txn")?);
    let plain = |s: &mut Session, label: &str, sequence| -> Result<()> {
        let batch = values(&["plain"]).producer(t.producer(), sequence).build()?;
        s.ask(label, v, &t.produce(&topic, 0, batch)).map(drop)
    };
    plain(s, "a batch of no transaction", 0)?;
    t.added(s, &[(&topic, &[0, 1])])?;
    s.ask("then one of a transaction", v, &t.produce(&topic, 0, t.batch(1, &["one"])?))?;
    plain(s, "one of none while one is open", 2)?;
    let bare = produce(&topic, 1, t.batch(0, &["one"])?);
    s.ask("one of a transaction without its id", v, &bare)?;
    let two = two_partitions(&t.produce(&topic, 0, t.batch(2, &["two"])?), 1, values(&["plain"]).build()?);
    s.ask("one of each", v, &two)?;
    let two = ProduceRequest { transactional_id: None, ..two };
    s.ask("one of each without an id", v, &two)?;
    let other = t.with_producer_id(NOBODY);
    let two = two_partitions(&t.produce(&topic, 0, t.batch(3, &["three"])?), 1, other.batch(0, &["one"])?);
    s.ask("of two producers", v, &two).map(drop)
}

fn two_partitions(request: &ProduceRequest, index: i32, records: bytes::Bytes) -> ProduceRequest {
    let mut two = request.clone();
    let second = ottla_wire::messages::PartitionProduceData { index, records: Some(records.into()) };
    two.topic_data[0].partition_data.push(second);
    two
}

fn some_partitions(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    let missing = two_partitions(&t.produce(&topic, 0, t.batch(0, &["one"])?), 5, t.batch(0, &["one"])?);
    s.ask("one that exists, one that does not", v, &missing)?;
    let broken = two_partitions(&t.produce(&topic, 0, t.batch(1, &["two"])?), 0, bytes::Bytes::from_static(b"short"));
    s.ask(
        "no batch",
        v,
        &ProduceRequest {
            topic_data: vec![ottla_wire::messages::TopicProduceData {
                partition_data: broken.topic_data[0].partition_data[1..].to_vec(),
                ..broken.topic_data[0].clone()
            }],
            ..broken
        },
    )?;
    s.ask("strange acks", v, &ProduceRequest { acks: 7, ..t.produce(&topic, 0, t.batch(1, &["two"])?) }).map(drop)
}

/// Two committed records, one aborted, one open; then a plain one.
fn history(s: &mut Session, topic: &Topic) -> Result<Txn> {
    let t = txn(s, "txn")?;
    t.produced(s, topic, 0, t.batch(0, &["one", "two"])?)?;
    let t = t.ended(s, END_BUMPING, true)?;
    t.produced(s, topic, 0, t.batch(0, &["void"])?)?;
    let t = t.ended(s, END_BUMPING, false)?;
    t.produced(s, topic, 0, t.batch(0, &["open"])?)?;
    super::requests::appended(s, topic, 0, super::requests::batch(&["plain"])?)?;
    Ok(t)
}

fn read_committed(s: &mut Session, v: i16) -> Result<()> {
    s.compare_records();
    let topic = one(s, "a")?;
    let t = history(s, &topic)?;
    let committed = |offset| FetchRequest { isolation_level: 1, ..fetch(&topic, 0, offset) };
    s.ask("all", v, &fetch(&topic, 0, 0))?;
    s.ask("what is decided", v, &committed(0))?;
    s.ask("what is decided, from the abort on", v, &committed(3))?;
    s.ask("what is decided, at its end", v, &committed(5))?;
    s.ask("what is decided, beyond", v, &committed(6))?;
    t.ended(s, END, false)?;
    s.ask("after the end of the last", v, &committed(5)).map(drop)
}

fn ends(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let t = history(s, &topic)?;
    let of = |isolation_level| ListOffsetsRequest { isolation_level, ..list_offsets(&topic.name, &[(0, -1)]) };
    s.ask("the end of all", v, &of(0))?;
    s.ask("the end of what is decided", v, &of(1))?;
    let at =
        ListOffsetsRequest { isolation_level: 1, ..list_offsets(&topic.name, &[(0, super::requests::TIME + 1_000)]) };
    s.ask("the second second of what is decided", v, &at)?;
    t.ended(s, END, true)?;
    s.ask("after the end of the last", v, &of(1)).map(drop)
}

fn describe_producers(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest { name: topic.name.clone(), partition_indexes: vec![0] }],
    };
    let t = txn(s, "txn")?;
    t.produced(s, &topic, 0, t.batch(0, &["one", "two"])?)?;
    s.ask("in its first transaction", v, &request)?;
    let t = t.ended(s, END_BUMPING, true)?;
    s.ask("after it", v, &request)?;
    t.produced(s, &topic, 0, t.batch(0, &["three"])?)?;
    s.ask("in its second", v, &request).map(drop)
}

fn offsets(s: &mut Session, label: &str, group: &str, stable: bool) -> Result<()> {
    let request = OffsetFetchRequest { require_stable: stable, ..fetch_offsets(&[group], None) };
    s.ask(label, OFFSET_FETCH, &request).map(drop)
}

fn pending(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, t) = (group(s, "g")?, ready(s, "a", 2, &[])?, txn(s, "txn")?);
    let adds = v >= 5;
    let end = if adds { END_BUMPING } else { END };
    if !adds {
        s.get(3, &t.add_offsets(&group))?;
    }
    s.ask("offsets", v, &t.commit_offsets(&group, &topic, &[(0, 5), (1, 7)]))?;
    offsets(s, "while they are open", &group, false)?;
    offsets(s, "while they are open, stable", &group, true)?;
    let t = t.ended(s, end, true)?;
    offsets(s, "once they are committed", &group, true)?;
    if !adds {
        s.get(3, &t.add_offsets(&group))?;
    }
    s.ask("other offsets", v, &t.commit_offsets(&group, &topic, &[(0, 9)]))?;
    t.ended(s, end, false)?;
    offsets(s, "once those are aborted", &group, true)
}

fn offsets_not_added(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, t) = (group(s, "g")?, one(s, "a")?, txn(s, "txn")?);
    s.ask("without the group's partition", v, &t.commit_offsets(&group, &topic, &[(0, 5)]))?;
    t.added(s, &[(&topic, &[0])])?;
    s.ask("in a transaction without it", v, &t.commit_offsets(&group, &topic, &[(0, 5)])).map(drop)
}

fn offsets_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, t) = (group(s, "g")?, one(s, "a")?, txn(s, "txn")?);
    let absent = Topic::absent(s, "b");
    s.get(3, &t.add_offsets(&group))?;
    s.ask("no such partition", v, &t.commit_offsets(&group, &topic, &[(0, 5), (3, 5)]))?;
    s.ask("no such topic", v, &t.commit_offsets(&group, &absent, &[(0, 5)]))?;
    let of = |topic| -> Vec<TxnOffsetCommitRequestTopic> { t.commit_offsets(&group, topic, &[(0, 6)]).topics };
    let both =
        TxnOffsetCommitRequest { topics: [of(&absent), of(&topic)].concat(), ..t.commit_offsets(&group, &topic, &[]) };
    s.ask("one of two topics", v, &both)?;
    s.ask("no topics", v, &TxnOffsetCommitRequest { topics: Vec::new(), ..both })?;
    s.ask("no group", v, &t.commit_offsets("", &topic, &[(0, 5)]))?;
    let mut long = t.commit_offsets(&group, &topic, &[(0, 5)]);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097));
    s.ask("too long a word", v, &long).map(drop)
}

fn offsets_of_strangers(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic) = (group(s, "g")?, one(s, "a")?);
    let first = txn(s, "txn")?;
    let t = entered(s, &first.id)?;
    s.get(3, &t.add_offsets(&group))?;
    let unknown = t.with_id(&s.topic("other"));
    for (label, t) in [
        ("an unknown transactional id", unknown),
        ("an empty transactional id", t.with_id("")),
        ("another's producer id", t.with_producer_id(NOBODY)),
        ("the epoch before", t.with_epoch(0)),
        ("an epoch to come", t.with_epoch(5)),
    ] {
        s.ask(label, v, &t.commit_offsets(&group, &topic, &[(0, 5)]))?;
    }
    Ok(())
}

fn offsets_of_members(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, t) = (group(s, "g")?, one(s, "a")?, txn(s, "txn")?);
    s.get(3, &t.add_offsets(&group))?;
    let of = |generation_id, member_id: &str| TxnOffsetCommitRequest {
        generation_id,
        member_id: member_id.to_owned(),
        ..t.commit_offsets(&group, &topic, &[(0, 5)])
    };
    s.ask("a generation of no group", v, &of(3, "somebody"))?;
    let member = one_member(s, &group)?;
    s.ask("a member's", v, &of(member.generation, &member.id))?;
    s.ask("of another generation", v, &of(member.generation + 1, &member.id))?;
    s.ask("a stranger's", v, &of(member.generation, "stranger"))?;
    s.ask("nobody's", v, &of(-1, "")).map(drop)
}

fn offsets_add(s: &mut Session, v: i16) -> Result<()> {
    let (group, topic, t) = (group(s, "g")?, one(s, "a")?, txn(s, "txn")?);
    s.ask("a first", v, &t.commit_offsets(&group, &topic, &[(0, 5)]))?;
    t.ended(s, END_BUMPING, true)?;
    s.ask("with the old epoch", v, &t.commit_offsets(&group, &topic, &[(0, 6)]))?;
    offsets(s, "what is committed", &group, true)
}

fn marker(producer_id: i64, producer_epoch: i16, commit: bool, topic: &Topic, partitions: &[i32]) -> WritableTxnMarker {
    WritableTxnMarker {
        producer_id,
        producer_epoch,
        transaction_result: commit,
        topics: vec![WritableTxnMarkerTopic { name: topic.name.clone(), partition_indexes: partitions.to_vec() }],
        coordinator_epoch: 3,
        transaction_version: 0,
    }
}

fn write(markers: Vec<WritableTxnMarker>) -> WriteTxnMarkersRequest {
    WriteTxnMarkersRequest { markers }
}

fn markers_of_nothing(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    let absent = Topic::absent(s, "b");
    s.ask("no markers", v, &write(Vec::new()))?;
    s.ask("of a producer that wrote nothing", v, &write(vec![marker(BY_HAND, 0, true, &topic, &[0, 1])]))?;
    s.ask("no such partition", v, &write(vec![marker(BY_HAND, 0, true, &topic, &[5])]))?;
    s.ask("no such topic", v, &write(vec![marker(BY_HAND, 0, false, &absent, &[0])]))?;
    let two = vec![marker(BY_HAND + 1, 0, true, &topic, &[0]), marker(BY_HAND + 2, 0, false, &topic, &[5])];
    s.ask("two producers", v, &write(two)).map(drop)
}

fn markers_end(s: &mut Session, v: i16) -> Result<()> {
    s.compare_records();
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    t.produced(s, &topic, 0, t.batch(0, &["one"])?)?;
    s.ask("an abort of an open one", v, &write(vec![marker(t.producer_id, t.epoch, false, &topic, &[0])]))?;
    s.ask("it again", v, &write(vec![marker(t.producer_id, t.epoch, false, &topic, &[0])]))?;
    s.ask("what is there", FETCH, &FetchRequest { isolation_level: 1, ..fetch(&topic, 0, 0) })?;
    s.ask("more of the transaction", PRODUCE, &t.produce(&topic, 0, t.batch(1, &["two"])?))?;
    s.ask("more of it, added anew", PRODUCE_ADDING, &t.produce(&topic, 0, t.batch(1, &["two"])?)).map(drop)
}

fn marker_epochs(s: &mut Session, v: i16) -> Result<()> {
    let (topic, t) = (one(s, "a")?, txn(s, "txn")?);
    let t = entered(s, &t.id)?;
    t.produced(s, &topic, 0, t.batch(0, &["one"])?)?;
    let of = |epoch, coordinator_epoch, transaction_version| WritableTxnMarker {
        coordinator_epoch,
        transaction_version,
        ..marker(t.producer_id, epoch, true, &topic, &[0])
    };
    s.ask("the epoch before", v, &write(vec![of(t.epoch - 1, 3, 0)]))?;
    if v >= 2 {
        s.ask("the same epoch, with version 2 of transactions", v, &write(vec![of(t.epoch, 3, 2)]))?;
    }
    s.ask("the epoch after", v, &write(vec![of(t.epoch + 1, 3, 2)]))?;
    s.ask("an older coordinator", v, &write(vec![of(t.epoch + 1, 2, 2)]))?;
    s.ask("a newer coordinator", v, &write(vec![of(t.epoch + 1, 4, 2)]))?;
    s.ask("the epoch before that", v, &write(vec![of(t.epoch, 4, 0)])).context("closed").map(drop)
}

/// Each version of transactions that a marker may claim, and some that none may.
fn marker_versions(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 2, &[])?;
    for version in [-2, -1, 0, 1, 2, 3] {
        let t = txn(s, &format!("txn{version}"))?;
        t.produced(s, &topic, 0, t.batch(0, &["one"])?)?;
        let of = |epoch, partitions: &[i32]| WritableTxnMarker {
            transaction_version: version,
            ..marker(t.producer_id, epoch, false, &topic, partitions)
        };
        s.ask(&format!("version {version}, where nothing is open"), v, &write(vec![of(t.epoch, &[1])]))?;
        s.ask(&format!("version {version}, the same epoch"), v, &write(vec![of(t.epoch, &[0])]))?;
        s.ask(&format!("version {version}, the epoch after"), v, &write(vec![of(t.epoch + 1, &[0])]))?;
        s.ask(&format!("version {version}, that again"), v, &write(vec![of(t.epoch + 1, &[0])]))?;
    }
    Ok(())
}
