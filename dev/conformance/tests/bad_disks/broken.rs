//! A directory that breaks while it is used.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use ottla_disk::{Disk, DiskFile, OpenMode};
use ottla_log::StdDisk;

use super::{
    producer::Careful,
    stage::{PARTITIONS, PATIENCE, STORAGE_ERROR, Stage, TOPIC},
    volumes::Loop,
};

/// Records in all partitions, until one that is in `b` is refused for good.
fn produce_until_refused(stage: &Stage, producer: &mut Careful, size: usize) -> Result<()> {
    let begin = std::time::Instant::now();
    while stage.metric("offline_log_directories")? == 0.0 {
        for partition in 0..PARTITIONS {
            producer.send(partition, size)?;
        }
        ensure!(begin.elapsed() < PATIENCE, "the directory does not fail");
    }
    Ok(())
}

fn check_offline(stage: &Stage, in_a: i32, in_b: i32) -> Result<()> {
    stage.wait("the controller hears of it", |stage| {
        let metadata = stage.metadata()?;
        let leader = |index| metadata.topics[0].partitions.iter().find(|found| found.partition_index == index);
        Ok(leader(in_b).is_some_and(|found| found.leader_id == -1))
    })?;
    ensure!(stage.codes(in_b)? == [STORAGE_ERROR; 3], "{:?}", stage.codes(in_b)?);
    ensure!(stage.codes(in_a)? == [0; 3], "{:?}", stage.codes(in_a)?);
    ensure!(stage.directory_codes()? == [("a".to_owned(), 0), ("b".to_owned(), STORAGE_ERROR)]);
    ensure!(stage.metric("offline_log_directories")? == 1.0);
    Ok(())
}

fn first_of_each(stage: &Stage) -> Result<(i32, i32)> {
    let first = |name| -> Result<i32> { stage.partitions_in(name)?.first().copied().context("no partition") };
    Ok((first("a")?, first("b")?))
}

/// The directory is taken away under the broker: what it opens there is not there any more.
pub(crate) fn gone() -> Result<()> {
    let mut stage = Stage::new(&["log.flush.offset.checkpoint.interval.ms=500"])?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, PARTITIONS, &[])?;
    let (in_a, in_b) = first_of_each(&stage)?;
    let mut producer = Careful::new(&stage, Duration::from_secs(5))?;
    for _ in 0..50 {
        producer.send(in_a, 100)?;
        producer.send(in_b, 100)?;
    }
    producer.finish()?;
    fs::rename(stage.dir("b"), stage.dir("away"))?;
    fs::write(stage.dir("b"), "")?;
    produce_until_refused(&stage, &mut producer, 100)?;
    check_offline(&stage, in_a, in_b)?;
    for _ in 0..50 {
        producer.send(in_a, 100)?;
    }
    producer.finish()?;
    ensure!(producer.refused() > 0);
    producer.check(&stage, in_a)?;
    stage.stop()?;
    fs::remove_file(stage.dir("b"))?;
    fs::rename(stage.dir("away"), stage.dir("b"))?;
    stage.start(&["a", "b"])?;
    (0..PARTITIONS).try_for_each(|partition| producer.check(&stage, partition))?;
    ensure!(stage.stop()?);
    Ok(())
}

/// The kernel answers EIO. Every record is flushed before it is acknowledged, as nothing else survives such a disk.
pub(crate) fn eio() -> Result<()> {
    let mut stage = Stage::new(&[])?;
    let disk = Loop::mount(&stage.dir("b"), 256, 12)?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, PARTITIONS, &[("flush.messages", "1")])?;
    let (in_a, in_b) = first_of_each(&stage)?;
    let mut producer = Careful::new(&stage, Duration::from_secs(5))?;
    produce_until_refused(&stage, &mut producer, 20_000)?;
    check_offline(&stage, in_a, in_b)?;
    for _ in 0..50 {
        producer.send(in_a, 100)?;
    }
    producer.finish()?;
    producer.check(&stage, in_a)?;
    ensure!(producer.acknowledged(in_b) > 0 && producer.refused() > 0);
    let words = stage.process()?.stderr();
    ensure!(words.matches("a log directory failed").count() == 1, "{words}");
    stage.stop()?;
    disk.repair(300)?;
    stage.start(&["a", "b"])?;
    (0..PARTITIONS).try_for_each(|partition| producer.check(&stage, partition))?;
    ensure!(stage.codes(in_b)? == [0; 3], "{:?}", stage.codes(in_b)?);
    ensure!(stage.stop()?);
    Ok(())
}

/// Where a journal could not be written, the kernel tells who waited for it at that time; it answers whoever syncs afterwards
/// what was in it that it is durable.
pub(crate) fn journal() -> Result<()> {
    type Sync = fn(&Path, &dyn DiskFile) -> std::io::Result<()>;
    let syncs: [(&str, Sync); 3] = [
        ("a file", |_, file| file.sync_data()),
        ("a directory", |dir, _| StdDisk.sync_dir(dir)),
        ("the volume", |dir, _| StdDisk.sync_volume(dir)),
    ];
    let volumes = tempfile::tempdir()?;
    let mut mistaken = Vec::new();
    for (what, sync) in syncs {
        let dir = volumes.path().join(what);
        let disk = Loop::mount(&dir, 64, 16)?;
        let file = StdDisk.open(&dir.join("file"), OpenMode::Create)?;
        sync(&dir, &*file).context("of a volume that is well")?;
        file.set_len(5_000)?;
        disk.break_off()?;
        let told = fs::File::create(dir.join("another"))?.sync_data();
        ensure!(told.is_err(), "the journal could be written");
        if sync(&dir, &*file).is_ok() {
            mistaken.push(what);
        }
    }
    ensure!(mistaken.is_empty(), "called durable what is lost: syncs of {mistaken:?}");
    Ok(())
}
