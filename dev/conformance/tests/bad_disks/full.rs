//! A directory without room.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use ottla_wire::messages::{
    CreatableTopic, CreateTopicsRequest, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
    DeleteTopicsRequest, OffsetCommitRequest,
    delete_topics_request::DeleteTopicState,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};

use super::{
    clients,
    producer::Careful,
    stage::{PATIENCE, STORAGE_ERROR, Stage, TOPIC},
    volumes::Memory,
};

/// Sends to `partition` until the broker says that a directory is full.
fn fill(stage: &Stage, producer: &mut Careful, partition: i32) -> Result<()> {
    let begin = std::time::Instant::now();
    while stage.metric("full_log_directories")? == 0.0 {
        // Not more than there is room for when the directory has some again.
        if producer.outstanding() < 1_000 {
            for _ in 0..20 {
                producer.send(partition, 9_000)?;
            }
        }
        ensure!(begin.elapsed() < PATIENCE, "the directory does not become full");
    }
    Ok(())
}

pub(crate) fn one_of_two() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576", "offsets.topic.num.partitions=2"])?;
    let disk = Memory::mount(&stage.dir("b"), 16)?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    let in_a = *stage.partitions_in("a")?.first().context("a")?;
    let in_b = *stage.partitions_in("b")?.first().context("b")?;
    let mut producer = Careful::new(&stage, PATIENCE)?;
    fill(&stage, &mut producer, in_b)?;
    ensure!(stage.produce(in_b)? == STORAGE_ERROR);
    ensure!(stage.codes(in_a)? == [0; 3], "the other one is not full");
    ensure!(stage.codes(in_b)?[1..] == [0, 0], "what is there is served");
    producer.check(&stage, in_b)?;
    ensure!(stage.directory_codes()?.iter().all(|(_, code)| *code == 0), "it has not failed");
    ensure!(stage.metric("offline_log_directories")? == 0.0);
    // What is sent while it is full is acknowledged when there is room, without a restart.
    for _ in 0..300 {
        producer.send(in_b, 9_000)?;
    }
    disk.resize(64)?;
    producer.finish()?;
    ensure!(producer.refused() == 0, "{} records were given up", producer.refused());
    producer.check(&stage, in_b)?;
    ensure!(stage.metric("full_log_directories")? == 0.0);
    stage.kill()?;
    stage.start(&["a", "b"])?;
    producer.check(&stage, in_b)?;
    ensure!(stage.stop()?);
    Ok(())
}

/// What is deleted makes room, though that it is has to be written first.
pub(crate) fn deleted_records_make_room() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576", "log.flush.offset.checkpoint.interval.ms=500"])?;
    let disk = Memory::mount(&stage.dir("b"), 16)?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    let in_b = *stage.partitions_in("b")?.first().context("b")?;
    let mut producer = Careful::new(&stage, Duration::from_secs(3))?;
    fill(&stage, &mut producer, in_b)?;
    producer.finish()?;
    ensure!(stage.produce(in_b)? == STORAGE_ERROR);
    let end = i64::try_from(stage.end(in_b)?)?;
    let partitions = vec![DeleteRecordsPartition { partition_index: in_b, offset: end - 200 }];
    let topics = vec![DeleteRecordsTopic { name: TOPIC.to_owned(), partitions }];
    let answer = stage.raw()?.ask(2, &DeleteRecordsRequest { topics, timeout_ms: 5000 })?;
    ensure!(answer.topics[0].partitions[0].error_code == 0, "{answer:?}");
    stage.wait("there is room again", |stage| Ok(stage.produce(in_b)? == 0))?;
    stage.kill()?;
    stage.start(&["a", "b"])?;
    ensure!(stage.produce(in_b)? == 0);
    ensure!(stage.stop()?);
    drop(disk);
    Ok(())
}

