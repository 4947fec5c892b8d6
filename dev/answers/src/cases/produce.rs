//! Produce: acknowledgements, what is wrong with a batch, where it goes, and the sequences of idempotent producers.

use anyhow::Result;
use bytes::Bytes;
use ottla_records::{BatchBuilder, HEADER_LEN, crc_of};
use ottla_types::{Compression, Millis, ProducerEpoch, ProducerId, ProducerIdAndEpoch, TimestampType};
use ottla_wire::ApiKey;
use ottla_wire::messages::{InitProducerIdRequest, PartitionProduceData, ProduceRequest, TopicProduceData};

use super::Case;
use super::requests::{TIME, Topic, appended, batch, fetch, one, produce, ready, values, wait_gone};
use crate::session::Session;

/// Newest version of Fetch without sessions' fields in the way.
const FETCH: i16 = 17;
/// Oldest, newest, and the ones where the answer changes.
const SHAPES: [i16; 5] = [3, 7, 9, 12, 13];

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::Produce;
    vec![
        Case::each("acks", api, acks),
        Case::some("acks_wrong", &SHAPES, acks_wrong),
        Case::newest("acks_none", api, acks_none),
        Case::newest("acks_none_wrong", api, acks_none_wrong),
        Case::newest("shapes", api, shapes),
        Case::some("codecs", &SHAPES, codecs),
        Case::newest("recompressed", api, recompressed),
        Case::some("unknown_partition", &SHAPES, unknown_partition),
        Case::newest("unknown_id", api, unknown_id),
        Case::newest("deleted", api, deleted),
        Case::newest("several_partitions", api, several_partitions),
        Case::newest("one_partition_twice", api, one_partition_twice),
        Case::some("empty", &SHAPES, empty),
        Case::newest("no_bytes", api, no_bytes),
        Case::some("checksum", &SHAPES, |s, v| broken(s, v, &[("checksum", 17, 1)])),
        Case::newest("broken_header", api, broken_header),
        Case::newest("broken_body", api, broken_body),
        Case::some("old_formats", &SHAPES, old_formats),
        Case::some("too_large", &SHAPES, too_large),
        Case::newest("control", api, control),
        Case::newest("two_batches", api, two_batches),
        Case::some("compacted_without_key", &SHAPES, compacted_without_key),
        Case::newest("timestamps", api, timestamps),
        Case::newest("append_time", api, append_time),
        Case::newest("offsets_in_records", api, offsets_in_records),
        Case::some("min_insync_replicas", &SHAPES, min_insync_replicas),
        Case::newest("transactional", api, transactional),
        Case::newest("sequences", api, sequences),
        Case::newest("epochs", api, epochs),
        Case::newest("many_producers", api, unknown_producers),
        Case::newest("sequence_wraps", api, sequence_wraps),
        Case::newest("sequence_without_producer", api, sequence_without_producer),
    ]
}

fn with_acks(request: ProduceRequest, acks: i16) -> ProduceRequest {
    ProduceRequest { acks, ..request }
}

fn show(s: &mut Session, topic: &Topic) -> Result<()> {
    s.ask("all of it", FETCH, &fetch(topic, 0, 0)).map(drop)
}

fn acks(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for acks in [1, -1] {
        s.ask(&format!("acks {acks}"), v, &with_acks(produce(&topic, 0, batch(&["one", "two"])?), acks))?;
    }
    Ok(())
}

fn acks_wrong(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for acks in [2, -2, i16::MAX] {
        s.ask(&format!("acks {acks}"), v, &with_acks(produce(&topic, 0, batch(&["one"])?), acks))?;
    }
    show(s, &topic)
}

fn acks_none(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.tell("acks 0", v, &with_acks(produce(&topic, 0, batch(&["one"])?), 0))?;
    s.tell("acks 0, nothing", v, &ProduceRequest { acks: 0, ..Default::default() })?;
    show(s, &topic)
}

