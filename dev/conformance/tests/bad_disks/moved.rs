//! Partitions that are moved between directories while they are used.

use anyhow::{Context, Result, ensure};
use ottla_wire::messages::{
    AlterReplicaLogDirsRequest, DescribeLogDirsRequest,
    alter_replica_log_dirs_request::{AlterReplicaLogDir, AlterReplicaLogDirTopic},
};

use super::{
    producer::Careful,
    stage::{PATIENCE, STORAGE_ERROR, Stage, TOPIC},
};

const LOG_DIR_NOT_FOUND: i16 = 57;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

/// The code for one partition that is to be moved.
fn alter(stage: &Stage, path: &str, topic: &str, partition: i32) -> Result<i16> {
    let topics = vec![AlterReplicaLogDirTopic { name: topic.to_owned(), partitions: vec![partition] }];
    let dirs = vec![AlterReplicaLogDir { path: path.to_owned(), topics }];
    let response = stage.raw()?.ask(2, &AlterReplicaLogDirsRequest { dirs })?;
    Ok(response.results[0].partitions[0].error_code)
}

pub(crate) fn path(stage: &Stage, name: &str) -> String {
    stage.dir(name).display().to_string()
}

/// A producer and a consumer notice nothing, and it is there after kill -9.
pub(crate) fn while_produced() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576"])?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    let in_a = *stage.partitions_in("a")?.first().context("a")?;
    ensure!(alter(&stage, "/nowhere", TOPIC, in_a)? == LOG_DIR_NOT_FOUND);
    ensure!(alter(&stage, &path(&stage, "b"), "unknown", 0)? == UNKNOWN_TOPIC_OR_PARTITION);
    let mut producer = Careful::new(&stage, PATIENCE)?;
    for _ in 0..4000 {
        producer.send(in_a, 2000)?;
    }
    for to in ["b", "a", "b"] {
        ensure!(alter(&stage, &path(&stage, to), TOPIC, in_a)? == 0);
        let begin = std::time::Instant::now();
        // Always more than the producer has sent, so that there are appends in the moment in which the copy takes over.
        while !is_in(&stage, to, in_a)? {
            for _ in 0..500 {
                producer.send(in_a, 2000)?;
            }
            ensure!(begin.elapsed() < PATIENCE, "it is not moved");
        }
    }
    producer.finish()?;
    ensure!(producer.refused() == 0, "{} records were refused", producer.refused());
    producer.check(&stage, in_a)?;
    ensure!(alter(&stage, &path(&stage, "b"), TOPIC, in_a)? == 0, "it is there already");
    stage.kill()?;
    stage.start(&["a", "b"])?;
    ensure!(is_in(&stage, "b", in_a)?);
    producer.check(&stage, in_a)?;
    ensure!(stage.stop()?);
    // What was moved lies in a directory that is away: it does not begin anew in the other one.
    std::fs::rename(stage.dir("b"), stage.dir("away"))?;
    stage.start(&["a", "b"])?;
    ensure!(stage.codes(in_a)? == [STORAGE_ERROR; 3]);
    ensure!(stage.stop()?);
    Ok(())
}

/// Whether the partition is in the directory, and no copy of it on the way.
pub(crate) fn is_in(stage: &Stage, name: &str, partition: i32) -> Result<bool> {
    let described = stage.raw()?.ask(4, &DescribeLogDirsRequest { topics: None })?;
    let of = |result: &ottla_wire::messages::describe_log_dirs_response::DescribeLogDirsResult, future| {
        let topics = result.topics.iter().filter(|topic| topic.name == TOPIC);
        let mut partitions = topics.flat_map(|topic| &topic.partitions);
        partitions.any(|found| found.partition_index == partition && found.is_future_key == future)
    };
    let on_its_way = described.results.iter().any(|result| of(result, true));
    Ok(!on_its_way && described.results.iter().any(|result| result.log_dir == path(stage, name) && of(result, false)))
}
