//! The brokers that are asked.
//!
//! Invariant: both run with the same settings, in a folder of their own that is gone with the value.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use ottla_peer::java::Jars;
use ottla_peer::kafka::{Kafka, Settings};
use ottla_testkit::{BrokerCommand, BrokerProcess};
use tempfile::TempDir;

/// What both are told. Kafka's peer sets most of it itself, so Ottla must show the same as set.
const SETTINGS: [(&str, &str); 13] = [
    ("node.id", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("auto.create.topics.enable", "true"),
    // A quick start of what coordinates groups.
    ("offsets.topic.num.partitions", "1"),
    // Cases send times that are years old; nothing may be deleted for that.
    ("log.retention.ms", "-1"),
    // What members get follows from what was asked, not from when.
    ("group.consumer.assignment.interval.ms", "0"),
    // A third member finds a full group.
    ("group.max.size", "2"),
    ("group.consumer.max.size", "2"),
];
/// How many of them Kafka's peer brings along.
const OF_PEER: usize = 8;

/// A broker that runs as long as the value lives.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    _folder: TempDir,
}

#[derive(Debug)]
enum Process {
    Kafka(Box<Kafka>),
    Ottla(BrokerProcess),
}

impl Broker {
    /// Apache Kafka.
    ///
    /// # Errors
    /// Where it cannot be fetched or started.
    pub fn kafka() -> Result<Broker> {
        let folder = folder()?;
        let dirs = ("log.dirs".to_owned(), directories(folder.path()));
        let settings = SETTINGS[OF_PEER..].iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = Settings { properties: settings.chain([dirs]).collect(), ..Settings::default() };
        let kafka = Kafka::start(&Jars::fetch()?, folder.path(), &settings)?;
        Ok(Broker { process: Process::Kafka(Box::new(kafka)), _folder: folder })
    }

    /// The program `binary`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn ottla(binary: &Path) -> Result<Broker> {
        let folder = folder()?;
        let mut command = BrokerCommand::new(binary, directories(folder.path()));
        for (key, value) in SETTINGS {
            command = command.argument("--set").argument(format!("{key}={value}"));
        }
        Ok(Broker { process: Process::Ottla(command.start()?), _folder: folder })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match &self.process {
            Process::Kafka(kafka) => kafka.address(),
            Process::Ottla(ottla) => ottla.address(),
        }
    }
}

/// Two, so that there is something to move.
fn directories(folder: &Path) -> String {
    format!("{0}/data,{0}/more", folder.display())
}

fn folder() -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("ottla-answers-").tempdir()?)
}
