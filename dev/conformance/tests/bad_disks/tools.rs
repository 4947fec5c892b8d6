//! Kafka's own tools move partitions between directories.

use std::cell::RefCell;

use anyhow::{Context, Result, ensure};
use ottla_peer::{java::Jars, tools::Tools};
use ottla_wire::messages::{
    DescribeConfigsRequest, DescribeLogDirsRequest, describe_configs_request::DescribeConfigsResource,
};

use super::{
    moved::{is_in, path},
    producer::Careful,
    stage::{PATIENCE, Stage, TOPIC},
};

const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
const CONFIGS: &str = "kafka.admin.ConfigCommand";
const THROTTLE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
/// Less than a move that takes several rounds gets through in the time of any test.
const CRAWL: &str = "1";

struct Machine<'a> {
    tools: RefCell<Tools>,
    stage: &'a Stage,
    plan: tempfile::NamedTempFile,
}

impl Machine<'_> {
    fn run(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let bootstrap = self.stage.bootstrap()?;
        let all = [&["--bootstrap-server", &*bootstrap], arguments].concat();
        let output = self.tools.borrow_mut().run(class, &all, b"")?;
        Ok(output.all_text())
    }

    fn reassign(&self, arguments: &[&str], words: &[&str]) -> Result<()> {
        let plan = self.plan.path().to_string_lossy();
        let said = self.run(REASSIGN, &[&["--reassignment-json-file", &*plan], arguments].concat())?;
        words.iter().try_for_each(|words| {
            ensure!(said.contains(words), "{arguments:?}: no {words:?} in: {said}");
            Ok(())
        })
    }

    /// Partitions, the brokers that they are to be on, and the directory.
    fn plan(&self, partitions: &[i32], replicas: &str, directory: &str) -> Result<()> {
        let partition = |partition: &i32| {
            format!(
                r#"{{"topic":"{TOPIC}","partition":{partition},"replicas":[{replicas}],"log_dirs":["{directory}"]}}"#
            )
        };
        let partitions: Vec<_> = partitions.iter().map(partition).collect();
        let plan = format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.join(","));
        Ok(std::fs::write(self.plan.path(), plan)?)
    }
}

/// What is set at run time on the broker or the topic, with `throttle` in its name.
fn throttles(stage: &Stage) -> Result<Vec<String>> {
    let resource = |resource_type, name: &str| DescribeConfigsResource {
        resource_type,
        resource_name: name.to_owned(),
        configuration_keys: None,
    };
    let resources = vec![resource(2, TOPIC), resource(4, "1")];
    let described = stage.raw()?.ask(4, &DescribeConfigsRequest { resources, ..Default::default() })?;
    let all = described.results.into_iter().flat_map(|result| result.configs);
    let set = all.filter(|config| [1, 2].contains(&config.config_source));
    let named = set.filter(|config| config.name.contains("throttled") || config.name == THROTTLE);
    Ok(named.map(|config| config.name).collect())
}

/// How many copies are on their way, and by how much they are behind.
fn copies(stage: &Stage) -> Result<(usize, i64)> {
    let described = stage.raw()?.ask(4, &DescribeLogDirsRequest { topics: None })?;
    let partitions = described.results.iter().flat_map(|result| &result.topics).flat_map(|topic| &topic.partitions);
    let copies: Vec<_> = partitions.filter(|partition| partition.is_future_key).collect();
    Ok((copies.len(), copies.iter().map(|copy| copy.offset_lag).sum()))
}

pub(crate) fn move_partitions() -> Result<()> {
    let mut stage = Stage::new(&["log.segment.bytes=1048576"])?;
    stage.start(&["a", "b"])?;
    stage.create_topic(TOPIC, 2, &[])?;
    let in_a = *stage.partitions_in("a")?.first().context("a")?;
    let mut producer = Careful::new(&stage, PATIENCE)?;
    for _ in 0..3000 {
        producer.send(in_a, 2000)?;
    }
    producer.finish()?;
    let tools = RefCell::new(Tools::start(&Jars::fetch()?)?);
    let machine = Machine { tools, stage: &stage, plan: tempfile::NamedTempFile::new()? };
    let (a, b) = (path(&stage, "a"), path(&stage, "b"));
    let described = machine.run(LOG_DIRS, &["--describe", "--broker-list", "1"])?;
    ensure!(described.contains(&format!("\"{a}\"")) && described.contains(&format!("\"{b}\"")), "{described}");
    let in_progress = format!("Reassignment of replica {TOPIC}-{in_a}-1 is still in progress.");
    let moved = format!("Reassignment of replica {TOPIC}-{in_a}-1 completed successfully.");

    // Any directory is the one that it is in.
    machine.plan(&[0, 1], "1", "any")?;
    machine.reassign(&["--execute"], &["Successfully started partition reassignments for"])?;
    machine.reassign(&["--verify"], &[&format!("Reassignment of partition {TOPIC}-0 is completed.")])?;
    ensure!(is_in(&stage, "a", in_a)?);

    // What cannot be.
    machine.plan(&[in_a], "7", "any")?;
    machine.reassign(&["--execute"], &["Unknown broker id 7"])?;
    machine.plan(&[in_a], "1", "/nowhere")?;
    machine.reassign(&["--execute"], &["LogDirNotFound"])?;
    machine.reassign(&["--cancel"], &["None of the specified partition moves are active."])?;

    // A move that crawls is under way until it is given up.
    machine.plan(&[in_a], "1", &b)?;
    let crawl = ["--execute", "--replica-alter-log-dirs-throttle", CRAWL, "--throttle", "1000000"];
    machine.reassign(
        &crawl,
        &[
            "The inter-broker throttle limit was set to 1000000 B/s",
            "The replica-alter-dir throttle limit was set to 1 B/s",
            &format!("Successfully started moving log directory to {b} for replica {TOPIC}-{in_a} with broker 1"),
        ],
    )?;
    machine.reassign(&["--verify"], &[&in_progress])?;
    let (count, behind) = copies(&stage)?;
    ensure!(count == 1 && behind > 0 && throttles(&stage)?.iter().any(|key| key == THROTTLE), "{count}, {behind}");
    let described = machine.run(LOG_DIRS, &["--describe", "--topic-list", TOPIC])?;
    ensure!(described.contains("\"isFuture\":true"), "{described}");
    machine.reassign(
        &["--cancel"],
        &[
            "None of the specified partition reassignments are active.",
            &format!("Successfully started moving log directory to {a}"),
        ],
    )?;
    ensure!(copies(&stage)?.0 == 0 && throttles(&stage)?.is_empty(), "{:?}", throttles(&stage)?);
    ensure!(is_in(&stage, "a", in_a)?);

    // Again, and a higher rate is taken over while it goes on.
    machine.reassign(&crawl, &["Successfully started moving log directory"])?;
    ensure!(copies(&stage)?.0 == 1);
    for _ in 0..300 {
        producer.send(in_a, 2000)?;
    }
    let rate = format!("{THROTTLE}=1000000000");
    machine.run(CONFIGS, &["--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config", &rate])?;
    stage.wait("it is moved", |stage| is_in(stage, "b", in_a))?;
    machine.reassign(
        &["--verify"],
        &[&moved, "Clearing broker-level throttles on broker 1", "Clearing topic-level throttles on topic"],
    )?;
    ensure!(throttles(&stage)?.is_empty(), "{:?}", throttles(&stage)?);
    producer.finish()?;
    ensure!(producer.refused() == 0, "{} records were refused", producer.refused());
    producer.check(&stage, in_a)?;
    drop(machine);
    ensure!(stage.stop()?);
    Ok(())
}
