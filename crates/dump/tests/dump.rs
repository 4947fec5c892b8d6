//! What is shown of files, whole and damaged.

#![allow(clippy::unwrap_used)] // a test may

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use ottla_dump::{Request, dump};
use ottla_records::{BatchBuilder, ControlType};
use ottla_types::{Compression, Millis, Offset, ProducerEpoch, ProducerId, ProducerIdAndEpoch};
use ottla_wire::{
    encode_record_key, encode_record_value,
    messages::{OffsetCommitKey, OffsetCommitValue},
};
use serde_json::Value;

/// A batch of records named by their offsets.
fn batch(base: i64, count: i64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new().base_offset(Offset(base)).compression(codec, None);
    for offset in base..base + count {
        let key = format!("key-{offset}");
        builder.append(Millis(1000 + offset), Some(key.as_bytes()), Some(&[0xff, offset as u8]));
    }
    builder.build().unwrap().to_vec()
}

/// JSON lines and the number of damages.
fn json(request: Request) -> (Vec<Value>, usize) {
    let mut out = Vec::new();
    let damages = dump(&Request { json: true, ..request }, &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), damages)
}

fn of(path: &Path) -> Request {
    Request { paths: vec![path.to_owned()], print_data: true, ..Request::default() }
}

fn kinds<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind).collect()
}

#[test]
fn batches_and_records_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000010.log");
    let producer = ProducerIdAndEpoch { id: ProducerId(7), epoch: ProducerEpoch(1) };
    let mut marker = BatchBuilder::marker(producer, ControlType::Abort, 3, Millis(5));
    marker = marker.base_offset(Offset(14));
    let bytes = [batch(10, 2, Compression::None), batch(12, 2, Compression::Zstd), marker.build().unwrap().to_vec()];
    fs::write(&path, bytes.concat()).unwrap();
    let (lines, damages) = json(of(&path));
    assert_eq!(damages, 0, "{lines:?}");
    let codecs: Vec<_> = kinds(&lines, "batch").iter().map(|batch| batch["compressCodec"].clone()).collect();
    assert_eq!(codecs, ["none", "zstd", "none"]);
    let records = kinds(&lines, "record");
    assert_eq!(records.len(), 5);
    assert_eq!((&records[3]["key"], &records[3]["valueBase64"]), (&Value::from("key-13"), &Value::from("/w0=")));
    assert_eq!(records[4]["controlType"], "ABORT");
    assert_eq!(records[4]["value"]["coordinatorEpoch"], 3);
    let mut text = Vec::new();
    dump(&of(&path), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("| record offset: 13 createTime: 1013 keySize: 6 valueSize: 2 key: key-13"), "{text}");
}

#[test]
fn the_look_goes_on_behind_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.log");
    let whole = [batch(0, 3, Compression::None), batch(3, 3, Compression::Gzip), batch(6, 3, Compression::None)];
    let (second, third) = (whole[0].len(), whole[0].len() + whole[1].len());
    let check = |bytes: &[u8], position: usize, batches: usize, says: &str| {
        fs::write(&path, bytes).unwrap();
        let (lines, damages) = json(of(&path));
        let damage = kinds(&lines, "damage");
        assert_eq!(damages, 1, "{lines:?}");
        assert_eq!(damage[0]["position"], position, "{damage:?}");
        assert!(damage[0]["error"].as_str().unwrap().contains(says), "{damage:?}");
        assert_eq!(kinds(&lines, "batch").len(), batches, "{lines:?}");
    };
    let bytes = whole.concat();
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        bytes
    };
    check(&with(second + 70, 0xaa), second, 3, "checksum"); // in the records
    check(&with(second + 8, 0x7f), second, 2, "bytes are passed over"); // the length
    check(&with(second + 16, 1), second, 2, "before version 2"); // the magic
    check(&bytes[..third + 20], third, 2, "20 bytes are passed over"); // torn
    check(&[&bytes[..], &[0; 100]].concat(), bytes.len(), 3, "100 bytes are passed over"); // zeros at the end
    check(&[&bytes[..second], b"rubbish", &bytes[second..]].concat(), second, 3, "7 bytes are passed over");
    check(&[&bytes[..third], &bytes[..second]].concat(), third, 3, "offset 0 where 6 is the least");
}

#[test]
fn index_entries_are_held_against_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let whole = [batch(0, 3, Compression::None), batch(3, 3, Compression::None)];
    fs::write(dir.path().join("00000000000000000000.log"), whole.concat()).unwrap();
    let index = dir.path().join("00000000000000000000.index");
    let entry = |offset: u32, position: u32| [offset.to_be_bytes(), position.to_be_bytes()].concat();
    let position = whole[0].len() as u32;
    for (bytes, expected) in [
        (entry(5, position), 0),
        (entry(5, position + 1), 1),
        (entry(4, position), 1),
        ([entry(5, position), entry(5, position)].concat(), 1),
        ([entry(5, position), vec![0; 80]].concat(), 0), // a file that was made longer before it was filled
        ([entry(5, position), vec![1; 3]].concat(), 1),
    ] {
        fs::write(&index, &bytes).unwrap();
        let (lines, damages) = json(of(&index));
        assert_eq!(damages, expected, "{lines:?}");
    }
    let times = dir.path().join("00000000000000000000.timeindex");
    let entry = |time: i64, offset: u32| [&time.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    for (bytes, expected) in [(entry(1005, 5), 0), (entry(1004, 5), 1), ([entry(1002, 2), entry(1005, 5)].concat(), 0)]
    {
        fs::write(&times, &bytes).unwrap();
        assert_eq!(json(of(&times)).1, expected);
    }
    fs::remove_file(dir.path().join("00000000000000000000.log")).unwrap();
    assert_eq!(kinds(&json(of(&times)).0, "note").len(), 1);
}