fn acks_none_wrong(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.tell("no such partition", v, &with_acks(produce(&topic, 5, batch(&["one"])?), 0))?;
    s.tell("no such id", v, &with_acks(produce(&Topic::absent(s, "b"), 0, batch(&["one"])?), 0))?;
    s.tell("a broken batch", v, &with_acks(produce(&topic, 0, patched(&batch(&["one"])?, 17, 1)), 0))?;
    show(s, &topic)
}

fn shapes(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let mut batch = BatchBuilder::new();
    let headers: [(&[u8], Option<&[u8]>); 4] = [(b"h", Some(b"1")), (b"h", Some(b"")), (b"", None), (b"h", Some(b"1"))];
    batch.append(Millis(TIME + 5), Some(b"key"), Some(b"value"));
    batch.append(Millis(TIME), None, None);
    batch.append(Millis(TIME + 9), Some(b""), Some(b""));
    batch.append_with_headers(Millis(TIME), Some(b"k"), Some(b"v"), &headers);
    s.ask("every shape of record", v, &produce(&topic, 0, batch.build()?))?;
    let large = "x".repeat(100_000);
    s.ask("a large record", v, &produce(&topic, 0, super::requests::batch(&[&large])?))?;
    show(s, &topic)
}

const CODECS: [Compression; 4] = [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn codecs(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for codec in CODECS {
        let batch = values(&["one", "two", "three"]).compression(codec, None).build()?;
        s.ask(codec.name(), v, &produce(&topic, 0, batch))?;
    }
    show(s, &topic)
}

fn recompressed(s: &mut Session, v: i16) -> Result<()> {
    s.compare_records();
    for to in ["uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        let topic = ready(s, to, 1, &[("compression.type", to)])?;
        for codec in [Compression::None, Compression::Lz4] {
            let batch = values(&["one", "two"]).compression(codec, None).build()?;
            s.ask(&format!("{} to {to}", codec.name()), v, &produce(&topic, 0, batch))?;
        }
        show(s, &topic)?;
    }
    Ok(())
}

fn unknown_partition(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for partition in [1, -1, i32::MAX] {
        s.ask(&format!("partition {partition}"), v, &produce(&topic, partition, batch(&["one"])?))?;
    }
    let absent = Topic::absent(s, "b");
    s.ask("no such topic", v, &produce(&absent, 0, batch(&["one"])?))?;
    let strange = Topic { name: "a b".to_owned(), ..absent };
    s.ask("no topic's name", v, &produce(&strange, 0, batch(&["one"])?)).map(drop)
}

fn unknown_id(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (one(s, "a")?, Topic::absent(s, "b"));
    let mut request = produce(&topic, 0, batch(&["one"])?);
    request.topic_data.extend(produce(&absent, 0, batch(&["one"])?).topic_data);
    s.ask("one of two", v, &request)?;
    let none = Topic { id: ottla_types::Uuid::ZERO, ..absent };
    s.ask("the zero id", v, &produce(&none, 0, batch(&["one"])?)).map(drop)
}

fn deleted(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let delete = ottla_wire::messages::DeleteTopicsRequest {
        topic_names: vec![topic.name.clone()],
        timeout_ms: 10_000,
        ..Default::default()
    };
    s.get(5, &delete)?;
    wait_gone(s, &topic.name)?;
    s.ask("by its id", v, &produce(&topic, 0, batch(&["one"])?))?;
    let again = one(s, "a")?;
    s.ask("by its id, when there is another of its name", v, &produce(&topic, 0, batch(&["one"])?))?;
    s.ask("the other", v, &produce(&again, 0, batch(&["one"])?)).map(drop)
}

fn partition_data(index: i32, records: Bytes) -> PartitionProduceData {
    PartitionProduceData { index, records: Some(records.into()) }
}

fn request_of(topic: &Topic, partition_data: Vec<PartitionProduceData>) -> ProduceRequest {
    let topic_data = vec![TopicProduceData { name: topic.name.clone(), topic_id: topic.id, partition_data }];
    ProduceRequest { acks: -1, timeout_ms: 10_000, topic_data, ..Default::default() }
}

fn several_partitions(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 3, &[])?;
    let broken = patched(&batch(&["x"])?, 17, 1);
    let data = vec![
        partition_data(2, batch(&["two"])?),
        partition_data(0, broken),
        partition_data(1, batch(&["one"])?),
        partition_data(9, batch(&["nine"])?),
    ];
    s.ask("two good, two bad", v, &request_of(&topic, data))?;
    s.ask("no partitions", v, &request_of(&topic, vec![]))?;
    s.ask("no topics", v, &ProduceRequest { acks: 1, timeout_ms: 1000, ..Default::default() }).map(drop)
}

