//! ListOffsets: the ends, by time, special times, epochs, unknown ones. And OffsetForLeaderEpoch, and DeleteRecords.

use anyhow::Result;
use ottla_wire::ApiKey;
use ottla_wire::messages::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic, ListOffsetsPartition, ListOffsetsRequest,
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use super::Case;
use super::requests::{TIME, Topic, appended, batch, fetch, list_offsets, one, ready};
use crate::session::Session;

pub(super) fn cases() -> Vec<Case> {
    let api = ApiKey::ListOffsets;
    vec![
        Case::each("ends", api, ends),
        Case::each("special_times", api, special_times),
        Case::each("by_time", api, by_time),
        Case::newest("times_out_of_order", api, times_out_of_order),
        Case::newest("append_time", api, append_time),
        Case::each("empty", api, empty),
        Case::each("unknown", api, unknown),
        Case::newest("one_twice", api, one_twice),
        Case::some("leader_epochs", &[4, 6, 11], leader_epochs),
        Case::some("isolation", &[2, 11], isolation),
        Case::newest("replicas", api, replicas),
        Case::newest("start_has_moved", api, start_has_moved),
        Case::newest("nothing", api, |s, v| s.ask("no topics", v, &ListOffsetsRequest::default()).map(drop)),
    ]
}

pub(super) fn epochs() -> Vec<Case> {
    let api = ApiKey::OffsetForLeaderEpoch;
    vec![
        Case::each("known", api, epoch_known),
        Case::each("unknown", api, epoch_unknown),
        Case::each("current", api, epoch_current),
        Case::newest("empty", api, epoch_empty),
        Case::newest("replicas", api, epoch_replicas),
    ]
}

pub(super) fn delete_records() -> Vec<Case> {
    let api = ApiKey::DeleteRecords;
    vec![
        Case::each("some", api, delete_some),
        Case::each("all", api, delete_all),
        Case::each("out_of_range", api, delete_out_of_range),
        Case::each("unknown", api, delete_unknown),
        Case::newest("compacted", api, delete_compacted),
        Case::newest("several", api, delete_several),
    ]
}

/// Two partitions; in the first, records a second apart from [`TIME`] on, in three batches.
fn filled(s: &mut Session) -> Result<Topic> {
    let topic = ready(s, "a", 2, &[])?;
    fill(s, &topic)?;
    Ok(topic)
}

fn fill(s: &mut Session, topic: &Topic) -> Result<()> {
    for values in [&["one", "two", "three"][..], &["four"], &["five", "six"]] {
        appended(s, topic, 0, batch(values)?)?;
    }
    Ok(())
}

fn ends(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("latest of two", v, &list_offsets(&topic.name, &[(0, -1), (1, -1)]))?;
    s.ask("earliest of two", v, &list_offsets(&topic.name, &[(0, -2), (1, -2)])).map(drop)
}

fn special_times(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for time in [-3, -4, -5, -6, -7, i64::MIN] {
        s.ask(&format!("{time}"), v, &list_offsets(&topic.name, &[(0, time), (1, time)]))?;
    }
    Ok(())
}

fn by_time(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for after in [-1, 0, 1, 999, 1000, 1999, 2000, 2001] {
        s.ask(&format!("first + {after} ms"), v, &list_offsets(&topic.name, &[(0, TIME + after)]))?;
    }
    for time in [0, i64::MAX] {
        s.ask(&format!("{time}"), v, &list_offsets(&topic.name, &[(0, time)]))?;
    }
    Ok(())
}

fn times_out_of_order(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for times in [&[50, 10, 30][..], &[20, 90, 40], &[60, 90]] {
        let mut batch = ottla_records::BatchBuilder::new();
        for time in times {
            batch.append(ottla_types::Millis(TIME + time), None, Some(b"v"));
        }
        appended(s, &topic, 0, batch.build()?)?;
    }
    for after in [5, 15, 45, 55, 65, 90, 91] {
        s.ask(&format!("first + {after} ms"), v, &list_offsets(&topic.name, &[(0, TIME + after)]))?;
    }
    s.ask("the largest", v, &list_offsets(&topic.name, &[(0, -3)])).map(drop)
}

