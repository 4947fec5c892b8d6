//! One Apache Kafka broker, controller included, on loopback ports.
//!
//! Invariants: the port and the folder stay the same over a restart; the process dies with the value.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::java::Jars;
use crate::process::{Process, Usage};
use crate::{probe, run};

/// Base 64 of sixteen bytes of our own: every data folder belongs to the same cluster.
const CLUSTER_ID: &str = "b3R0bGEtcGVlci1rYWZrYQ";
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// What Kafka's own start script gives a broker.
const JVM_OPTIONS: [&str; 7] = [
    "-Xms1G",
    "-Xmx1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// How a broker is started.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Lines of server.properties beyond the ones that make it a single node.
    pub properties: Vec<(String, String)>,
    /// The CPUs that it may run on, as `taskset -c` takes them; all when absent.
    pub cpus: Option<String>,
    /// More arguments of the command that formats the data folder.
    pub format: Vec<String>,
}

/// A broker that runs, or did until it was stopped.
#[derive(Debug)]
pub struct Kafka {
    jars: Jars,
    folder: PathBuf,
    port: u16,
    cpus: Option<String>,
    process: Option<Process>,
    /// Where its metadata is, if it is no controller itself; ends after it.
    _zookeeper: Option<Process>,
}

impl Kafka {
    /// Formats `folder` and starts a broker in it on a free port; ready when this returns.
    pub fn start(jars: &Jars, folder: &Path, settings: &Settings) -> Result<Kafka> {
        fs::create_dir_all(folder)?;
        let (port, controller_port) = (probe::free_port()?, probe::free_port()?);
        let properties = [own(folder), controller(port, controller_port)].concat();
        fs::write(folder.join("server.properties"), text(properties, settings)?)?;
        let mut format = jars.tool("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(folder.join("server.properties")).args(&settings.format);
        run::run(&mut format, START_PATIENCE)?.success().context("formatting the data folder")?;
        Kafka::begin(jars, folder, port, settings, None)
    }

    /// Starts a broker before 4 that has its metadata in ZooKeeper, which is started for it.
    pub fn start_with_zookeeper(jars: &Jars, folder: &Path, settings: &Settings) -> Result<Kafka> {
        fs::create_dir_all(folder)?;
        let (port, zookeeper_port) = (probe::free_port()?, probe::free_port()?);
        let options = ["-Xmx256M", "-XX:+UseSerialGC", "-Dpeer.log.level=warn", "-Dzookeeper.admin.enableServer=false"];
        let mut command = jars.jvm().options(&options).class("org.apache.zookeeper.server.ZooKeeperServerMain");
        command.arg(zookeeper_port.to_string()).arg(folder.join("zookeeper"));
        let zookeeper = Process::spawn(&mut command, &folder.join("zookeeper.log"))?;
        let listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let with_zookeeper = pairs([
            ("broker.id", "1"),
            ("zookeeper.connect", &format!("127.0.0.1:{zookeeper_port}")),
            ("zookeeper.connection.timeout.ms", "60000"),
            ("listeners", &listeners),
        ]);
        let properties = [own(folder), with_zookeeper].concat();
        fs::write(folder.join("server.properties"), text(properties, settings)?)?;
        Kafka::begin(jars, folder, port, settings, Some(zookeeper))
    }

    fn begin(jars: &Jars, folder: &Path, port: u16, settings: &Settings, zookeeper: Option<Process>) -> Result<Kafka> {
        let (jars, folder, cpus) = (jars.clone(), folder.to_owned(), settings.cpus.clone());
        let mut kafka = Kafka { jars, folder, port, cpus, process: None, _zookeeper: zookeeper };
        kafka.start_again()?;
        Ok(kafka)
    }

    /// Starts the broker again after [`kill`](Kafka::kill) or [`stop`](Kafka::stop); ready when this returns.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = None;
        let options = self.jars.jvm().options(&JVM_OPTIONS).options(&["-Dpeer.log.level=info"]);
        let mut command = on_cpus(options.class("kafka.Kafka"), self.cpus.as_deref());
        command.arg(self.folder.join("server.properties"));
        let mut process = Process::spawn(&mut command, &self.log())?;
        let log = self.log();
        probe::wait_ready(self.address(), START_PATIENCE, || match process.ended()? {
            None => Ok(()),
            Some(status) => bail!("Kafka ended with {status}; see {}", log.display()),
        })?;
        self.process = Some(process);
        Ok(())
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The folder that holds one folder per partition.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the broker wrote about itself.
    pub fn log(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    /// CPU time and memory so far; zero when it is stopped.
    pub fn usage(&self) -> Result<Usage> {
        self.process.as_ref().map_or(Ok(Usage::default()), Process::usage)
    }

    /// Stops it in its tracks until [`resume`](Kafka::resume).
    pub fn pause(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::resume)
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }

    /// Stops cleanly; returns how long that took.
    pub fn stop(&mut self) -> Result<Duration> {
        self.process.take().map_or(Ok(Duration::ZERO), |mut process| process.terminate(STOP_PATIENCE))
    }
}

/// `command`, confined to `cpus` where given.
pub fn on_cpus(command: Command, cpus: Option<&str>) -> Command {
    let Some(cpus) = cpus else { return command };
    let mut confined = Command::new("taskset");
    confined.args(["-c", cpus]).arg(command.get_program()).args(command.get_args());
    confined
}

type Properties = Vec<(String, String)>;

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Properties {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()
}

/// What every broker is told.
fn own(folder: &Path) -> Properties {
    pairs([
        ("log.dirs", &folder.join("data").display().to_string()),
        // One broker cannot hold the three replicas that internal topics have by default.
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("auto.create.topics.enable", "true"),
    ])
}

/// What makes it a controller too.
fn controller(port: u16, controller_port: u16) -> Properties {
    pairs([
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &format!("1@127.0.0.1:{controller_port}")),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", &format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}")),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
    ])
}

fn text(properties: Properties, settings: &Settings) -> Result<String> {
    let mut text = String::new();
    for (key, value) in properties.iter().chain(&settings.properties) {
        writeln!(text, "{key}={value}")?;
    }
    Ok(text)
}
