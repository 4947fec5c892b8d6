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
}

/// A broker that runs, or did until it was stopped.
#[derive(Debug)]
pub struct Kafka {
    jars: Jars,
    folder: PathBuf,
    port: u16,
    cpus: Option<String>,
    process: Option<Process>,
}

impl Kafka {
    /// Formats `folder` and starts a broker in it on a free port; ready when this returns.
    pub fn start(jars: &Jars, folder: &Path, settings: &Settings) -> Result<Kafka> {
        fs::create_dir_all(folder)?;
        let (port, controller_port) = (probe::free_port()?, probe::free_port()?);
        fs::write(folder.join("server.properties"), properties(folder, port, controller_port, settings)?)?;
        let mut format = jars.tool("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(folder.join("server.properties"));
        run::run(&mut format, START_PATIENCE)?.success().context("formatting the data folder")?;
        let (jars, folder, cpus) = (jars.clone(), folder.to_owned(), settings.cpus.clone());
        let mut kafka = Kafka { jars, folder, port, cpus, process: None };
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

fn properties(folder: &Path, port: u16, controller_port: u16, settings: &Settings) -> Result<String> {
    let listeners = format!("PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}");
    let (voters, data) = (format!("1@127.0.0.1:{controller_port}"), folder.join("data").display().to_string());
    let own: [(&str, &str); 15] = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &voters),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("listeners", &listeners),
        ("log.dirs", &data),
        // One broker cannot hold the three replicas that internal topics have by default.
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("auto.create.topics.enable", "true"),
    ];
    let more = settings.properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut text = String::new();
    for (key, value) in own.into_iter().chain(more) {
        writeln!(text, "{key}={value}")?;
    }
    Ok(text)
}