fn append_time(s: &mut Session, v: i16) -> Result<()> {
    let topic = ready(s, "a", 1, &[("message.timestamp.type", "LogAppendTime")])?;
    appended(s, &topic, 0, batch(&["one", "two"])?)?;
    s.ask("the largest", v, &list_offsets(&topic.name, &[(0, -3)]))?;
    s.ask("after the producer's times", v, &list_offsets(&topic.name, &[(0, TIME + 5000)])).map(drop)
}

fn empty(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    for time in [-1, -2, -3, TIME] {
        s.ask(&format!("{time}"), v, &list_offsets(&topic.name, &[(0, time)]))?;
    }
    Ok(())
}

fn unknown(s: &mut Session, v: i16) -> Result<()> {
    let (topic, name) = (one(s, "a")?, s.topic("b"));
    s.ask("no such partition", v, &list_offsets(&topic.name, &[(0, -1), (5, -1), (-1, -1)]))?;
    s.ask("no such topic", v, &list_offsets(&name, &[(0, -1)]))?;
    s.ask("no topic's name", v, &list_offsets("a b", &[(0, -1)])).map(drop)
}

fn one_twice(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("a partition twice", v, &list_offsets(&topic.name, &[(0, -1), (1, -1), (0, -2)])).map(drop)
}

fn with_epoch(topic: &Topic, epoch: i32, timestamp: i64) -> ListOffsetsRequest {
    let mut request = list_offsets(&topic.name, &[]);
    for topic in &mut request.topics {
        topic.partitions.push(ListOffsetsPartition { partition_index: 0, current_leader_epoch: epoch, timestamp });
    }
    request
}

fn leader_epochs(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for epoch in [-1, 0, 1, 9, -2] {
        s.ask(&format!("epoch {epoch}, latest"), v, &with_epoch(&topic, epoch, -1))?;
    }
    s.ask("epoch 9, by time", v, &with_epoch(&topic, 9, TIME)).map(drop)
}

fn isolation(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for level in [1, 2, -1] {
        for time in [-1, TIME + 1000] {
            let request = ListOffsetsRequest { isolation_level: level, ..list_offsets(&topic.name, &[(0, time)]) };
            s.ask(&format!("level {level}, {time}"), v, &request)?;
        }
    }
    Ok(())
}

fn replicas(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for id in [-2, 1, 7] {
        let request = ListOffsetsRequest { replica_id: id, ..list_offsets(&topic.name, &[(0, -1)]) };
        s.ask(&format!("replica {id}"), v, &request)?;
    }
    Ok(())
}

fn start_has_moved(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.get(2, &delete(&topic, &[(0, 2)]))?;
    for time in [-1, -2, -3, -4, -5, TIME, TIME + 2000] {
        s.ask(&format!("{time}"), v, &list_offsets(&topic.name, &[(0, time)]))?;
    }
    Ok(())
}

fn epochs_of(topic: &str, partitions: &[(i32, i32, i32)]) -> OffsetForLeaderEpochRequest {
    let partition = |&(partition, current_leader_epoch, leader_epoch): &(i32, i32, i32)| OffsetForLeaderPartition {
        partition,
        current_leader_epoch,
        leader_epoch,
    };
    let topics =
        vec![OffsetForLeaderTopic { topic: topic.to_owned(), partitions: partitions.iter().map(partition).collect() }];
    OffsetForLeaderEpochRequest { replica_id: -1, topics }
}

fn epoch_known(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("epoch 0 of two partitions", v, &epochs_of(&topic.name, &[(0, -1, 0), (1, -1, 0)])).map(drop)
}