/// Clients that others wrote: one of each kind gives its record up, one waits until there is room.
pub(crate) fn clients_of_others() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576"])?;
    let disk = Memory::mount(&stage.dir("b"), 16)?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    let in_b = *stage.partitions_in("b")?.first().context("b")?;
    let mut producer = Careful::new(&stage, PATIENCE * 2)?;
    fill(&stage, &mut producer, in_b)?;
    let mut java = clients::Java::start(&stage, in_b)?;
    clients::hasty_kcat(&stage, in_b)?;
    let gave_up = java.says()?;
    ensure!(["gave up TimeoutException true", "gave up KafkaStorageException true"].contains(&&*gave_up), "{gave_up}");
    ensure!(java.says()? == "waits 0");
    let (kcat, of_kcat) = clients::patient_kcat(&stage, in_b)?;
    disk.resize(64)?;
    java.go_on()?;
    producer.finish()?;
    let kcat = kcat.join().map_err(|_| anyhow!("panicked"))??;
    ensure!(kcat.status.success(), "{}", kcat.all_text());
    let mut of_java = Vec::new();
    loop {
        let said = java.says()?;
        let Some((offset, value)) = said.strip_prefix("at ").and_then(|at| at.split_once(' ')) else {
            ensure!(said == "finished", "{said}");
            break;
        };
        of_java.push((offset.parse::<usize>()?, value.to_owned()));
    }
    ensure!(of_java.len() == 101, "Java was told of {} records", of_java.len());
    let all = stage.values(in_b, stage.end(in_b)?)?;
    for (offset, value) in &of_java {
        ensure!(all.get(*offset).map(Vec::as_slice) == Some(clients::padded(value).as_bytes()), "{value} at {offset}");
    }
    let times = |value: &str| all.iter().filter(|found| *found == clients::padded(value).as_bytes()).count();
    for value in of_kcat.iter().map(String::as_str).chain(of_java.iter().map(|(_, value)| value.as_str())) {
        ensure!(times(value) == 1, "{value} is there {} times", times(value));
    }
    for value in ["given up by Java", "given up by kcat"] {
        ensure!(times(value) == 0, "{value} is there, and nobody was told");
    }
    ensure!(producer.refused() == 0, "{} records were given up", producer.refused());
    producer.check(&stage, in_b)?;
    ensure!(stage.stop()?);
    Ok(())
}

/// Metadata, groups and records on one volume: nothing is changed but what makes room.
pub(crate) fn the_only_one() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576", "offsets.topic.num.partitions=1"])?;
    let disk = Memory::mount(&stage.dir("a"), 24)?;
    stage.start(&["a"])?;
    stage.create_topic(TOPIC, 1, &[])?;
    stage.create_topic("other", 1, &[])?;
    ensure!(commit(&stage)? == 0);
    let mut producer = Careful::new(&stage, Duration::from_secs(3))?;
    fill(&stage, &mut producer, 0)?;
    producer.finish()?;
    ensure!(stage.produce(0)? == STORAGE_ERROR);
    ensure!(commit(&stage)? == 15, "COORDINATOR_NOT_AVAILABLE, so that clients try again");
    // The reserve of the metadata lets some changes through before it is found to be needed.
    let mut created = 0;
    while create(&stage, &format!("more-{created}"))? == 0 {
        created += 1;
        ensure!(created < 10_000);
    }
    ensure!(create(&stage, "one-more")? == STORAGE_ERROR);
    producer.check(&stage, 0)?;
    // A kill at this point, and a start without any room.
    stage.kill()?;
    stage.start(&["a"])?;
    producer.check(&stage, 0)?;
    ensure!(delete(&stage, "other")? == 0, "what makes room is done");
    disk.resize(64)?;
    stage.wait("there is room again", |stage| Ok(stage.produce(0)? == 0))?;
    stage.wait("metadata can be changed again", |stage| Ok(create(stage, "again")? != STORAGE_ERROR))?;
    stage.wait("groups go on", |stage| Ok(commit(stage)? == 0))?;
    producer.check(&stage, 0)?;
    ensure!(stage.stop()?);
    Ok(())
}

fn create(stage: &Stage, name: &str) -> Result<i16> {
    let topic =
        CreatableTopic { name: name.to_owned(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
    Ok(stage.raw()?.ask(5, &request)?.topics[0].error_code)
}

fn delete(stage: &Stage, name: &str) -> Result<i16> {
    let topics = vec![DeleteTopicState { name: Some(name.to_owned()), ..Default::default() }];
    let request = DeleteTopicsRequest { topics, timeout_ms: 5000, ..Default::default() };
    Ok(stage.raw()?.ask(6, &request)?.responses[0].error_code)
}

fn commit(stage: &Stage) -> Result<i16> {
    let find = ottla_wire::messages::FindCoordinatorRequest { key: "g".to_owned(), ..Default::default() };
    let found = stage.raw()?.ask(3, &find)?;
    if found.error_code != 0 {
        return Ok(found.error_code);
    }
    let partitions =
        vec![OffsetCommitRequestPartition { partition_index: 0, committed_offset: 1, ..Default::default() }];
    let topics = vec![OffsetCommitRequestTopic { name: TOPIC.to_owned(), partitions, ..Default::default() }];
    let request = OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: -1,
        topics,
        ..Default::default()
    };
    Ok(stage.raw()?.ask(7, &request)?.topics[0].partitions[0].error_code)
}
