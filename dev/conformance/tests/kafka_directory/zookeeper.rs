//! A directory of the time of ZooKeeper, and the message formats of that time: refused by name, and left as it is.

use std::fs;
use std::path::Path;
use std::slice::from_ref;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use ottla_conformance::Suite;
use ottla_conformance::raw::Raw;
use ottla_conformance::rust_client::PATIENCE;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_wire::messages::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};

use super::world::{import, not_served, refused};
use super::{changes_nothing, written};

/// The version between brokers up to which Kafka writes the older formats.
const SPOKEN: &str = "2.8";
/// Topics, each in the format that came with a version of Kafka.
const FORMATS: [(&str, &str); 2] = [("format-0", "0.9.0"), ("format-1", "0.10.0")];
const NOT_CONTROLLER: i16 = 41;
/// No broker is there yet.
const INVALID_REPLICATION_FACTOR: i16 = 38;
const SEGMENT: &str = "00000000000000000000.log";
const MAGIC_AT: usize = 16;

pub(crate) fn run(suite: &mut Suite, folder: &Path) -> Result<()> {
    let data = folder.join("data");
    suite.case("zookeeper_writes", || write(folder, &data));
    suite.case("zookeeper_mode_is_refused", || {
        changes_nothing(&data, || {
            not_served(from_ref(&data), "in ZooKeeper mode")?;
            refused(&import(from_ref(&data), &[folder.join("copy")]), "ZooKeeper mode (meta.properties version 0)")?;
            refused(&import(from_ref(&data), from_ref(&data)), "ZooKeeper mode (meta.properties version 0)")
        })?;
        ensure!(!folder.join("copy").exists(), "something is there");
        Ok(())
    });
    for (magic, (topic, _)) in FORMATS.iter().enumerate() {
        suite.case(&format!("message_format_{magic}_is_refused"), || older_format(folder, &data, topic, magic));
    }
    Ok(())
}

fn write(folder: &Path, data: &Path) -> Result<()> {
    let properties = [("inter.broker.protocol.version", SPOKEN), ("log.message.format.version", SPOKEN)];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let settings = Settings { properties, ..Settings::default() };
    let mut kafka = Kafka::start_with_zookeeper(&Jars::fetch_older()?, folder, &settings)?;
    let bootstrap = kafka.address().to_string();
    for (topic, version) in FORMATS {
        create(&bootstrap, topic, version)?;
        written::produce_without_headers(&bootstrap, topic, 0..10)?;
    }
    kafka.stop()?;
    for (magic, (topic, _)) in FORMATS.iter().enumerate() {
        let segment = fs::read(data.join(format!("{topic}-0")).join(SEGMENT))?;
        let found = segment.get(MAGIC_AT).copied();
        ensure!(found == u8::try_from(magic).ok(), "{topic} is in format {found:?}");
    }
    Ok(())
}

/// Asks until the broker has become the controller.
fn create(bootstrap: &str, topic: &str, format: &str) -> Result<()> {
    let configs =
        vec![CreatableTopicConfig { name: "message.format.version".to_owned(), value: Some(format.to_owned()) }];
    let topic = CreatableTopic {
        name: topic.to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        configs,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
    let mut raw = Raw::connect(bootstrap)?;
    let begin = Instant::now();
    loop {
        let answer = raw.ask(6, &request)?;
        match answer.topics[0].error_code {
            0 => return Ok(()),
            NOT_CONTROLLER | INVALID_REPLICATION_FACTOR => {}
            _ => bail!("{answer:?}"),
        }
        ensure!(begin.elapsed() < PATIENCE, "{answer:?}");
    }
}

/// What a cluster has that came from ZooKeeper: a directory in KRaft mode, and in it a segment of before.
fn older_format(folder: &Path, data: &Path, topic: &str, magic: usize) -> Result<()> {
    let dir = folder.join(format!("with-{topic}"));
    let partition = dir.join(format!("{topic}-0"));
    fs::create_dir_all(&partition)?;
    fs::create_dir_all(dir.join("__cluster_metadata-0"))?;
    let properties = "version=1\ncluster.id=b3R0bGEtcGVlci1rYWZrYQ\nnode.id=1\ndirectory.id=AQEBAQEBAQEBAQEBAQEBAQ\n";
    fs::write(dir.join("meta.properties"), properties)?;
    fs::write(dir.join(".lock"), "")?;
    for entry in fs::read_dir(data.join(format!("{topic}-0"))).context("what ZooKeeper's broker wrote")? {
        let path = entry?.path();
        fs::copy(&path, partition.join(path.file_name().unwrap_or_default()))?;
    }
    changes_nothing(&dir, || {
        let words = format!("{} begins with message format {magic}", partition.join(SEGMENT).display());
        refused(&import(from_ref(&dir), &[folder.join("copy")]), &words)?;
        refused(&import(from_ref(&dir), from_ref(&dir)), &words)
    })
}