fn one_partition_twice(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let data = vec![partition_data(0, batch(&["first"])?), partition_data(0, batch(&["second"])?)];
    s.ask("in one topic", v, &request_of(&topic, data))?;
    let mut request = produce(&topic, 0, batch(&["third"])?);
    request.topic_data.extend(produce(&topic, 0, batch(&["fourth"])?).topic_data);
    s.ask("in two topics of one id", v, &request)?;
    show(s, &topic)
}

fn empty(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("a batch of no records", v, &produce(&topic, 0, values(&[]).build()?)).map(drop)
}

fn no_bytes(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("no bytes", v, &produce(&topic, 0, Bytes::new()))?;
    let null = vec![PartitionProduceData { index: 0, records: None }];
    s.ask("null", v, &request_of(&topic, null)).map(drop)
}

/// `batch` with the byte at `at` changed by `by`.
fn patched(batch: &Bytes, at: usize, by: u8) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at] = bytes[at].wrapping_add(by);
    bytes.into()
}

/// `batch` with other bytes at `at`, and the checksum that they need.
fn rewritten(batch: &Bytes, at: usize, with: &[u8]) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    let crc = crc_of(&bytes);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn broken(s: &mut Session, v: i16, patches: &[(&str, usize, u8)]) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, at, by) in patches {
        s.ask(label, v, &produce(&topic, 0, patched(&batch(&["one", "two"])?, *at, *by)))?;
    }
    Ok(())
}

fn broken_header(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let good = batch(&["one", "two"])?;
    let length = i32::try_from(good.len() - 12)?;
    for (label, at, with) in [
        ("base offset 5", 0, &5_i64.to_be_bytes()[..]),
        ("base offset -1", 0, &(-1_i64).to_be_bytes()[..]),
        ("leader epoch 9", 12, &9_i32.to_be_bytes()[..]),
        ("length 0", 8, &0_i32.to_be_bytes()[..]),
        ("length -1", 8, &(-1_i32).to_be_bytes()[..]),
        ("length one less", 8, &(length - 1).to_be_bytes()[..]),
        ("length one more", 8, &(length + 1).to_be_bytes()[..]),
        ("magic 3", 16, &[3][..]),
        ("magic -1", 16, &[255][..]),
        ("codec 5", 21, &5_i16.to_be_bytes()[..]),
        ("codec 7", 21, &7_i16.to_be_bytes()[..]),
        ("unused attributes", 21, &0x4000_i16.to_be_bytes()[..]),
        ("delete horizon", 21, &0x40_i16.to_be_bytes()[..]),
        ("gzip that is none", 21, &1_i16.to_be_bytes()[..]),
        ("last offset delta 0", 23, &0_i32.to_be_bytes()[..]),
        ("last offset delta 5", 23, &5_i32.to_be_bytes()[..]),
        ("last offset delta -1", 23, &(-1_i32).to_be_bytes()[..]),
        ("max timestamp too low", 35, &5_i64.to_be_bytes()[..]),
        ("count 1", 57, &1_i32.to_be_bytes()[..]),
        ("count 3", 57, &3_i32.to_be_bytes()[..]),
        ("count -1", 57, &(-1_i32).to_be_bytes()[..]),
    ] {
        s.ask(label, v, &produce(&topic, 0, rewritten(&good, at, with)))?;
    }
    s.ask("half a header", v, &produce(&topic, 0, good.slice(..30)))?;
    s.ask("half a batch", v, &produce(&topic, 0, good.slice(..good.len() - 3)))?;
    let long = [&good[..], &good[..20]].concat();
    s.ask("a batch and a half", v, &produce(&topic, 0, long.into()))?;
    show(s, &topic)
}