fn epoch_unknown(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for epoch in [1, 9, -1, -2] {
        s.ask(&format!("epoch {epoch}"), v, &epochs_of(&topic.name, &[(0, -1, epoch)]))?;
    }
    s.ask("no such partition", v, &epochs_of(&topic.name, &[(0, -1, 0), (5, -1, 0)]))?;
    let name = s.topic("b");
    s.ask("no such topic", v, &epochs_of(&name, &[(0, -1, 0)])).map(drop)
}

fn epoch_current(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for current in [0, 1, 7, -2] {
        s.ask(&format!("current epoch {current}"), v, &epochs_of(&topic.name, &[(0, current, 0)]))?;
    }
    Ok(())
}

fn epoch_empty(s: &mut Session, v: i16) -> Result<()> {
    let topic = one(s, "a")?;
    s.ask("nothing written yet", v, &epochs_of(&topic.name, &[(0, -1, 0)]))?;
    s.ask("a partition twice", v, &epochs_of(&topic.name, &[(0, -1, 0), (0, -1, 3)]))?;
    s.ask("no topics", v, &OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![] }).map(drop)
}

fn epoch_replicas(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for id in [-2, 1, 7] {
        let request = OffsetForLeaderEpochRequest { replica_id: id, ..epochs_of(&topic.name, &[(0, -1, 0)]) };
        s.ask(&format!("replica {id}"), v, &request)?;
    }
    Ok(())
}

fn delete(topic: &Topic, offsets: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |&(partition_index, offset): &(i32, i64)| DeleteRecordsPartition { partition_index, offset };
    let partitions = offsets.iter().map(partition).collect();
    DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }],
        timeout_ms: 10_000,
    }
}

fn delete_some(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("up to 4", v, &delete(&topic, &[(0, 4)]))?;
    s.ask("up to 4 again", v, &delete(&topic, &[(0, 4)]))?;
    s.ask("up to 2", v, &delete(&topic, &[(0, 2)]))?;
    s.ask("what is left", 17, &fetch(&topic, 0, 4)).map(drop)
}

fn delete_all(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("up to the high watermark", v, &delete(&topic, &[(0, -1)]))?;
    s.ask("what is left", 17, &fetch(&topic, 0, 6))?;
    s.ask("of an empty partition", v, &delete(&topic, &[(1, -1)])).map(drop)
}

fn delete_out_of_range(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    for offset in [7, -2, i64::MAX, i64::MIN] {
        s.ask(&format!("up to {offset}"), v, &delete(&topic, &[(0, offset)]))?;
    }
    s.ask("up to the end", v, &delete(&topic, &[(0, 6)])).map(drop)
}

fn delete_unknown(s: &mut Session, v: i16) -> Result<()> {
    let (topic, absent) = (filled(s)?, Topic::absent(s, "b"));
    s.ask("one partition of two", v, &delete(&topic, &[(0, 1), (5, 1)]))?;
    s.ask("no such topic", v, &delete(&absent, &[(0, 1)]))?;
    s.ask("nothing", v, &DeleteRecordsRequest { topics: vec![], timeout_ms: 1000 }).map(drop)
}

fn delete_compacted(s: &mut Session, v: i16) -> Result<()> {
    for policy in ["compact", "compact,delete"] {
        let topic = ready(s, &policy.replace(',', "-"), 1, &[("cleanup.policy", policy)])?;
        let mut batch = ottla_records::BatchBuilder::new();
        batch.append(ottla_types::Millis(TIME), Some(b"k"), Some(b"v"));
        appended(s, &topic, 0, batch.build()?)?;
        s.ask(policy, v, &delete(&topic, &[(0, 1)]))?;
    }
    Ok(())
}

fn delete_several(s: &mut Session, v: i16) -> Result<()> {
    let topic = filled(s)?;
    s.ask("one good, one too far", v, &delete(&topic, &[(0, 3), (1, 1)]))?;
    s.ask("a partition twice", v, &delete(&topic, &[(0, 4), (0, 5)])).map(drop)
}
