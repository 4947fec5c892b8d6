//! A directory that cannot be used when the broker starts.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{
    producer::Careful,
    stage::{PARTITIONS, PATIENCE, STORAGE_ERROR, Stage, TOPIC},
};

/// A stage whose partitions all hold records, cleanly stopped; and the partitions in `b`.
fn prepared() -> Result<(Stage, Vec<i32>, Careful)> {
    let mut stage = Stage::new(&[])?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, PARTITIONS, &[])?;
    let mut producer = Careful::new(&stage, PATIENCE)?;
    for round in 0..400 {
        producer.send(round % PARTITIONS, 100)?;
    }
    producer.finish()?;
    let in_b = stage.partitions_in("b")?;
    ensure!(in_b.len() == 2, "partitions {in_b:?} are in b");
    ensure!(stage.stop()?, "the stop was not clean");
    Ok((stage, in_b, producer))
}

fn all_there(stage: &Stage, producer: &Careful) -> Result<()> {
    (0..PARTITIONS).try_for_each(|partition| producer.check(stage, partition))
}

/// Partitions of `lost` are offline, the others are served.
fn are_offline(stage: &Stage, lost: &[i32], producer: &Careful) -> Result<()> {
    let metadata = stage.metadata()?;
    for partition in &metadata.topics[0].partitions {
        let index = partition.partition_index;
        let is_lost = lost.contains(&index);
        ensure!((partition.leader_id == -1) == is_lost, "{partition:?}");
        ensure!(partition.offline_replicas.is_empty() != is_lost, "{partition:?}");
        if is_lost {
            ensure!(stage.codes(index)? == [STORAGE_ERROR; 3], "{:?}", stage.codes(index)?);
        } else {
            producer.check(stage, index)?;
        }
    }
    ensure!(stage.metric("offline_partitions")? >= lost.len() as f64);
    Ok(())
}

pub(crate) fn at_the_start() -> Result<()> {
    let (mut stage, in_b, producer) = prepared()?;
    let properties = stage.dir("b").join("meta.properties");
    let good = fs::read(&properties)?;
    for bad in [&b"not properties"[..], b"version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\n"] {
        fs::write(&properties, bad)?;
        stage.start(&["a", "b"])?;
        ensure!(stage.directory_codes()? == [("a".to_owned(), 0), ("b".to_owned(), STORAGE_ERROR)]);
        ensure!(stage.metric("offline_log_directories")? == 1.0);
        are_offline(&stage, &in_b, &producer)?;
        ensure!(in_b.iter().all(|partition| !stage.dir("a").join(format!("{TOPIC}-{partition}")).exists()));
        let words = stage.process()?.stderr();
        let told = words.lines().filter(|line| line.contains("log directory failed")).count();
        ensure!(told == 1, "told {told} times:\n{words}");
        stage.stop()?;
    }
    fs::write(&properties, good)?;
    stage.start(&["a", "b"])?;
    all_there(&stage, &producer)?;
    ensure!(stage.stop()?);
    Ok(())
}

pub(crate) fn another_in_its_place() -> Result<()> {
    let (mut stage, in_b, producer) = prepared()?;
    let id = fs::read_to_string(stage.dir("b").join("meta.properties"))?;
    let id = id.lines().find_map(|line| line.strip_prefix("directory.id=")).context("directory.id")?.to_owned();
    fs::rename(stage.dir("b"), stage.dir("away"))?;
    stage.start(&["a", "b"])?;
    are_offline(&stage, &in_b, &producer)?;
    stage.create_topic("other", 2, &[])?;
    ensure!(stage.stop()?);
    fs::rename(stage.dir("b"), stage.dir("other"))?;
    fs::rename(stage.dir("away"), stage.dir("b"))?;
    stage.start(&["a", "b", "other"])?;
    all_there(&stage, &producer)?;
    ensure!(stage.stop()?);
    // The operator gives it up.
    fs::remove_dir_all(stage.dir("b"))?;
    stage.set(format!("ottla.lost.log.dirs={}", id.replace('\\', "")));
    stage.start(&["a", "b"])?;
    for partition in in_b {
        ensure!(stage.codes(partition)? == [0; 3], "{:?}", stage.codes(partition)?);
    }
    ensure!(stage.stop()?);
    Ok(())
}

pub(crate) fn without_metadata() -> Result<()> {
    let (mut stage, _, producer) = prepared()?;
    fs::rename(stage.dir("a"), stage.dir("away"))?;
    let words = stage.refused(&["a", "b"])?;
    ensure!(words.contains("there is no metadata in"), "{words}");
    ensure!(!stage.dir("a").exists(), "refused, and yet a directory was made");
    fs::rename(stage.dir("away"), stage.dir("a"))?;
    stage.start(&["a", "b"])?;
    all_there(&stage, &producer)?;
    ensure!(stage.stop()?);
    Ok(())
}