fn broken_body(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let good = batch(&["one", "two"])?;
    // A record here: length, attributes, time delta, offset delta, key length -1, value length 3, "one", no headers.
    for (label, at, with) in [
        ("record length 0", 0, &[0][..]),
        ("record length negative", 0, &[1][..]),
        ("record too long", 0, &[0x40][..]),
        ("record attributes", 1, &[9][..]),
        ("key length 2", 4, &[4][..]),
        ("key length -2", 4, &[3][..]),
        ("value length 40", 5, &[80][..]),
        ("value length 2", 5, &[4][..]),
        ("one header announced", 9, &[2][..]),
        ("headers negative", 9, &[1][..]),
    ] {
        s.ask(label, v, &produce(&topic, 0, rewritten(&good, HEADER_LEN + at, with)))?;
    }
    show(s, &topic)
}

fn old_formats(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, magic) in [("format 0", 0_u8), ("format 1", 1)] {
        let mut body = vec![magic, 0];
        if magic == 1 {
            body.extend_from_slice(&TIME.to_be_bytes());
        }
        body.extend_from_slice(&(-1_i32).to_be_bytes());
        body.extend_from_slice(&3_i32.to_be_bytes());
        body.extend_from_slice(b"one");
        let mut message = 0_i64.to_be_bytes().to_vec();
        message.extend_from_slice(&i32::try_from(body.len() + 4)?.to_be_bytes());
        message.extend_from_slice(&crc32(&body).to_be_bytes());
        message.extend_from_slice(&body);
        s.ask(label, v, &produce(&topic, 0, message.into()))?;
    }
    Ok(())
}

/// The checksum of the old formats.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn too_large(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("max.message.bytes", "1000")])?;
    // Header 61, and 10 bytes around the value.
    let of = |len: usize| batch(&[&"x".repeat(len)]);
    let fits = of(927)?;
    s.ask(&format!("{} bytes", fits.len()), v, &produce(&topic, 0, fits))?;
    for len in [928, 2000] {
        let batch = of(len)?;
        s.ask(&format!("{} bytes", batch.len()), v, &produce(&topic, 0, batch))?;
    }
    let large = values(&[&"x".repeat(5000)]).compression(Compression::Gzip, None).build()?;
    s.ask("5000 bytes that compress well", v, &produce(&topic, 0, large)).map(drop)
}

fn control(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("a control batch", v, &produce(&topic, 0, values(&["one"]).control(true).build()?))?;
    let marker =
        BatchBuilder::marker(producer(900_077, 0), ottla_records::ControlType::Commit, 0, Millis(TIME)).build()?;
    s.ask("a transaction's marker", v, &produce(&topic, 0, marker)).map(drop)
}

fn two_batches(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let two = [batch(&["one"])?, batch(&["two"])?].concat();
    s.ask("in one partition", v, &produce(&topic, 0, two.into())).map(drop)
}

fn compacted_without_key(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("cleanup.policy", "compact")])?;
    let mut mixed = BatchBuilder::new();
    for key in [Some(&b"k"[..]), None, Some(b""), None] {
        mixed.append(Millis(TIME), key, Some(b"v"));
    }
    s.ask("two of four without", v, &produce(&topic, 0, mixed.clone().build()?))?;
    s.ask("compressed", v, &produce(&topic, 0, mixed.compression(Compression::Zstd, None).build()?))?;
    let mut keyed = BatchBuilder::new();
    keyed.append(Millis(TIME), Some(b"k"), None);
    s.ask("with keys", v, &produce(&topic, 0, keyed.build()?)).map(drop)
}