#[test]
fn an_index_is_checked_without_its_log() {
    let dir = tempfile::tempdir().unwrap();
    // Nothing of this is a batch.
    fs::write(dir.path().join("00000000000000000000.log"), b"rubbish").unwrap();
    let entry = |first: u32, second: u32| [first.to_be_bytes(), second.to_be_bytes()].concat();
    let time = |time: i64, offset: u32| [&time.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    for (name, bytes, expected) in [
        ("index", [entry(5, 100), entry(9, 200)].concat(), 0),
        ("index", [entry(5, 100), entry(5, 200)].concat(), 1),
        ("index", [entry(5, 100), entry(9, 100)].concat(), 1),
        ("index", [entry(5, 100), vec![1]].concat(), 1),
        ("timeindex", [time(1, 5), time(2, 9)].concat(), 0),
        ("timeindex", [time(2, 5), time(1, 9)].concat(), 1),
        ("txnindex", vec![], 0),
        ("txnindex", vec![1; 5], 1),
    ] {
        let path = dir.path().join(format!("00000000000000000000.{name}"));
        fs::write(&path, &bytes).unwrap();
        let (lines, damages) = json(Request { index_sanity: true, ..of(&path) });
        assert_eq!(damages, expected, "{name}: {lines:?}");
        assert_eq!(lines.len(), damages, "what is sound is not shown: {lines:?}");
    }
}

#[test]
fn the_broker_s_own_topics_are_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("__consumer_offsets-3");
    fs::create_dir(&folder).unwrap();
    let key = OffsetCommitKey { group: "readers".to_owned(), topic: "orders".to_owned(), partition: 4 };
    let value = OffsetCommitValue { offset: 42, metadata: "m".to_owned(), ..OffsetCommitValue::default() };
    let mut builder = BatchBuilder::new();
    let (key, value) = (encode_record_key(&key).unwrap(), encode_record_value(&value, 3).unwrap());
    builder.append(Millis(1), Some(&key), Some(&value));
    builder.append(Millis(1), Some(&key), None);
    builder.append(Millis(1), Some(&[0, 99, 1]), Some(&value));
    fs::write(folder.join("00000000000000000000.log"), builder.build().unwrap()).unwrap();
    let (lines, damages) = json(of(dir.path()));
    let records = kinds(&lines, "record");
    assert_eq!((&records[0]["type"], &records[0]["key"]["group"]), (&"OffsetCommit".into(), &"readers".into()));
    assert_eq!((&records[0]["value"]["offset"], &records[1]["value"]), (&42.into(), &Value::Null));
    assert_eq!(damages, 1, "a type that nobody knows");
    assert!(kinds(&lines, "damage")[0]["error"].as_str().unwrap().contains("unknown type of record 99"));
}

#[test]
fn files_beside_the_logs_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, rows, expected) in [
        ("recovery-point-offset-checkpoint", "0\n2\na 0 5\nb 1 6\n", 2, 0),
        ("recovery-point-offset-checkpoint", "0\n2\na 0 5\nb 1\n", 1, 1),
        ("cleaner-offset-checkpoint", "0\n3\na 0 5\n", 1, 1),
        ("cleaner-offset-checkpoint", "", 0, 0), // as Kafka makes it
        ("leader-epoch-checkpoint", "1\n1\n3 17\n", 1, 1),
        ("ottla-damage", "0\n1\n0 942 1000 6 7\n", 1, 0),
        ("ottla-damage", "0\n1\n0 942\n", 0, 1),
        ("meta.properties", "version=1\nnode.id=3\n", 2, 0),
        ("partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ", 1, 0),
        ("partition.metadata", "version: 1", 0, 1),
        (".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":5}", 1, 0),
        (".kafka_cleanshutdown", "", 0, 1),
        ("00000000000000000005.snapshot", "short", 0, 1),
        ("notes.txt", "anything", 0, 1),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let (lines, damages) = json(of(&path));
        assert_eq!(damages, expected, "{name} {text:?}: {lines:?}");
        assert_eq!(lines.len() - damages, rows, "{name} {text:?}: {lines:?}");
    }
    assert_eq!(json(of(&dir.path().join("00000000000000000099.log"))).1, 1, "a file that is not there");
}

#[test]
fn whoever_reads_may_stop() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("00000000000000000000.log"), batch(0, 1, Compression::None)).unwrap();
    assert_eq!(dump(&of(dir.path()), &mut Closed).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}