fn at(times: &[i64]) -> Result<Bytes> {
    let mut batch = BatchBuilder::new();
    for time in times {
        batch.append(Millis(*time), None, Some(b"v"));
    }
    Ok(batch.build()?)
}

fn timestamps(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "any")?;
    s.ask("time -1", v, &produce(&topic, 0, at(&[-1])?))?;
    s.ask("time 0", v, &produce(&topic, 0, at(&[0])?))?;
    s.ask("time -5", v, &produce(&topic, 0, at(&[-5])?))?;
    s.ask("a far future", v, &produce(&topic, 0, at(&[TIME, 9_000_000_000_000])?))?;
    let limited = ready(s, "limited", 1, &[("message.timestamp.before.max.ms", "86400000")])?;
    s.ask("two of three too old", v, &produce(&limited, 0, at(&[TIME, now(), TIME + 1])?))?;
    let future = ready(s, "future", 1, &[("message.timestamp.after.max.ms", "9223372036854775807")])?;
    s.ask("any future", v, &produce(&future, 0, at(&[9_000_000_000_000])?)).map(drop)
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as i64)
}

fn append_time(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("message.timestamp.type", "LogAppendTime")])?;
    s.ask("create times", v, &produce(&topic, 0, batch(&["one", "two"])?))?;
    let by = producer(900_010, 0);
    s.ask("of a producer", v, &produce(&topic, 0, sequenced(by, 0, 1)?))?;
    s.ask("that again", v, &produce(&topic, 0, sequenced(by, 0, 1)?))?;
    let compressed = values(&["one", "two"]).compression(Compression::Gzip, None).build()?;
    s.ask("compressed", v, &produce(&topic, 0, compressed))?;
    let stamped = values(&["one"]).timestamp_type(TimestampType::LogAppendTime).build()?;
    s.ask("marked as append time by the producer", v, &produce(&topic, 0, stamped.clone()))?;
    s.ask("a time that is out of range", v, &produce(&topic, 0, at(&[9_000_000_000_000])?))?;
    show(s, &topic)?;
    let other = one(s, "create")?;
    s.ask("marked as append time, to a topic of create times", v, &produce(&other, 0, stamped)).map(drop)
}

fn offsets_in_records(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for (label, deltas) in [("a gap", [0, 2]), ("the same twice", [0, 0]), ("backwards", [1, 0]), ("from 1 on", [1, 2])]
    {
        for codec in [Compression::None, Compression::Gzip] {
            let mut batch = BatchBuilder::new().compression(codec, None);
            for delta in deltas {
                batch.append_at(delta, Millis(TIME), None, Some(b"v"), &[]);
            }
            s.ask(&format!("{label}, {}", codec.name()), v, &produce(&topic, 0, batch.build()?))?;
        }
    }
    Ok(())
}

fn min_insync_replicas(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("min.insync.replicas", "2")])?;
    s.ask("acks -1", v, &with_acks(produce(&topic, 0, batch(&["one"])?), -1))?;
    s.ask("acks 1", v, &with_acks(produce(&topic, 0, batch(&["two"])?), 1))?;
    s.tell("acks 0", v, &with_acks(produce(&topic, 0, batch(&["three"])?), 0)).map(drop)
}

fn transactional(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let batch = |pid| values(&["one"]).transactional(true).producer(producer(pid, 0), 0).build();
    let request = produce(&topic, 0, batch(999_000)?);
    s.ask("a transactional batch without a transactional id", v, &request)?;
    let with_id =
        ProduceRequest { transactional_id: Some(s.topic("txn")), acks: -1, ..produce(&topic, 0, batch(999_000)?) };
    s.ask("with an id that nobody knows", v, &with_id)?;
    let plain = ProduceRequest {
        transactional_id: Some(s.topic("txn")),
        acks: -1,
        ..produce(&topic, 0, super::requests::batch(&["one"])?)
    };
    s.ask("an id, and no transactional batch", v, &plain).map(drop)
}

fn producer(id: i64, epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}

fn new_producer(s: &mut Session) -> Result<i64> {
    let request =
        InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 60_000, ..Default::default() };
    let mut id = -1;
    s.settle("there is a producer id", |s| {
        let response = s.get(4, &request)?;
        id = response.producer_id;
        Ok(response.error_code == 0)
    })?;
    Ok(id)
}

/// `count` records of a producer.
fn sequenced(by: ProducerIdAndEpoch, sequence: i32, count: usize) -> Result<Bytes> {
    Ok(values(&vec!["v"; count]).producer(by, sequence).build()?)
}

fn sequences(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let by = producer(new_producer(s)?, 0);
    for (label, sequence, count) in [
        ("the first", 0, 3),
        ("the next", 3, 2),
        ("that again", 3, 2),
        ("the first again", 0, 3),
        ("a part of the first", 0, 2),
        ("a part of the last", 4, 1),
        ("a gap", 6, 1),
        ("the one without a gap", 5, 1),
        ("sequence -1", -1, 1),
    ] {
        s.ask(label, v, &produce(&topic, 0, sequenced(by, sequence, count)?))?;
    }
    for sequence in 6..10 {
        appended(s, &topic, 0, sequenced(by, sequence, 1)?)?;
    }
    s.ask("of six batches the first", v, &produce(&topic, 0, sequenced(by, 3, 2)?))?;
    s.ask("of five batches the first", v, &produce(&topic, 0, sequenced(by, 5, 1)?))?;
    s.ask("acks -1, again", v, &with_acks(produce(&topic, 0, sequenced(by, 9, 1)?), -1))?;
    show(s, &topic)
}

fn epochs(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let id = new_producer(s)?;
    for (label, epoch, sequence) in [
        ("epoch 3", 3, 0),
        ("an older epoch", 2, 1),
        ("an older epoch, from 0 on", 2, 0),
        ("a newer epoch that does not begin at 0", 4, 1),
        ("a newer epoch", 4, 0),
        ("the epoch before again", 3, 0),
        ("the same again", 4, 0),
        ("epoch -1", -1, 0),
    ] {
        s.ask(label, v, &produce(&topic, 0, sequenced(producer(id, epoch), sequence, 1)?))?;
    }
    Ok(())
}

fn unknown_producers(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("nobody's id, from 0 on", v, &produce(&topic, 0, sequenced(producer(900_001, 0), 0, 1)?))?;
    s.ask("nobody's id, from 7 on", v, &produce(&topic, 0, sequenced(producer(900_002, 0), 7, 1)?))?;
    s.ask("its next", v, &produce(&topic, 0, sequenced(producer(900_002, 0), 8, 1)?))?;
    s.ask("nobody's id and epoch", v, &produce(&topic, 0, sequenced(producer(900_003, 9), 7, 1)?))?;
    let other = one(s, "b")?;
    s.ask("another partition's", v, &produce(&other, 0, sequenced(producer(900_002, 0), 9, 1)?)).map(drop)
}

fn sequence_wraps(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    let by = producer(new_producer(s)?, 0);
    s.ask("two below the largest", v, &produce(&topic, 0, sequenced(by, i32::MAX - 1, 2)?))?;
    s.ask("from 0 on", v, &produce(&topic, 0, sequenced(by, 0, 1)?))?;
    let other = producer(new_producer(s)?, 0);
    s.ask("over the edge in one batch", v, &produce(&topic, 0, sequenced(other, i32::MAX, 3)?))?;
    s.ask("after it", v, &produce(&topic, 0, sequenced(other, 2, 1)?)).map(drop)
}

fn sequence_without_producer(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("sequence, no producer", v, &produce(&topic, 0, sequenced(producer(-1, -1), 0, 1)?))?;
    s.ask("epoch, no producer", v, &produce(&topic, 0, sequenced(producer(-1, 3), -1, 1)?))?;
    s.ask("producer -2", v, &produce(&topic, 0, sequenced(producer(-2, 0), 0, 1)?)).map(drop)
}
